import { type CliCommand, exitCodes, flagOption, textOption } from '../../command.ts';
import { restOptions, withRest } from '../../connections/with-rest.ts';
import { confirm } from '../../terminal/confirm.ts';

export const command: CliCommand = {
  summary: 'Let agents and gateways take what the store has, after it was put back from a backup.',
  options: [['--reason <text>', 'why, for the ledger'], ['--yes', 'do not ask before acting'], ...restOptions],
  examples: ['countersign revocation restart'],
  async run(context, input) {
    const { signal } = context;
    const reason = textOption(input, 'reason')?.trim() ?? '';
    context.say('What was revoked since the backup is lifted by this, unless it has been revoked again.');
    const asked = { question: 'Go on with what the store has?', unasked: 'give --yes to do it' };
    if (!flagOption(input, 'yes') && !(await confirm(context, asked))) return exitCodes.no;
    const { output } = await withRest(context, input, (client) =>
      client.call('revocation.restart', { reason }, { signal }),
    );
    context.emit(output, () => `agents and gateways take the revocations of this store from now on`);
    return exitCodes.ok;
  },
};
