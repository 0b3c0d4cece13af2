import { openSecrets } from '../../../app/gateway.ts';
import { Secret } from '../../../std/index.ts';
import { argument, type CliCommand, exitCodes, flagOption, textOption, UsageError } from '../../command.ts';
import { settingsIfAny } from '../../settings.ts';

export const command: CliCommand = {
  summary:
    "Put a target's secret into the gateway's keystore, read from standard input; a target names it as keystore:NAME.",
  arguments: '<name>',
  options: [
    ['--data-dir <dir>', "the gateway's data folder (default: from the configuration)"],
    ['--remove', 'forget the secret instead'],
  ],
  examples: [
    'countersign target secret orders-password < password.txt',
    'countersign target secret orders-password --remove',
  ],
  async run(context, input) {
    const name = argument(input, 0, 'the name of the secret');
    if (!NAME.test(name))
      throw new UsageError(
        `${JSON.stringify(name)} is no name: 1 to 64 of a-z, 0-9, dot, dash and underscore are allowed`,
      );
    const dataDir = textOption(input, 'dataDir') ?? settingsIfAny(context)?.gateway?.dataDir;
    if (dataDir === undefined)
      throw new UsageError(
        "run this on the gateway's machine, with its configuration file, or name its data folder with --data-dir",
      );
    const secrets = openSecrets(dataDir, { random: context.random, env: context.env });
    if (flagOption(input, 'remove')) {
      await secrets.remove(name);
      context.emit({ name, removed: true }, () => `forgot ${name}`);
      return exitCodes.ok;
    }
    if (process.stdin.isTTY) context.warn('type the secret, then Ctrl-D');
    const bytes = await context.stdin();
    const text = bytes.toString('utf8').replace(/\r?\n$/, '');
    if (text === '')
      throw new UsageError(
        'standard input is empty; give the secret there, as in: countersign target secret NAME < FILE',
      );
    await secrets.put(name, Secret.fromText(text), context.signal);
    context.emit(
      { name, reference: `keystore:${name}` },
      () => `kept ${name}, sealed; name it in a target as keystore:${name}`,
    );
    return exitCodes.ok;
  },
};

/** Said here, before anything is read: the keystore, which says the same, speaks of what is at fault in it. */
const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;
