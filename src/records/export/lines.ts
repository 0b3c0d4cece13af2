import { type LedgerEntry, objectIn } from '../../ledger/index.ts';
import { bytesOf, rowsOf, termsOf } from '../search/indexed-entry.ts';
import type { RecordEntry } from '../search/search.ts';
import type { ExportFormat } from './statement.ts';

/** What stands before the first entry: nothing, or the names of the columns. With the characters that end it, as each line. */
export function headOf(format: ExportFormat): readonly string[] {
  return format === 'csv' ? [`${Object.keys(COLUMNS).join(',')}\r\n`] : [];
}

/** The line of an entry. @see RFC 8785 for that of JSON Lines, RFC 4180 for that of CSV */
export function lineOf({ log, position, entry, bytes }: RecordEntry, format: ExportFormat): string {
  // The names in their order: canonical JSON, with the entry in it as it was signed.
  if (format === 'jsonl') return `{"entry":${bytes.toString('utf8')},"log":${log},"position":${position}}\n`;
  const cells = Object.values(COLUMNS).map((read) => cellOf(read({ log, position, entry, bytes })));
  return `${cells.join(',')}\r\n`;
}

/**
 * A cell: always one line, and never what a spreadsheet takes for a formula. What it might is shown behind an apostrophe; the column `entry` has all of
 * it as it was written.
 */
export function cellOf(value: string | number | undefined): string {
  if (value === undefined) return '';
  if (typeof value === 'number') return String(value);
  const shown = value.replaceAll(/[\u0000-\u001f\u007f\u0085\u2028\u2029]+/g, ' ');
  const harmless = /^[\s\u00a0\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]/.test(shown) ? `'${shown}` : shown;
  return /[",]|^\s|\s$/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

type Read = (record: RecordEntry) => string | number | undefined;

const text =
  (name: string): Read =>
  ({ entry }) => {
    const value = entry.detail[name];
    return typeof value === 'string' ? value : undefined;
  };

const terms =
  (name: string): Read =>
  ({ entry }) => {
    const values = new Set(Array.from(termsOf(entry)).flatMap(([of, value]) => (of === name ? [value] : [])));
    return values.size === 0 ? undefined : [...values].join(' ');
  };

/** Objects by their whole names. */
const objects: Read = ({ entry }) => {
  const questions = Array.isArray(entry.detail['questions']) ? entry.detail['questions'].map(objectIn) : [];
  const ids = questions.map(({ resource }) => objectIn(resource)['id']).filter((id) => typeof id === 'string');
  return ids.length === 0 ? undefined : [...new Set(ids)].join(' ');
};

const at = ({ wallMs, timeMs }: LedgerEntry) => {
  const time = new Date(wallMs ?? timeMs);
  return Number.isNaN(time.getTime()) ? String(wallMs ?? timeMs) : time.toISOString();
};

/** Names and order are for good: what an export has of columns is signed. */
const COLUMNS: Readonly<Record<string, Read>> = {
  log: ({ log }) => log,
  position: ({ position }) => position,
  time: ({ entry }) => at(entry),
  kind: ({ entry }) => entry.kind,
  actor: ({ entry }) => entry.actor,
  target: ({ entry }) => entry.target,
  action: ({ entry }) => entry.action,
  objects,
  columns: terms('column'),
  policies: terms('policy'),
  reason: text('reason'),
  status: text('status'),
  code: text('code'),
  shape: text('shape'),
  masked: terms('masked'),
  rows: ({ entry }) => rowsOf(entry),
  bytes: ({ entry }) => bytesOf(entry),
  node: terms('node'),
  session: ({ entry }) => entry.session,
  operation: ({ entry }) => entry.operation,
  entry: ({ bytes }) => bytes.toString('utf8'),
};
