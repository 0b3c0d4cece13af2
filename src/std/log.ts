import pino, { type DestinationStream } from 'pino';

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

/** Writes one JSON object a line to `write` (standard error by default); lines below `level` are dropped. */
export function createLog(options: { level: LogLevel; write?: (line: string) => void }): Log {
  const destination = options.write ? { write: options.write } : standardError();
  return wrap(
    pino({ level: options.level, base: null, formatters: { level: (label) => ({ level: label }) } }, destination),
  );
}

/** Whoever reads it may leave and its disk may fill: then lines are lost, and whoever writes them goes on. */
function standardError(): DestinationStream {
  const destination = pino.destination({ fd: 2, sync: true, maxLength: UNWRITTEN_CHARS_MAX });
  destination.on('error', () => {});
  return destination;
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
/** What waits for a full disk to have room again. */
const UNWRITTEN_CHARS_MAX = 1024 * 1024;
