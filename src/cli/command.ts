import type { Clock, Random } from '../std/index.ts';

/** By these a person or a supervisor ends a command. */
export const stopSignals = ['SIGINT', 'SIGTERM'] as const;

/** What a command may touch: output, environment, time, chance, and the signal of Ctrl-C. */
export interface CliContext {
  /** Lines for a person; dropped with `--json`. Like all that is for a person they are broken at blanks where they are too long. */
  say(line: string): void;
  /** The result: with `--json` the value as one line of JSON, else `human()`. Called once, or for each of `CommandWords.lines`. */
  emit(value: unknown, human: () => string): void;
  /** One line on standard error: progress and warnings. With `--json` it is `{ "warning": … }`. */
  warn(line: string): void;
  readonly json: boolean;
  /** How long a line for a person may be: the width of the terminal; where there is none what $COLUMNS says, else 80. */
  readonly columns: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Path given by `--config`, else by COUNTERSIGN_CONFIG, else the usual place. */
  readonly configPath: string;
  /** True when `--config` or COUNTERSIGN_CONFIG names it: it must then be there. */
  readonly configNamed: boolean;
  readonly signal: AbortSignal;
  /** Calls once when the next SIGINT or SIGTERM comes, half a second after the first or later; it would end the process else. */
  nextSignal?(call: () => void): void;
  readonly clock: Clock;
  readonly random: Random;
  stdin(): Promise<Buffer>;
  /** All commands that there are. */
  readonly commands: readonly NamedCommand[];
}

/** Values of one call: options by their long name in camelCase, arguments in order. */
export interface CliInput {
  readonly options: Readonly<Record<string, unknown>>;
  readonly args: readonly string[];
  /** Words that belong to another program, of a command that hands them on. */
  readonly handedOn?: readonly string[];
}

/** What `--help` says of a command; it stands in the generated table too, so that help needs no command's code. */
export interface CommandWords {
  /** One sentence for `--help`. */
  readonly summary: string;
  /** Arguments as in `<target>` (required), `[name]`, `[words...]`. */
  readonly arguments?: string;
  /** Each `['--flag <value>', 'what it means', default?]`. */
  readonly options?: readonly (readonly [flags: string, description: string, fallback?: string])[];
  /** Lines that a reader can paste. */
  readonly examples: readonly string[];
  /**
   * Of a command that hands words on to another program: what they are, as in `command...`. They begin behind `--`, else with the first word
   * that is no argument; where they are `needed`, without a `--` no word is an argument. See `typedWords`.
   */
  readonly passThrough?: { readonly words: string; readonly needed?: boolean };
  /** Of a command that may print several lines with `--json`: what each is, as in `each entry`. Any other prints one. */
  readonly lines?: string;
  /** Its result is a text of its own kind, such as a script or YAML: it is not broken into lines of the terminal's width. */
  readonly verbatim?: boolean;
}

/** One command, in `commands/<noun>/<verb>.ts`, or in `commands/<word>.ts` where it has one word, exported as `command`. */
export interface CliCommand extends CommandWords {
  /** True when it goes on until a signal comes, which is then its end in good order. Any other command was stopped before it was done. */
  readonly waits?: (input: CliInput) => boolean;
  /** Resolves to the exit code (see `exitCodes`); throws for failures, which main prints. */
  run(context: CliContext, input: CliInput): Promise<number>;
}

/** A command by its words, `ledger tail`, with what is said of it. */
export interface NamedCommand extends CommandWords {
  readonly name: string;
}

/** A row of the generated table. */
export interface CommandRow extends NamedCommand {
  readonly load: () => Promise<CliCommand>;
}

/** Exit codes of every command. */
export const exitCodes = {
  ok: 0,
  no: 1,
  usage: 64,
  unavailable: 69,
  internal: 70,
  io: 74,
  stuck: 75,
  config: 78,
} as const;

/** A wrong use of a command; it ends with 64. */
export class UsageError extends Error {}

/** The text of an option; undefined when absent. */
export function textOption(input: CliInput, name: string): string | undefined {
  const value = input.options[name];
  return typeof value === 'string' ? value : undefined;
}

/** All values of an option that may be given several times. */
export function listOption(input: CliInput, name: string): string[] {
  const value = input.options[name];
  return Array.isArray(value) ? value.map(String) : typeof value === 'string' ? [value] : [];
}

/** True when the flag was given. */
export function flagOption(input: CliInput, name: string): boolean {
  return input.options[name] === true;
}

/** The text of an option that must be there. @throws UsageError */
export function requiredOption(input: CliInput, name: string): string {
  const value = textOption(input, name);
  if (value === undefined)
    throw new UsageError(`--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} is required`);
  return value;
}

/** The n-th argument. @throws UsageError */
export function argument(input: CliInput, index: number, what: string): string {
  const value = input.args[index];
  if (value === undefined) throw new UsageError(`${what} is missing`);
  return value;
}
