import { type CliCommand, exitCodes, flagOption } from '../command.ts';
import { runChild } from '../run-child.ts';
import { chooseTarget, targetEnvironment, targetsDir, targetsOption } from '../targets.ts';

export const command: CliCommand = {
  summary: 'Open a target with its usual client (psql), as this process is known to the agent: no password.',
  arguments: '[target] [clientArguments...]',
  options: [targetsOption, ['--print', 'only print the environment that a client needs']],
  examples: [
    'countersign connect orders',
    'countersign connect orders -- -c "select 1"',
    'countersign connect --print orders',
  ],
  passThrough: true,
  async run(context, input) {
    const directory = targetsDir(context, input);
    const target = chooseTarget(directory, input.args[0]);
    const environment = targetEnvironment(directory, target, context.env);
    if (flagOption(input, 'print')) {
      context.emit(environment, () =>
        Object.entries(environment)
          .map(([name, value]) => `export ${name}='${value}'`)
          .join('\n'),
      );
      return exitCodes.ok;
    }
    const rest = input.args.slice(1);
    return runChild('psql', rest[0] === '--' ? rest.slice(1) : rest, { ...context.env, ...environment });
  },
};
