import type { MessageSpan } from './frontend.ts';
import { BodyReader } from './reader.ts';
import { byte, encodeMessage } from './writer.ts';

/** Type bytes of messages that a server sends. */
export const Backend = {
  authentication: 0x52,
  backendKeyData: 0x4b,
  bindComplete: 0x32,
  closeComplete: 0x33,
  commandComplete: 0x43,
  copyBoth: 0x57,
  copyData: 0x64,
  copyDone: 0x63,
  copyIn: 0x47,
  copyOut: 0x48,
  dataRow: 0x44,
  emptyQuery: 0x49,
  error: 0x45,
  functionCallResponse: 0x56,
  negotiateVersion: 0x76,
  noData: 0x6e,
  notice: 0x4e,
  notification: 0x41,
  parameterDescription: 0x74,
  parameterStatus: 0x53,
  parseComplete: 0x31,
  portalSuspended: 0x73,
  readyForQuery: 0x5a,
  rowDescription: 0x54,
} as const;

/** Transaction status in ReadyForQuery: idle, in a transaction, in a failed one. */
export type TransactionStatus = 'I' | 'T' | 'E';

/** What the server wants next while it authenticates us. @see PostgreSQL documentation, "Start-up" */
export type AuthenticationRequest =
  | { readonly kind: 'ok' }
  | { readonly kind: 'cleartext' }
  | { readonly kind: 'md5'; readonly salt: Buffer }
  | { readonly kind: 'sasl'; readonly mechanisms: readonly string[] }
  | { readonly kind: 'sasl-continue'; readonly data: Buffer }
  | { readonly kind: 'sasl-final'; readonly data: Buffer }
  | { readonly kind: 'unsupported'; readonly code: number };

/** @throws PostgresWireError ERR_PG_MALFORMED */
export function readAuthentication(span: MessageSpan): AuthenticationRequest {
  const reader = body(span, 'Authentication');
  const code = reader.int32();
  switch (code) {
    case 0:
      reader.done();
      return { kind: 'ok' };
    case 3:
      reader.done();
      return { kind: 'cleartext' };
    case 5: {
      const salt = reader.bytes(4);
      reader.done();
      return { kind: 'md5', salt };
    }
    case 10: {
      const mechanisms: string[] = [];
      for (let name = reader.string(); name !== ''; name = reader.string()) mechanisms.push(name);
      reader.done();
      return { kind: 'sasl', mechanisms };
    }
    case 11:
      return { kind: 'sasl-continue', data: reader.bytes(reader.rest) };
    case 12:
      return { kind: 'sasl-final', data: reader.bytes(reader.rest) };
    default:
      return { kind: 'unsupported', code };
  }
}

/** @throws PostgresWireError ERR_PG_MALFORMED */
export function readBackendKeyData(span: MessageSpan): { processId: number; key: Buffer } {
  const reader = body(span, 'BackendKeyData');
  const processId = reader.int32();
  const bytes = reader.rest;
  if (bytes < 4 || bytes > 256) throw reader.malformed(`a key of ${bytes} bytes; 4 to 256 are allowed`);
  return { processId, key: Buffer.from(reader.bytes(bytes)) };
}

/** @throws PostgresWireError ERR_PG_MALFORMED */
export function readParameterStatus(span: MessageSpan): { name: string; value: string } {
  const reader = body(span, 'ParameterStatus');
  const name = reader.string();
  const value = reader.string();
  reader.done();
  return { name, value };
}

/** @throws PostgresWireError ERR_PG_MALFORMED */
export function readReadyForQuery(span: MessageSpan): TransactionStatus {
  const reader = body(span, 'ReadyForQuery');
  const status = String.fromCharCode(reader.byte());
  reader.done();
  if (status !== 'I' && status !== 'T' && status !== 'E') throw reader.malformed('an unknown transaction status');
  return status;
}

/** The same NotificationResponse without its payload. @throws PostgresWireError ERR_PG_MALFORMED */
export function withoutPayload(span: MessageSpan): Buffer {
  const reader = body(span, 'NotificationResponse');
  const pid = reader.int32();
  const channel = reader.string();
  reader.stringBytes();
  reader.done();
  return encodeMessage('A', pid, channel, '');
}

/** The command tag, such as `INSERT 0 1`. @throws PostgresWireError ERR_PG_MALFORMED */
export function readCommandComplete(span: MessageSpan): string {
  const reader = body(span, 'CommandComplete');
  const tag = reader.string();
  reader.done();
  return tag;
}

/** @throws PostgresWireError ERR_PG_MALFORMED */
export function readNegotiateVersion(span: MessageSpan): { minor: number; unknown: readonly string[] } {
  const reader = body(span, 'NegotiateProtocolVersion');
  const minor = reader.int32() & 0xffff;
  const unknown: string[] = [];
  for (let count = reader.int32(); count > 0; count--) unknown.push(reader.string());
  reader.done();
  return { minor, unknown };
}

/** A DataRow's values, text or bytes as sent; null = SQL NULL. For the gateway's own small queries. @throws PostgresWireError ERR_PG_MALFORMED */
export function readDataRow(span: MessageSpan): (Buffer | null)[] {
  const reader = body(span, 'DataRow');
  const values: (Buffer | null)[] = [];
  for (let count = reader.uint16(); count > 0; count--) {
    const bytes = reader.int32();
    values.push(bytes === -1 ? null : reader.bytes(bytes));
  }
  reader.done();
  return values;
}

export function encodeAuthenticationOk(): Buffer {
  return encodeMessage('R', 0);
}

export function encodeParameterStatus(name: string, value: string): Buffer {
  return encodeMessage('S', name, value);
}

export function encodeBackendKeyData(processId: number, key: Buffer): Buffer {
  return encodeMessage('K', processId, key);
}

export function encodeReadyForQuery(status: TransactionStatus): Buffer {
  return encodeMessage('Z', byte(status));
}

/** Tells the client the newest minor version of 3 spoken here, and which protocol options are not known. */
export function encodeNegotiateVersion(minor: number, unknown: readonly string[]): Buffer {
  return encodeMessage('v', (3 << 16) | minor, unknown.length, ...unknown);
}

function body(span: MessageSpan, what: string): BodyReader {
  return new BodyReader(span.buffer, { start: span.start + 5, end: span.end }, what);
}
