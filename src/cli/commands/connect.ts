import { type CliCommand, exitCodes, flagOption } from '../command.ts';
import {
  chooseTarget,
  namedTarget,
  targetClient,
  targetOption,
  targetsDir,
  targetsOption,
} from '../connections/targets.ts';
import { runChild } from '../processes/run-child.ts';

export const command: CliCommand = {
  summary: 'Open a target with its usual client (psql, curl), as this process is known to the agent: no password.',
  arguments: '[target]',
  passThrough: { words: 'client-arguments...' },
  options: [targetOption, targetsOption, ['--print', 'only print the environment that a client needs']],
  verbatim: true,
  examples: [
    'countersign connect orders',
    'countersign connect orders -- -c "select 1"',
    'countersign connect orders --print',
    'countersign connect api -- http://api/v1/customers',
  ],
  async run(context, input) {
    const directory = targetsDir(context, input);
    const target = chooseTarget(directory, namedTarget(input));
    const { program, words, environment } = targetClient(directory, target, context.env);
    if (flagOption(input, 'print')) {
      context.emit(environment, () =>
        Object.entries(environment)
          .map(([name, value]) => `export ${name}='${value.replaceAll("'", "'\\''")}'`)
          .join('\n'),
      );
      return exitCodes.ok;
    }
    return runChild(program, [...words, ...(input.handedOn ?? [])], { ...context.env, ...environment });
  },
};
