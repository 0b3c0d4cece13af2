import type { MessageSpan } from './frontend.ts';
import { BodyReader } from './reader.ts';
import { byte, encodeMessage } from './writer.ts';

/** Fields of an ErrorResponse or NoticeResponse by their type letter (`S` severity, `C` SQLSTATE, `M` message…). */
export type ErrorFields = ReadonlyMap<string, string>;

/** The bytes of a text in the client's encoding. */
export type EncodeText = (text: string) => Buffer;

/** What we say in an error of our own. */
export interface ErrorText {
  readonly severity: 'ERROR' | 'FATAL';
  /** Five characters. */
  readonly sqlstate: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  /** Character in the client's text, from 1. */
  readonly position?: number | undefined;
}

/** Reads the fields of an error or notice. Texts that are not UTF-8 are read as far as they go: they are only shown or dropped. @throws PostgresWireError ERR_PG_MALFORMED */
export function readErrorFields(span: MessageSpan): ErrorFields {
  const reader = new BodyReader(
    span.buffer,
    { start: span.start + 5, end: span.end },
    'ErrorResponse or NoticeResponse',
  );
  const fields = new Map<string, string>();
  for (let type = reader.byte(); type !== 0; type = reader.byte()) {
    fields.set(String.fromCharCode(type), reader.stringBytes().toString('utf8'));
  }
  reader.done();
  return fields;
}

/** Builds an ErrorResponse; without `encode` its texts are UTF-8. */
export function encodeError(error: ErrorText, encode?: EncodeText): Buffer {
  const fields = new Map([
    ['S', error.severity],
    ['V', error.severity],
    ['C', error.sqlstate],
    ['M', error.message],
  ]);
  if (error.detail !== undefined) fields.set('D', error.detail);
  if (error.hint !== undefined) fields.set('H', error.hint);
  if (error.position !== undefined) fields.set('P', String(error.position));
  return encodeErrorFields('E', fields, encode);
}

/** Builds an ErrorResponse (`E`) or NoticeResponse (`N`) from fields; a NUL in a text would end it early, so it is replaced. */
export function encodeErrorFields(type: 'E' | 'N', fields: ErrorFields, encode?: EncodeText): Buffer {
  const parts: (Buffer | string)[] = [];
  for (const [letter, text] of fields) {
    parts.push(byte(letter));
    const clean = text.replaceAll('\0', '\ufffd');
    if (encode === undefined) parts.push(clean);
    else parts.push(encode(clean), byte(0));
  }
  return encodeMessage(type, ...parts, byte(0));
}
