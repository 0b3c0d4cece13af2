/** What the clients of the load tried, and what they were told of it. */

/** `posts`: what the HTTP API has seen. */
export type Table = 'marks' | 'digested' | 'posts';

/** One insert. `group`: inserts that are carried out together or not at all. */
export interface Attempt {
  readonly id: string;
  readonly table: Table;
  readonly group: string;
  /** Committed by itself: its own success is what makes it last. */
  readonly alone: boolean;
  readonly client: string;
}

/** `open`: sent, not answered. `kept`, `undone`: the client was told so. `refused`: an error said that it was not carried out. */
export type Verdict = 'open' | 'kept' | 'undone' | 'refused';

/** What went wrong for a client. */
export interface Failure {
  readonly client: string;
  readonly during: 'connect' | 'work';
  /** SQLSTATE, or the system's code, empty when the connection just ended. */
  readonly code: string;
  readonly message: string;
}

/** The record of everything tried, and of all that must not have happened. */
export interface LoadRecord {
  readonly attempts: Map<string, Attempt>;
  /** By group. */
  readonly verdicts: Map<string, Verdict>;
  readonly failures: Failure[];
  /** What no client may ever see: wrong answers, hung connections. */
  readonly wrong: string[];
  /** Operations that clients were told are done. */
  acknowledged: number;
  /** The longest that any step or connecting took, in milliseconds. */
  slowestMs: number;
}

export function createLoadRecord(): LoadRecord {
  return { attempts: new Map(), verdicts: new Map(), failures: [], wrong: [], acknowledged: 0, slowestMs: 0 };
}

/** True for what a client may be told of a crash: it can try again, on a new connection. */
export function isRetryable({ code, message }: Failure): boolean {
  if (RETRYABLE.has(code)) return true;
  return code === '' && /terminated unexpectedly|Connection ended|connection was lost|not queryable/i.test(message);
}

/**
 * SQLSTATEs: the connection's own class, and a server that stops, crashed or starts. HTTP: what is away at the moment, and what was asked and did not
 * answer. The rest is what a driver reports of a socket whose other side is gone; libpq makes 08006 and 08001 of these.
 */
const RETRYABLE: ReadonlySet<string> = new Set([
  ...['57P01', '57P02', '57P03', '08000', '08001', '08003', '08006'],
  ...['HTTP 502', 'HTTP 503'],
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOENT'],
]);
