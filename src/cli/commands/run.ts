import { type CliCommand, UsageError } from '../command.ts';
import {
  chooseTarget,
  namedTarget,
  targetClient,
  targetOption,
  targetsDir,
  targetsIn,
  targetsOption,
} from '../connections/targets.ts';
import { runChild } from '../processes/run-child.ts';

export const command: CliCommand = {
  summary: 'Run a command whose PostgreSQL connections go to a target: sets PGHOST and friends.',
  arguments: '[target]',
  passThrough: { words: 'command...', needed: true },
  options: [targetOption, targetsOption],
  examples: ['countersign run orders -- pg_dump --schema-only', 'countersign run -- node app.js'],
  async run(context, input) {
    const named = namedTarget(input);
    const [program, ...rest] = input.handedOn ?? [];
    if (program === undefined) throw new UsageError(`the command to run is missing: ${USE}`);
    const directory = targetsDir(context, input);
    const targets = targetsIn(directory);
    const misplaced = (cause?: unknown) =>
      new UsageError(`${program} is a target; the command comes behind --: ${USE}`, { cause });
    // With one target it may be a program of that name.
    const isTarget = named === undefined && targets.includes(program);
    if (isTarget && targets.length > 1) throw misplaced();
    const target = chooseTarget(directory, named);
    const env = { ...context.env, ...targetClient(directory, target, context.env).environment };
    return runChild(program, rest, env).catch((error: unknown) => {
      throw isTarget && error instanceof UsageError ? misplaced(error) : error;
    });
  },
};

const USE = 'countersign run [TARGET] -- COMMAND';
