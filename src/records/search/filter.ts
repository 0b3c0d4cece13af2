import type { LedgerEntry } from '../../ledger/index.ts';
import { hashName, objectName, type TermName, termsOf } from './indexed-entry.ts';

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
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  /** Of one log. */
  readonly log?: number | undefined;
}

/** A filter as the tables have it. */
export interface IndexedFilter {
  readonly columns: readonly (readonly ['actor' | 'target' | 'action' | 'session' | 'kind', number])[];
  readonly terms: readonly number[];
}

export function indexFilter(filter: RecordFilter): IndexedFilter {
  const columns = COLUMNS.flatMap((name) => {
    const value = filter[name];
    return value === undefined || (name === 'kind' && !isCommonKind(value))
      ? []
      : [[name, hashName(name, value)] as const];
  });
  return { columns, terms: askedTerms(filter).map(([name, value]) => hashName(name, value)) };
}

/** Whether the entry is one of those: what the tables led to is looked at itself. */
export function matchesFilter(entry: LedgerEntry, filter: RecordFilter): boolean {
  const atMs = entry.wallMs ?? entry.timeMs;
  if ((filter.sinceMs ?? atMs) > atMs || (filter.untilMs ?? atMs) < atMs) return false;
  if (COLUMNS.some((name) => (filter[name] ?? entry[name]) !== entry[name])) return false;
  const asked = askedTerms(filter);
  if (asked.length === 0) return true;
  const has = new Set(Array.from(termsOf(entry), (term) => term.join('\n')));
  return asked.every((term) => has.has(term.join('\n')));
}

/** Rarer ones first: the first leads the search. */
function askedTerms(filter: RecordFilter): readonly (readonly [TermName, string])[] {
  const { kind, object, masked } = filter;
  const asked: (readonly [TermName, string | undefined])[] = [
    ['object', object === undefined ? undefined : objectName(object)],
    ['shape', filter.shape],
    ['column', filter.column],
    ['policy', filter.policy],
    ['reason', filter.reason],
    ['code', filter.code],
    ['status', filter.status],
    ['masked', masked === true ? 'yes' : undefined],
    ['kind', kind === undefined || isCommonKind(kind) ? undefined : kind],
  ];
  return asked.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
}

function isCommonKind(kind: string): boolean {
  return kind === 'intent' || kind === 'outcome';
}

const COLUMNS = ['actor', 'target', 'action', 'session', 'kind'] as const;
