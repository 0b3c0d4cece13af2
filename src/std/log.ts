import { writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import type pino from 'pino';

/** Structured values of one log line. Never a secret: a `Secret` prints as redacted. */
export type LogFields = Readonly<Record<string, unknown>>;
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** The injected log. `event` is a constant such as `gateway.session.opened`. This is for operators; the ledger is the audit record. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** A log that adds `fields` to every line. */
  child(fields: LogFields): Log;
}

/** Writes one JSON object a line to `write` (the descriptor `fd`, by default standard error); lines below `level` are dropped. */
export function createLog(options: { level: LogLevel; write?: (line: string) => void; fd?: number }): Log {
  // Loaded now, since most commands log nothing. The type is the package's own.
  const createPino = createRequire(import.meta.url)('pino') as typeof pino;
  const destination = options.write ? { write: options.write } : descriptorOf(options.fd ?? 2);
  return wrap(
    createPino({ level: options.level, base: null, formatters: { level: (label) => ({ level: label }) } }, destination),
  );
}

/**
 * Writes to a descriptor and never throws: a log that can't be written, on a full disk or to a reader that is gone, must not take down what it
 * is the log of. Of the lines written meanwhile the first are kept for later, and how many were lost is said once there is room again.
 */
function descriptorOf(fd: number): { write(line: string): void } {
  let unwritten: Buffer = NOTHING;
  let lost = 0;
  /** True when all of it is written. */
  const flush = (): boolean => {
    try {
      while (unwritten.length > 0) unwritten = unwritten.subarray(writeSync(fd, unwritten));
      return true;
    } catch {
      return false; // Tried again with the next line.
    }
  };
  return {
    write(line) {
      const bytes = Buffer.from(line, 'utf8');
      if (unwritten.length === 0) unwritten = bytes;
      else if (unwritten.length + bytes.length <= UNWRITTEN_BYTES_MAX) unwritten = Buffer.concat([unwritten, bytes]);
      else lost++;
      if (!flush() || lost === 0) return;
      unwritten = Buffer.from(
        `${JSON.stringify({ level: 'warn', time: Date.now(), event: 'log.lost', lines: lost })}\n`,
      );
      lost = 0;
      flush();
    },
  };
}

/** A log that keeps nothing. */
export function createSilentLog(): Log {
  const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };
  return silent;
}

function wrap(logger: pino.Logger): Log {
  return {
    debug: (event, fields = {}) => logger.debug({ event, ...plain(fields) }),
    info: (event, fields = {}) => logger.info({ event, ...plain(fields) }),
    warn: (event, fields = {}) => logger.warn({ event, ...plain(fields) }),
    error: (event, fields = {}) => logger.error({ event, ...plain(fields) }),
    child: (fields) => wrap(logger.child(plain(fields))),
  };
}

/** Errors become `{ code, message, cause }`: their other properties may hold anything. */
function plain(fields: LogFields): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) out[key] = value instanceof Error ? plainError(value, 0) : value;
  return out;
}

function plainError(error: Error, depth: number): Record<string, unknown> {
  const out: Record<string, unknown> = { name: error.name, message: error.message };
  if ('code' in error && typeof error.code === 'string') out['code'] = error.code;
  if (error.cause instanceof Error && depth < CAUSE_DEPTH_MAX) out['cause'] = plainError(error.cause, depth + 1);
  return out;
}

const CAUSE_DEPTH_MAX = 4;
const NOTHING = Buffer.alloc(0);
/** Enough to see how it began. */
const UNWRITTEN_BYTES_MAX = 256 * 1024;
