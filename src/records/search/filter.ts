import type { TrustDomain } from '@countersign/sdk/identity';
import type { LedgerEntry } from '../../ledger/index.ts';
import { bytesOf, hashName, objectName, rowsOf, stepsUpTo, type TermName, termsOf } from './indexed-entry.ts';

/** Which entries a search gives: all that are set must hold. Times are epoch milliseconds by the clock of the entry's writer. */
export interface RecordFilter {
  readonly actor?: string | undefined;
  readonly target?: string | undefined;
  readonly action?: string | undefined;
  readonly session?: string | undefined;
  readonly kind?: string | undefined;
  /** Last parts of the name of what was reached: `customers`, `public.customers`. */
  readonly object?: string | undefined;
  readonly column?: string | undefined;
  readonly policy?: string | undefined;
  readonly reason?: string | undefined;
  readonly status?: string | undefined;
  readonly shape?: string | undefined;
  readonly code?: string | undefined;
  /** True: something of the answer was masked. */
  readonly masked?: boolean | undefined;
  /** The node (SPIFFE ID) whose agent vouched for the process behind the session: of entries that open one. */
  readonly node?: string | undefined;
  /** Rows (items) of the answer, at least and at most: of outcomes. */
  readonly rowsMin?: number | undefined;
  readonly rowsMax?: number | undefined;
  /** Bytes of the answer. */
  readonly bytesMin?: number | undefined;
  readonly bytesMax?: number | undefined;
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  /** Of one log. */
  readonly log?: number | undefined;
}

/** The SPIFFE ID that is meant: a whole one, or its path in the trust domain of the server. */
export function identityNamed(name: string, trustDomain: TrustDomain): string {
  return name.startsWith('/') ? `spiffe://${trustDomain}${name}` : name;
}

/** The terms that all entries asked for have, as the tables have them: one at least. */
export function indexFilter(filter: RecordFilter): readonly number[] {
  const terms = askedTerms(filter).map(([name, value]) => hashName(name, value));
  if (filter.log !== undefined) terms.push(hashName('log', `${filter.log}`));
  return terms.length > 0 ? terms : [hashName('all', '')];
}

/** Whether the entry is one of those: what the tables led to is looked at itself. */
export function matchesFilter(entry: LedgerEntry, filter: RecordFilter): boolean {
  return createMatcher(filter)(lookAt(entry));
}

/** An entry, and by what it is found: worked out once, for however many filters. */
export interface LookedAt {
  readonly entry: LedgerEntry;
  terms(): ReadonlySet<string>;
}

export function lookAt(entry: LedgerEntry): LookedAt {
  let terms: Set<string> | undefined;
  return { entry, terms: () => (terms ??= new Set(Array.from(termsOf(entry), (term) => term.join('\n')))) };
}

/** A filter that many entries are held against. */
export function createMatcher(filter: RecordFilter): (looked: LookedAt) => boolean {
  const asked = askedTerms(filter).map((term) => term.join('\n'));
  return ({ entry, terms }) => {
    const atMs = entry.wallMs ?? entry.timeMs;
    if ((filter.sinceMs ?? atMs) > atMs || (filter.untilMs ?? atMs) < atMs) return false;
    if (!isWithin(rowsOf(entry), filter.rowsMin, filter.rowsMax)) return false;
    if (!isWithin(bytesOf(entry), filter.bytesMin, filter.bytesMax)) return false;
    return asked.length === 0 || asked.every((term) => terms().has(term));
  };
}

function askedTerms(filter: RecordFilter): readonly (readonly [TermName, string])[] {
  const { object, masked } = filter;
  const asked: (readonly [TermName, string | undefined])[] = [
    ['object', object === undefined ? undefined : objectName(object)],
    ['shape', filter.shape],
    ['column', filter.column],
    ['policy', filter.policy],
    ['reason', filter.reason],
    ['code', filter.code],
    ['status', filter.status],
    ['masked', masked === true ? 'yes' : undefined],
    ['node', filter.node],
    ['rows', lastStep(filter.rowsMin)],
    ['bytes', lastStep(filter.bytesMin)],
    ...COLUMNS.map((name) => [name, filter[name]] as const),
  ];
  return asked.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
}

function lastStep(least: number | undefined): string | undefined {
  return stepsUpTo(least).at(-1)?.toString();
}

function isWithin(count: number | undefined, least: number | undefined, most: number | undefined): boolean {
  if (least === undefined && most === undefined) return true;
  return count !== undefined && count >= (least ?? count) && count <= (most ?? count);
}

const COLUMNS = ['actor', 'target', 'action', 'session', 'kind'] as const;
