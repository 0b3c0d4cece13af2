/**
 * How a role or a command ends that fails so:
 * - `usage`: what was typed, or a file named there, is wrong.
 * - `config`: a setting, or a file, folder or key that a role was given, must be mended by a person; starting again does not help.
 * - `unavailable`: something else is not there now, or in the way; starting again may help.
 * - `io`: the disk failed or is full.
 * - `no`: nothing failed; the answer is no, or what was to be judged is not good.
 * - `internal`: a fault of ours.
 */
export type ErrorExit = 'usage' | 'config' | 'unavailable' | 'io' | 'no' | 'internal';

/**
 * What the error page says of one code. `status` is the HTTP status that the API answers with, `exit` how a process ends with it; `remedy`
 * tells the operator what to do.
 */
export interface ErrorEntry {
  readonly status: number;
  readonly exit: ErrorExit;
  readonly meaning: string;
  readonly remedy: string;
}

/** One feature's closed table of codes, exported from its `errors.ts` as `errorTable`; the error pages are generated from it. */
export type ErrorTable = Readonly<Record<`ERR_${string}`, ErrorEntry>>;

/**
 * A failure with a code from its feature's closed union. Each feature derives its own class, `LedgerError extends
 * CodedError<keyof typeof errorTable>`, whose `entry` is that of the table.
 * The message says what, which value, what was allowed; never a secret.
 */
export abstract class CodedError<Code extends string> extends Error {
  readonly code: Code;

  /** What its feature's table says of the code. */
  abstract get entry(): ErrorEntry;

  constructor(code: Code, message: string, options: { cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.name = new.target.name;
  }
}

/** The `code` of any error that carries one (ours or the system's), else undefined. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A message, short enough to be shown among others: what it quotes may be as long as whatever somebody has written. */
export function shortened(message: string): string {
  return message.length > MESSAGE_CHARS_MAX ? `${message.slice(0, MESSAGE_CHARS_MAX)}…` : message;
}

/** Twenty of them, as many as one answer of the server brings, fit into a header. */
const MESSAGE_CHARS_MAX = 400;
