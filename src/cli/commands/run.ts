import { type CliCommand, type CliInput, textOption, UsageError } from '../command.ts';
import { runChild } from '../run-child.ts';
import {
  chooseTarget,
  splitTarget,
  targetEnvironment,
  targetOption,
  targetsDir,
  targetsIn,
  targetsOption,
} from '../targets.ts';

export const command: CliCommand = {
  summary: 'Run a command whose PostgreSQL connections go to a target: sets PGHOST and friends.',
  arguments: '[target] [words...]',
  options: [targetOption, targetsOption],
  examples: ['countersign run orders -- pg_dump --schema-only', 'countersign run -- node app.js'],
  passThrough: true,
  async run(context, input) {
    const { target: named, words } = wordsOf(input);
    const [program, ...rest] = words;
    if (program === undefined) throw new UsageError(`the command to run is missing: ${USE}`);
    const directory = targetsDir(context, input);
    const targets = targetsIn(directory);
    const misplaced = (cause?: unknown) =>
      new UsageError(`${program} is a target; the command comes behind --: ${USE}`, { cause });
    // With one target it may be a program of that name.
    const isTarget = named === undefined && targets.includes(program);
    if (isTarget && targets.length > 1) throw misplaced();
    const target = chooseTarget(directory, named);
    const env = { ...context.env, ...targetEnvironment(directory, target, context.env) };
    return runChild(program, rest, env).catch((error: unknown) => {
      throw isTarget && error instanceof UsageError ? misplaced(error) : error;
    });
  },
};

/** A first word is a target when `--` follows it: else it is the command, whatever targets are called. */
function wordsOf(input: CliInput): { readonly target: string | undefined; readonly words: readonly string[] } {
  const { args } = input;
  if (textOption(input, 'target') === undefined && args[1] !== '--') return { target: undefined, words: args };
  const { target, rest } = splitTarget(input);
  return { target, words: rest };
}

const USE = 'countersign run [TARGET] -- COMMAND';
