import type { MessageSpan } from './frontend.ts';
import { BodyReader } from './reader.ts';
import { encodeMessage, int16 } from './writer.ts';

/** One column of a result. `tableOid` and `attributeNumber` are 0 unless the column is a plain column of a relation. */
export interface RowField {
  readonly name: string;
  readonly tableOid: number;
  readonly attributeNumber: number;
  readonly typeOid: number;
  readonly typeBytes: number;
  readonly typeModifier: number;
  /** 0 text, 1 binary. In the description of a prepared statement always 0. */
  readonly format: number;
}

/** @throws PostgresWireError ERR_PG_MALFORMED */
export function readRowDescription(span: MessageSpan): readonly RowField[] {
  const reader = new BodyReader(span.buffer, { start: span.start + 5, end: span.end }, 'RowDescription');
  const fields: RowField[] = [];
  for (let count = reader.uint16(); count > 0; count--) {
    const field = {
      name: reader.stringBytes().toString('utf8'),
      tableOid: reader.uint32(),
      attributeNumber: reader.int16(),
      typeOid: reader.uint32(),
      typeBytes: reader.int16(),
      typeModifier: reader.int32(),
      format: reader.int16(),
    };
    if (field.format !== 0 && field.format !== 1) throw reader.malformed(`format ${field.format}`);
    fields.push(field);
  }
  reader.done();
  return fields;
}

/** Builds a RowDescription. */
export function encodeRowDescription(fields: readonly RowField[]): Buffer {
  const parts: (Buffer | string | number)[] = [int16(fields.length)];
  for (const field of fields) {
    parts.push(field.name, field.tableOid, int16(field.attributeNumber), field.typeOid, int16(field.typeBytes));
    parts.push(field.typeModifier, int16(field.format));
  }
  return encodeMessage('T', ...parts);
}

/** Builds a DataRow. */
export function encodeDataRow(values: readonly (Buffer | null)[]): Buffer {
  const parts: (Buffer | number)[] = [int16(values.length)];
  for (const value of values) {
    if (value === null) parts.push(-1);
    else parts.push(value.length, value);
  }
  return encodeMessage('D', ...parts);
}
