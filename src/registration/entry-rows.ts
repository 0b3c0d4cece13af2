import { parseSpiffeId, parseTrustDomain, type SpiffeId } from '@countersign/sdk/identity';
import {
  type Entry,
  formatSelector,
  hasAttributes,
  type IdentityAttributes,
  NO_ATTRIBUTES,
  type Selector,
} from '../model/index.ts';
import { sha256 } from '../std/index.ts';
import type { EntryRow } from './migrations.ts';

/** The columns that make up an entry; the others are there to find it by. */
export const ENTRY_COLUMNS = [
  'id',
  'spiffe_id',
  'parent_id',
  'selectors',
  'federates_with',
  'dns_names',
  'x509_svid_ttl_s',
  'jwt_svid_ttl_s',
  'admin',
  'downstream',
  'store_svid',
  'hint',
  'attributes',
  'expires_at_s',
  'created_at_s',
  'revision_number',
] as const satisfies readonly (keyof EntryRow)[];

/** A row with at least the columns of {@link ENTRY_COLUMNS}. */
export type EntryColumns = Pick<EntryRow, (typeof ENTRY_COLUMNS)[number]>;

/** The row that keeps an entry. */
export function rowOf(entry: Entry): EntryRow {
  return {
    id: entry.id,
    spiffe_id: entry.spiffeId.uri,
    parent_id: entry.parentId.uri,
    selectors: JSON.stringify(entry.selectors.map(({ type, value }) => ({ type, value }))),
    selectors_count: entry.selectors.length,
    federates_with: JSON.stringify(entry.federatesWith),
    federates_count: entry.federatesWith.length,
    dns_names: JSON.stringify(entry.dnsNames),
    x509_svid_ttl_s: entry.x509SvidTtlS,
    jwt_svid_ttl_s: entry.jwtSvidTtlS,
    admin: entry.admin ? 1 : 0,
    downstream: entry.downstream ? 1 : 0,
    store_svid: entry.storeSvid ? 1 : 0,
    hint: entry.hint,
    attributes: hasAttributes(entry.attributes) ? JSON.stringify(entry.attributes) : NO_ATTRIBUTES_TEXT,
    expires_at_s: entry.expiresAtS,
    created_at_s: entry.createdAtS,
    revision_number: entry.revisionNumber,
    likeness: likenessOf(entry),
  };
}

/** The entry in a row that {@link rowOf} made. Reading many, `parents` makes those of one parent share its parsed form. */
export function entryOf(row: EntryColumns, parents: Map<string, SpiffeId> = new Map()): Entry {
  let parentId = parents.get(row.parent_id);
  if (parentId === undefined) {
    parentId = parseSpiffeId(row.parent_id);
    parents.set(row.parent_id, parentId);
  }
  return {
    id: row.id,
    spiffeId: parseSpiffeId(row.spiffe_id),
    parentId,
    selectors: selectorsOf(row.selectors),
    x509SvidTtlS: row.x509_svid_ttl_s,
    jwtSvidTtlS: row.jwt_svid_ttl_s,
    federatesWith: row.federates_with === '[]' ? NONE : textsOf(row.federates_with).map(parseTrustDomain),
    admin: row.admin === 1,
    downstream: row.downstream === 1,
    expiresAtS: row.expires_at_s,
    dnsNames: row.dns_names === '[]' ? NONE : textsOf(row.dns_names),
    revisionNumber: row.revision_number,
    storeSvid: row.store_svid === 1,
    hint: row.hint,
    attributes: attributesIn(row.attributes),
    createdAtS: row.created_at_s,
  };
}

/** What the column of attributes says. */
export function attributesIn(text: string): IdentityAttributes {
  return text === NO_ATTRIBUTES_TEXT ? NO_ATTRIBUTES : (JSON.parse(text) as IdentityAttributes); // Written by `rowOf`.
}

/** Equal for entries with the same SPIFFE ID, parent and (sorted) selectors. */
export function likenessOf(entry: Pick<Entry, 'spiffeId' | 'parentId' | 'selectors'>): string {
  const parts = [entry.spiffeId.uri, entry.parentId.uri, ...entry.selectors.map(formatSelector)];
  // JSON, so that no two different lists have the same text.
  return sha256(Buffer.from(JSON.stringify(parts))).toString('base64url');
}

/** What an entry can be found by. */
export function factsOf(entry: Pick<Entry, 'selectors' | 'federatesWith'>): readonly string[] {
  return [...entry.selectors.map(selectorFact), ...entry.federatesWith.map(federationFact)];
}

export function selectorFact(selector: Selector): string {
  return `s:${formatSelector(selector)}`;
}

export function federationFact(trustDomain: string): string {
  return `f:${trustDomain}`;
}

function selectorsOf(text: string): readonly Selector[] {
  return JSON.parse(text) as Selector[]; // Written by `rowOf`.
}

function textsOf(text: string): readonly string[] {
  return JSON.parse(text) as string[]; // Written by `rowOf`.
}

/** What the migration gives to entries that were there before. */
export const NO_ATTRIBUTES_TEXT = '';
/** Most entries have none: they share it. */
const NONE: readonly never[] = [];
