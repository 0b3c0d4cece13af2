import { PostgresWireError } from './errors.ts';
import type { MessageSpan } from './frontend.ts';
import type { Outbox } from './outbox.ts';

/** What a value is replaced by: null = SQL NULL. Never asked for a value that is NULL already. */
export type CellMask = (value: Buffer) => Buffer | null;

/**
 * Writes a DataRow into `out` with some cells replaced: the segments between masked cells are copied as they are.
 * `masks` holds one entry a column, undefined = unchanged.
 * @throws PostgresWireError ERR_PG_MALFORMED: nothing of the row was written
 */
export function maskDataRow(span: MessageSpan, masks: readonly (CellMask | undefined)[], out: Outbox): void {
  const { buffer, start, end } = span;
  if (end - start < 7) throw malformed('less than it announces');
  const columns = buffer.readUInt16BE(start + 5);
  if (columns !== masks.length) throw malformed(`${columns} columns where ${masks.length} were described`);
  const values: (Buffer | null)[] = [];
  const cells: number[] = [];
  let grown = 0;
  let offset = start + 7;
  for (let column = 0; column < columns; column++) {
    if (offset + 4 > end) throw malformed('less than it announces');
    const bytes = buffer.readInt32BE(offset);
    const next = offset + 4 + Math.max(bytes, 0);
    if (bytes < -1 || next > end) throw malformed('a value longer than itself');
    const mask = masks[column];
    if (mask !== undefined && bytes !== -1) {
      const value = mask(buffer.subarray(offset + 4, next));
      values.push(value);
      cells.push(offset, next);
      grown += (value === null ? 0 : value.length) - bytes;
    }
    offset = next;
  }
  if (offset !== end) throw malformed(`${end - offset} bytes too many`);
  const total = end - start + grown;
  const target = out.reserve(total);
  let at = out.scratchOffset;
  let copied = start;
  values.forEach((value, index) => {
    const from = cells[index * 2] ?? end;
    at += buffer.copy(target, at, copied, from);
    at = target.writeInt32BE(value === null ? -1 : value.length, at);
    if (value !== null) at += value.copy(target, at);
    copied = cells[index * 2 + 1] ?? end;
  });
  buffer.copy(target, at, copied, end);
  target.writeInt32BE(total - 1, out.scratchOffset + 1);
  out.written(total);
}

function malformed(why: string): PostgresWireError {
  return new PostgresWireError('ERR_PG_MALFORMED', `DataRow message holds ${why}`);
}
