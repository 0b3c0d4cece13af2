import { PostgresWireError } from './errors.ts';
import type { MessageSpan } from './frontend.ts';
import type { Outbox } from './outbox.ts';

/**
 * Writes what a value is replaced by into `into` at `at`, and answers where it ends; -1 = SQL NULL. There is room for the value and
 * `cellGrowthMax` bytes more. Never asked for a value that is NULL already.
 */
export type CellMask = (cell: MessageSpan, into: Buffer, at: number) => number;

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
  // What is written there counts for nothing until `written` is called, so a malformed row leaves no trace.
  const target = out.reserve(end - start + columns * cellGrowthMax);
  const first = out.scratchOffset;
  let at = first;
  let copied = start;
  let offset = start + 7;
  for (let column = 0; column < columns; column++) {
    if (offset + 4 > end) throw malformed('less than it announces');
    const bytes = buffer.readInt32BE(offset);
    const next = offset + 4 + Math.max(bytes, 0);
    if (bytes < -1 || next > end) throw malformed('a value longer than itself');
    const mask = masks[column];
    if (mask !== undefined && bytes !== -1) {
      at = copy(buffer, { from: copied, to: offset }, target, at);
      const value = at + 4;
      const valueEnd = mask({ buffer, start: offset + 4, end: next }, target, value);
      target.writeInt32BE(valueEnd === -1 ? -1 : valueEnd - value, at);
      at = valueEnd === -1 ? value : valueEnd;
      copied = next;
    }
    offset = next;
  }
  if (offset !== end) throw malformed(`${end - offset} bytes too many`);
  at = copy(buffer, { from: copied, to: end }, target, at);
  target.writeInt32BE(at - first - 1, first + 1);
  out.written(at - first);
}

/** Few bytes are copied faster here than by a call out of JavaScript. */
function copy(source: Buffer, { from, to }: { from: number; to: number }, target: Buffer, at: number): number {
  if (to - from > FEW_BYTES) return at + source.copy(target, at, from, to);
  for (let i = from; i < to; i++) target[at++] = source[i] ?? 0;
  return at;
}

function malformed(why: string): PostgresWireError {
  return new PostgresWireError('ERR_PG_MALFORMED', `DataRow message holds ${why}`);
}

/** Most bytes by which a masked cell may be longer than its value. */
export const cellGrowthMax = 16;
const FEW_BYTES = 24;
