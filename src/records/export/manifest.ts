import {
  type NoteKey,
  noteKeyOf,
  parseNote,
  parseVerifierKey,
  parseWitnessKey,
  TlogError,
  verifyCheckpoint,
  verifyNote,
} from '../../wire/tlog/index.ts';
import { RecordsError } from '../errors.ts';
import { digestOf, type ExportedLog, type ExportStatement, formatLogs, parseStatement } from './statement.ts';

/** What goes with the lines of an export, as JSON. */
export interface ExportManifest {
  readonly format: 'countersign-record-export/1';
  /** The statement, signed by a server. */
  readonly note: string;
  readonly logs: readonly ExportedLog[];
}

/** A manifest that one of the keys has signed. */
export interface VerifiedManifest extends ExportStatement {
  /** Who has signed it. */
  readonly signer: string;
  readonly exportedLogs: readonly ExportedLog[];
}

export function formatManifest(note: string, logs: readonly ExportedLog[]): string {
  return `{"format":"${FORMAT}","note":${JSON.stringify(note)},"logs":${formatLogs(logs)}}\n`;
}

/** Reads one. Nothing in it may be believed by that. @throws RecordsError ERR_RECORDS_EXPORT */
export function parseManifest(text: string): ExportManifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw wrong('it is no JSON', cause);
  }
  const { format, note, logs }: Record<string, unknown> =
    typeof value === 'object' && value !== null ? { ...value } : {};
  if (format !== FORMAT || typeof note !== 'string' || !Array.isArray(logs) || !logs.every(isLog))
    throw wrong(`it is not of the format ${FORMAT}`);
  return { format, note, logs };
}

/** A key that verifies what a server signs, from its `witness.vkey`. @throws RecordsError ERR_RECORDS_EXPORT */
export function parseServerKey(text: string): NoteKey {
  try {
    const { name, publicKey } = parseWitnessKey(text.trim());
    return noteKeyOf(name, publicKey);
  } catch (cause) {
    if (!(cause instanceof TlogError)) throw cause;
    throw new RecordsError('ERR_RECORDS_EXPORT', `it is no key of a server: ${cause.message}`, { cause });
  }
}

/**
 * Checks what is signed: the statement by one of the keys, and each log's checkpoint by the log's own key, which is in what was signed.
 * @throws RecordsError ERR_RECORDS_EXPORT
 */
export function verifyManifest({ note, logs }: ExportManifest, keys: readonly NoteKey[]): VerifiedManifest {
  try {
    const names = parseNote(note).signatures.map(({ name }) => name);
    const key = keys.find(({ name, id }) =>
      parseNote(note).signatures.some((one) => one.name === name && one.id === id),
    );
    if (key === undefined) throw wrong(`it is signed by ${names.join(', ')}, of whom no key was given`);
    const statement = parseStatement(verifyNote(note, key).text);
    if (!digestOf(formatLogs(logs)).equals(statement.logs)) throw wrong('its logs are not those that were signed');
    for (const { origin, verifierKey, size, checkpoint } of logs) {
      const head = verifyCheckpoint(checkpoint, { origin, key: parseVerifierKey(verifierKey) });
      if (head.size !== size) throw wrong(`the checkpoint of ${origin} is over ${head.size} entries, not ${size}`);
    }
    return { ...statement, signer: key.name, exportedLogs: logs };
  } catch (cause) {
    if (!(cause instanceof TlogError)) throw cause;
    throw wrong(cause.message, cause);
  }
}

function isLog(value: unknown): value is ExportedLog {
  const {
    log,
    origin,
    verifierKey,
    size,
    gone = 0,
    checkpoint,
  }: Record<string, unknown> = typeof value === 'object' && value !== null ? { ...value } : {};
  const texts = [origin, verifierKey, checkpoint].every((text) => typeof text === 'string');
  return texts && [log, size, gone].every((number) => Number.isSafeInteger(number));
}

function wrong(what: string, cause?: unknown): RecordsError {
  return new RecordsError('ERR_RECORDS_EXPORT', `the manifest is not what a server has signed: ${what}`, { cause });
}

const FORMAT = 'countersign-record-export/1';
