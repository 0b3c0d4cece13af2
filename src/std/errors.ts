/** What the error page says of one code. `status` is the HTTP status that the API answers with; `remedy` tells the operator what to do. */
export interface ErrorEntry {
  readonly status: number;
  readonly meaning: string;
  readonly remedy: string;
}

/** One feature's closed table of codes, exported from its `errors.ts` as `errorTable`; the error pages are generated from it. */
export type ErrorTable = Readonly<Record<`ERR_${string}`, ErrorEntry>>;

/**
 * A failure with a code from its feature's closed union. Each feature derives its own class:
 * `export class LedgerError extends CodedError<keyof typeof errorTable> {}`.
 * The message says what, which value, what was allowed; never a secret.
 */
export class CodedError<Code extends string> extends Error {
  readonly code: Code;

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
