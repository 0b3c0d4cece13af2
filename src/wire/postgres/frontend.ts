import { BodyReader, type DecodeText } from './reader.ts';
import { byte, encodeMessage, int16 } from './writer.ts';

/** Type bytes of messages that a client sends after start-up. */
export const Frontend = {
  bind: 0x42,
  close: 0x43,
  copyData: 0x64,
  copyDone: 0x63,
  copyFail: 0x66,
  describe: 0x44,
  execute: 0x45,
  flush: 0x48,
  functionCall: 0x46,
  parse: 0x50,
  password: 0x70,
  query: 0x51,
  sync: 0x53,
  terminate: 0x58,
} as const;

/** Where a message lies: type byte at `start`. What a {@link Framer} shows. */
export interface MessageSpan {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

/** The text of a Query message. @throws PostgresWireError ERR_PG_MALFORMED */
export function readQuery(span: MessageSpan, decode?: DecodeText): string {
  const reader = body(span, 'Query', decode);
  const text = reader.string();
  reader.done();
  return text;
}

/** @throws PostgresWireError ERR_PG_MALFORMED */
export function readParse(
  span: MessageSpan,
  decode?: DecodeText,
): { name: string; text: string; parameterTypes: readonly number[] } {
  const reader = body(span, 'Parse', decode);
  const name = reader.string();
  const text = reader.string();
  const parameterTypes: number[] = [];
  for (let count = reader.uint16(); count > 0; count--) parameterTypes.push(reader.uint32());
  reader.done();
  return { name, text, parameterTypes };
}

/** A Bind message; parameter values are parts of the message's buffer, null = SQL NULL. */
export interface BindMessage {
  readonly portal: string;
  readonly statement: string;
  readonly parameterFormats: readonly number[];
  readonly parameters: readonly (Buffer | null)[];
  readonly resultFormats: readonly number[];
}

/** @throws PostgresWireError ERR_PG_MALFORMED */
export function readBind(span: MessageSpan, decode?: DecodeText): BindMessage {
  const reader = body(span, 'Bind', decode);
  const portal = reader.string();
  const statement = reader.string();
  const parameterFormats = readFormats(reader);
  const parameters: (Buffer | null)[] = [];
  for (let count = reader.uint16(); count > 0; count--) {
    const bytes = reader.int32();
    parameters.push(bytes === -1 ? null : reader.bytes(bytes));
  }
  if (parameterFormats.length > 1 && parameterFormats.length !== parameters.length) {
    throw reader.malformed(`${parameterFormats.length} parameter formats for ${parameters.length} parameters`);
  }
  const resultFormats = readFormats(reader);
  reader.done();
  return { portal, statement, parameterFormats, parameters, resultFormats };
}

/** A Describe or Close message: of a prepared statement (`S`) or a portal (`P`). @throws PostgresWireError ERR_PG_MALFORMED */
export function readNamed(span: MessageSpan, decode?: DecodeText): { kind: 'S' | 'P'; name: string } {
  const reader = body(span, 'Describe or Close', decode);
  const kind = reader.byte();
  if (kind !== 0x53 && kind !== 0x50) throw reader.malformed('neither statement nor portal');
  const name = reader.string();
  reader.done();
  return { kind: kind === 0x53 ? 'S' : 'P', name };
}

/** @throws PostgresWireError ERR_PG_MALFORMED */
export function readExecute(span: MessageSpan, decode?: DecodeText): { portal: string; rowsMax: number } {
  const reader = body(span, 'Execute', decode);
  const portal = reader.string();
  const rowsMax = reader.int32();
  reader.done();
  return { portal, rowsMax };
}

/**
 * The function that a FunctionCall (fastpath) names, by OID, its arguments and their formats: as many, one for all, or none.
 * @throws PostgresWireError ERR_PG_MALFORMED
 */
export function readFunctionCall(span: MessageSpan): {
  function: number;
  arguments: (Buffer | null)[];
  formats: number[];
} {
  const reader = body(span, 'FunctionCall');
  const oid = reader.uint32();
  const formats: number[] = [];
  for (let left = reader.uint16(); left > 0; left--) formats.push(reader.uint16());
  const values: (Buffer | null)[] = [];
  for (let left = reader.uint16(); left > 0; left--) {
    const length = reader.int32();
    values.push(length === -1 ? null : reader.bytes(length));
  }
  reader.uint16();
  reader.done();
  return { function: oid, arguments: values, formats };
}

/** Demands that a message has no body: Sync, Flush, CopyDone, Terminate. @throws PostgresWireError ERR_PG_MALFORMED */
export function readEmpty(span: MessageSpan): void {
  body(span, 'bodiless').done();
}

export function encodeQuery(text: string): Buffer {
  return encodeMessage('Q', text);
}

/** `parameterTypes`: OIDs. */
export function encodeParse(name: string, text: string, parameterTypes: readonly number[] = []): Buffer {
  return encodeMessage('P', name, text, int16(parameterTypes.length), ...parameterTypes);
}

export function encodeDescribe(kind: 'S' | 'P', name: string): Buffer {
  return encodeMessage('D', byte(kind), name);
}

export function encodeFlush(): Buffer {
  return encodeMessage('H');
}

/** The server ends the COPY with an error that says so. */
export function encodeCopyFail(message: string): Buffer {
  return encodeMessage('f', message);
}

export function encodeTerminate(): Buffer {
  return encodeMessage('X');
}

/** A password message in one of its shapes: cleartext or md5 text. */
export function encodePassword(text: string): Buffer {
  return encodeMessage('p', text);
}

/** The first SASL message: mechanism and data. */
export function encodeSaslInitial(mechanism: string, data: Buffer): Buffer {
  return encodeMessage('p', mechanism, data.length, data);
}

/** A later SASL message. */
export function encodeSaslResponse(data: Buffer): Buffer {
  return encodeMessage('p', data);
}

function readFormats(reader: BodyReader): readonly number[] {
  const formats: number[] = [];
  for (let count = reader.uint16(); count > 0; count--) {
    const format = reader.int16();
    if (format !== 0 && format !== 1) throw reader.malformed(`format ${format}; 0 (text) and 1 (binary) exist`);
    formats.push(format);
  }
  return formats;
}

function body(span: MessageSpan, what: string, decode?: DecodeText): BodyReader {
  return new BodyReader(span.buffer, { start: span.start + 5, end: span.end, decode }, what);
}
