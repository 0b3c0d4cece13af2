import { type LedgerEntry, objectIn } from '../../ledger/index.ts';
import { sha256 } from '../../std/index.ts';

/** What an entry is found by. */
export interface IndexedEntry {
  readonly seq: number;
  /** Epoch milliseconds by the clock of its writer. */
  readonly atMs: number;
  readonly terms: readonly number[];
}

/** What entries are found by. */
export type TermName =
  | ('actor' | 'target' | 'action' | 'session' | 'kind')
  | ('object' | 'column' | 'policy' | 'reason' | 'status' | 'shape' | 'code' | 'masked')
  | ('rows' | 'bytes' | 'node');

/** Works out what an entry is found by. Never throws: what is of another form than today's is not found by it. */
export function indexEntry(entry: LedgerEntry): IndexedEntry {
  const terms = new Set<number>();
  for (const [name, value] of termsOf(entry)) {
    if (terms.size >= TERMS_MAX) break;
    terms.add(hashName(name, value));
  }
  return {
    seq: entry.seq,
    atMs: entry.wallMs ?? entry.timeMs,
    terms: [...terms],
  };
}

/** The terms of an entry by name and value. */
export function* termsOf(entry: LedgerEntry): Generator<readonly [TermName, string]> {
  const { detail } = entry;
  const { reason, status, shape, code, policies } = detail;
  for (const name of ['actor', 'target', 'action', 'session', 'kind'] as const) yield [name, entry[name]];
  for (const step of stepsUpTo(rowsOf(entry))) yield ['rows', `${step}`];
  for (const step of stepsUpTo(bytesOf(entry))) yield ['bytes', `${step}`];
  const node = nodeOf(entry);
  if (node !== undefined) yield ['node', node];
  if (typeof reason === 'string') yield ['reason', reason];
  if (typeof status === 'string') yield ['status', status];
  if (typeof code === 'string') yield ['code', code];
  if (typeof shape === 'string') yield ['shape', shape];
  for (const policy of textsIn(policies)) yield ['policy', policy];
  const questions = Array.isArray(detail['questions']) ? detail['questions'].map(objectIn) : [];
  for (const question of questions) {
    for (const policy of textsIn(question['policies'])) yield ['policy', policy];
    const { id } = objectIn(question['resource']);
    if (typeof id === 'string') for (const suffix of suffixesOf(id)) yield ['object', suffix];
    const masks = Array.isArray(question['masks']) ? question['masks'].map(objectIn) : [];
    if (masks.length > 0) yield ['masked', 'yes'];
    for (const { path } of masks) for (const name of textsIn(path).slice(-1)) yield ['column', name];
    for (const column of textsIn(objectIn(question['context'])['columns'])) yield ['column', column];
  }
}

/** Rows of the answer, where the entry says how many. */
export function rowsOf({ detail }: LedgerEntry): number | undefined {
  return typeof detail['items'] === 'number' ? detail['items'] : undefined;
}

/** Bytes of the answer. */
export function bytesOf({ detail }: LedgerEntry): number | undefined {
  return typeof detail['bytesOut'] === 'number' ? detail['bytesOut'] : undefined;
}

/** The node whose agent vouched for the process behind a session. */
function nodeOf({ detail }: LedgerEntry): string | undefined {
  const { nodeId } = objectIn(detail['caller']);
  return typeof nodeId === 'string' ? nodeId : undefined;
}

/** Powers of four: an entry of a thousand rows is found by each that it reaches, so that many rows are found without looking at few. */
export function stepsUpTo(count = 0): number[] {
  const steps: number[] = [];
  for (let step = 4; step <= count; step *= 4) steps.push(step);
  return steps;
}

/** The names that an object of a search may have: it is given by its last parts, joined by slashes or dots. */
export function objectName(text: string): string {
  return text.replaceAll('.', '/').replace(/^\/|\/$/g, '');
}

/**
 * A name as a whole number that a column holds in eight bytes. Two names with one number are possible and harmless: what is found by it is
 * compared with the entry itself.
 */
export function hashName(kind: string, name: string): number {
  const key = `${kind}\n${name}`;
  const known = hashes.get(key);
  if (known !== undefined) return known;
  const bytes = sha256(Buffer.from(key));
  const hash = (bytes.readUInt32BE(0) & 0x1f_ff_ff) * 2 ** 32 + bytes.readUInt32BE(4);
  if (key.length > KEPT_LENGTH_MAX) return hash;
  if (hashes.size >= HASHES_MAX) hashes.clear();
  hashes.set(key, hash);
  return hash;
}

/** `customers`, `public/customers` and so on up to the whole. */
function suffixesOf(id: string): string[] {
  const parts = objectName(id).split('/').slice(-PARTS_MAX);
  return parts.map((_, index) => parts.slice(index).join('/')).reverse();
}

function textsIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

const hashes = new Map<string, number>();
/** The names of some thousand sessions and all that lasts. */
const HASHES_MAX = 20_000;
const KEPT_LENGTH_MAX = 512;
/** Of an operation over hundreds of columns the rarest things are said first. */
const TERMS_MAX = 250;
/** Server, database, schema, table, and two more. */
const PARTS_MAX = 6;
