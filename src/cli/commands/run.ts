import { type CliCommand, textOption, UsageError } from '../command.ts';
import { runChild } from '../run-child.ts';
import { chooseTarget, targetEnvironment, targetsDir, targetsOption } from '../targets.ts';

export const command: CliCommand = {
  summary: 'Run a command whose PostgreSQL connections go to a target: sets PGHOST and friends.',
  arguments: '[words...]',
  options: [['--target <name>', 'which target (default: the only one there is)'], targetsOption],
  examples: ['countersign run --target orders -- pg_dump --schema-only', 'countersign run -- node app.js'],
  passThrough: true,
  async run(context, input) {
    const words = input.args[0] === '--' ? input.args.slice(1) : input.args;
    const [program, ...rest] = words;
    if (program === undefined) throw new UsageError('the command to run is missing: countersign run -- COMMAND');
    const directory = targetsDir(context, input);
    const target = chooseTarget(directory, textOption(input, 'target'));
    const env = { ...context.env, ...targetEnvironment(directory, target, context.env) };
    return runChild(program, rest, env);
  },
};
