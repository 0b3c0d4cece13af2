import { PostgresWireError } from './errors.ts';
import { BodyReader } from './reader.ts';
import { byte, encodeMessage } from './writer.ts';

/** What a client may send first. @see PostgreSQL documentation, "Message Formats" */
export type StartupPacket =
  | { readonly kind: 'ssl-request' }
  | { readonly kind: 'gss-request' }
  | { readonly kind: 'cancel'; readonly processId: number; readonly key: Buffer }
  | {
      readonly kind: 'startup';
      readonly minor: number;
      /** In the order sent; names are unique. */
      readonly parameters: ReadonlyMap<string, string>;
    };

/**
 * Reads the first packet; undefined while it is incomplete. `bytes` tells its size.
 * @throws PostgresWireError ERR_PG_STARTUP
 */
export function readStartupPacket(buffer: Buffer): { packet: StartupPacket; bytes: number } | undefined {
  if (buffer.length < 4) return undefined;
  const bytes = buffer.readInt32BE(0);
  if (bytes < STARTUP_BYTES_MIN || bytes > STARTUP_BYTES_MAX) {
    throw new PostgresWireError(
      'ERR_PG_STARTUP',
      `start-up packet of ${bytes} bytes; ${STARTUP_BYTES_MIN} to ${STARTUP_BYTES_MAX} are allowed`,
    );
  }
  if (buffer.length < bytes) return undefined;
  return { packet: parsePacket(buffer.subarray(0, bytes)), bytes };
}

/** A start-up message of protocol 3.`minor`. */
export function encodeStartup(minor: number, parameters: Iterable<readonly [string, string]>): Buffer {
  const parts: (Buffer | string | number)[] = [PROTOCOL_3 | minor];
  for (const [name, value] of parameters) parts.push(name, value);
  return encodeMessage('', ...parts, byte(0));
}

/** Asks to go on in TLS; the answer is one byte, `S` or `N`. */
export function encodeSslRequest(): Buffer {
  return encodeMessage('', SSL_REQUEST);
}

/** Asks to cancel what the session with that key is doing. */
export function encodeCancelRequest(processId: number, key: Buffer): Buffer {
  return encodeMessage('', CANCEL_REQUEST, processId, key);
}

function parsePacket(packet: Buffer): StartupPacket {
  const code = packet.readInt32BE(4);
  if (code === SSL_REQUEST || code === GSS_REQUEST) {
    if (packet.length !== 8) throw malformed(`encryption request of ${packet.length} bytes; it has 8`);
    return { kind: code === SSL_REQUEST ? 'ssl-request' : 'gss-request' };
  }
  if (code === CANCEL_REQUEST) {
    const keyBytes = packet.length - 12;
    if (keyBytes < CANCEL_KEY_BYTES_MIN || keyBytes > CANCEL_KEY_BYTES_MAX) {
      throw malformed(
        `cancel key of ${keyBytes} bytes; ${CANCEL_KEY_BYTES_MIN} to ${CANCEL_KEY_BYTES_MAX} are allowed`,
      );
    }
    return { kind: 'cancel', processId: packet.readInt32BE(8), key: packet.subarray(12) };
  }
  if (code >>> 16 !== 3) throw malformed(`protocol ${code >>> 16}.${code & 0xffff}; only 3.x is spoken`);
  return { kind: 'startup', minor: code & 0xffff, parameters: parseParameters(packet) };
}

function parseParameters(packet: Buffer): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  const reader = new BodyReader(packet, { start: 8, end: packet.length }, 'start-up');
  try {
    for (;;) {
      const name = reader.string();
      if (name === '') break;
      if (parameters.has(name)) throw malformed(`parameter ${JSON.stringify(name)} twice`);
      parameters.set(name, reader.string());
      if (parameters.size > PARAMETERS_MAX) throw malformed(`more than ${PARAMETERS_MAX} parameters`);
    }
    reader.done();
  } catch (cause) {
    if (cause instanceof PostgresWireError && cause.code === 'ERR_PG_STARTUP') throw cause;
    throw new PostgresWireError('ERR_PG_STARTUP', cause instanceof Error ? cause.message : 'malformed', { cause });
  }
  return parameters;
}

function malformed(why: string): PostgresWireError {
  return new PostgresWireError('ERR_PG_STARTUP', `start-up packet holds ${why}`);
}

const PROTOCOL_3 = 3 << 16;
const CANCEL_REQUEST = (1234 << 16) | 5678;
const SSL_REQUEST = (1234 << 16) | 5679;
const GSS_REQUEST = (1234 << 16) | 5680;
const STARTUP_BYTES_MIN = 8;
/** PostgreSQL's own bound on start-up packets. */
const STARTUP_BYTES_MAX = 10_000;
/** Far more than any driver sends; 10,000 bytes could hold thousands of empty ones. */
const PARAMETERS_MAX = 64;
const CANCEL_KEY_BYTES_MIN = 4;
const CANCEL_KEY_BYTES_MAX = 256;
