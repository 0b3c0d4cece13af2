import type { LedgerEntry } from '../../ledger/index.ts';
import { sha256 } from '../../std/index.ts';

/** What an entry is found by. */
export interface IndexedEntry {
  readonly seq: number;
  /** Epoch milliseconds by the clock of its writer. */
  readonly atMs: number;
  readonly actor: number;
  readonly target: number;
  readonly action: number;
  readonly session: number;
  readonly kind: number;
  readonly terms: readonly number[];
}

/** What only some entries have, or what one may have several of. */
export type TermName = 'object' | 'column' | 'policy' | 'kind' | 'reason' | 'status' | 'shape' | 'code' | 'masked';

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
    actor: hashName('actor', entry.actor),
    target: hashName('target', entry.target),
    action: hashName('action', entry.action),
    session: hashName('session', entry.session),
    kind: hashName('kind', entry.kind),
    terms: [...terms],
  };
}

/** The terms of an entry by name and value; rarer ones first. */
export function* termsOf({ kind, detail }: LedgerEntry): Generator<readonly [TermName, string]> {
  const { reason, status, shape, code, policies } = detail;
  // Those two are most of a log: who asks for them alone reads it in order.
  if (kind !== 'intent' && kind !== 'outcome') yield ['kind', kind];
  if (typeof reason === 'string') yield ['reason', reason];
  if (typeof status === 'string') yield ['status', status];
  if (typeof code === 'string') yield ['code', code];
  if (typeof shape === 'string') yield ['shape', shape];
  for (const policy of textsIn(policies)) yield ['policy', policy];
  const questions = Array.isArray(detail['questions']) ? detail['questions'].map(recordOf) : [];
  for (const question of questions) {
    for (const policy of textsIn(question['policies'])) yield ['policy', policy];
    const { id } = recordOf(question['resource']);
    if (typeof id === 'string') for (const suffix of suffixesOf(id)) yield ['object', suffix];
    const masks = Array.isArray(question['masks']) ? question['masks'].map(recordOf) : [];
    if (masks.length > 0) yield ['masked', 'yes'];
    for (const { path } of masks) for (const name of textsIn(path).slice(-1)) yield ['column', name];
    for (const column of textsIn(recordOf(question['context'])['columns'])) yield ['column', column];
  }
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

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>) // An object has names, and nothing is known of their values.
    : {};
}

const hashes = new Map<string, number>();
/** The names of some thousand sessions and all that lasts. */
const HASHES_MAX = 20_000;
const KEPT_LENGTH_MAX = 512;
/** Of an operation over hundreds of columns the rarest things are said first. */
const TERMS_MAX = 200;
/** Server, database, schema, table, and two more. */
const PARTS_MAX = 6;
