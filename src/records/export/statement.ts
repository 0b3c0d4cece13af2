import { sha256 } from '../../std/index.ts';
import {
  decodeBase64,
  formatCanonicalJson,
  formatCheckpoint,
  type JsonValue,
  parseCanonicalJson,
  parseCheckpoint,
  TlogError,
} from '../../wire/tlog/index.ts';
import { RecordsError } from '../errors.ts';
import type { RecordFilter } from '../search/filter.ts';

/** How lines are written. */
export type ExportFormat = 'jsonl' | 'csv';

/** What is exported: by these alone, and the logs as they stood, every byte of it is settled. */
export interface Selection {
  readonly filter: RecordFilter;
  readonly format: ExportFormat;
}

/** A log as it stood when an export was begun: so many entries, which its checkpoint vouches for. */
export interface ExportedLog {
  readonly log: number;
  readonly origin: string;
  readonly verifierKey: string;
  readonly size: number;
  /** How many of them had lost their content by then, and could not be selected; absent: none. */
  readonly gone?: number | undefined;
  /** Signed by the log and by the server that found it consistent. */
  readonly checkpoint: string;
}

/** What a server says of an export by its signature: these lines, all of them and no others, are what was selected. */
export interface ExportStatement {
  /** `TRUST-DOMAIN/record-export`. */
  readonly origin: string;
  readonly lines: number;
  /** Root of the RFC 6962 tree whose leaves are the lines, each with the characters that end it. */
  readonly root: Buffer;
  /** Canonical JSON of the {@link Selection}. */
  readonly selection: string;
  /** SHA-256 of the canonical JSON of the {@link ExportedLog}s. */
  readonly logs: Buffer;
}

/** The text that is signed: a C2SP checkpoint of the lines, with two lines more. No time and no name of an export is in it, so two of one thing are alike. */
export function formatStatement({ origin, lines, root, selection, logs }: ExportStatement): string {
  return `${formatCheckpoint({ origin, size: lines, root })}selection ${selection}\nlogs ${logs.toString('base64')}\n`;
}

/** Reads what {@link formatStatement} writes. @throws RecordsError ERR_RECORDS_EXPORT */
export function parseStatement(text: string): ExportStatement {
  try {
    const { origin, size, root } = parseCheckpoint(text);
    const [, , , selection = '', logs = ''] = text.split('\n');
    const digest = decodeBase64(logs.slice('logs '.length));
    if (!origin.endsWith(EXPORT_ORIGIN) || !selection.startsWith('selection ') || digest?.length !== 32)
      throw new TlogError('ERR_TLOG_CHECKPOINT', 'it is of something else than an export');
    const asked = selection.slice('selection '.length);
    parseCanonicalJson(Buffer.from(asked));
    return { origin, lines: size, root, selection: asked, logs: digest };
  } catch (cause) {
    if (!(cause instanceof TlogError)) throw cause;
    throw new RecordsError('ERR_RECORDS_EXPORT', `what is signed is no statement of an export: ${cause.message}`, {
      cause,
    });
  }
}

/** The selection as it is signed. */
export function formatSelection({ filter, format }: Selection): string {
  const set = Object.entries(filter).filter(([, value]) => value !== undefined);
  return formatCanonicalJson({ filter: Object.fromEntries(set), format } as JsonValue);
}

/** Logs as their digest is of them. */
export function formatLogs(logs: readonly ExportedLog[]): string {
  return formatCanonicalJson(
    logs.map(({ log, origin, verifierKey, size, gone = 0, checkpoint }) => {
      return { log, origin, verifierKey, size, ...(gone > 0 ? { gone } : {}), checkpoint };
    }),
  );
}

export function digestOf(text: string): Buffer {
  return sha256(Buffer.from(text));
}

/** What the name of a statement ends with; before it stands the trust domain. */
export const EXPORT_ORIGIN = '/record-export';
