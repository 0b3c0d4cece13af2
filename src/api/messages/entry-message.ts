import type { MessageInitShape } from '@bufbuild/protobuf';
import type { CountEntriesRequest_Filter } from '@countersign/sdk/contract/gen/spire/api/server/entry/v1/entry_pb.ts';
import type {
  EntryMask,
  Entry as EntryMessage,
  EntrySchema,
} from '@countersign/sdk/contract/gen/spire/api/types/entry_pb.ts';
import { FederatesWithMatch_MatchBehavior } from '@countersign/sdk/contract/gen/spire/api/types/federateswith_pb.ts';
import { SelectorMatch_MatchBehavior } from '@countersign/sdk/contract/gen/spire/api/types/selector_pb.ts';
import type { Entry } from '../../model/index.ts';
import type { EntryField, EntryFilter, EntryInput, MatchMode } from '../../registration/index.ts';
import { idText, toIdMessage, trustDomainText } from '../ids.ts';
import { invalid } from '../status.ts';

/** An entry as the SPIRE API writes it, only with the fields of the mask; the id always. */
export function toEntryMessage(entry: Entry, mask: EntryMask | undefined): MessageInitShape<typeof EntrySchema> {
  const wants = (field: keyof EntryMask) => mask === undefined || mask[field] === true;
  return {
    id: entry.id,
    ...(wants('spiffeId') && { spiffeId: toIdMessage(entry.spiffeId) }),
    ...(wants('parentId') && { parentId: toIdMessage(entry.parentId) }),
    ...(wants('selectors') && { selectors: [...entry.selectors] }),
    ...(wants('x509SvidTtl') && { x509SvidTtl: entry.x509SvidTtlS }),
    ...(wants('jwtSvidTtl') && { jwtSvidTtl: entry.jwtSvidTtlS }),
    ...(wants('federatesWith') && { federatesWith: [...entry.federatesWith] }),
    ...(wants('admin') && { admin: entry.admin }),
    ...(wants('downstream') && { downstream: entry.downstream }),
    ...(wants('expiresAt') && { expiresAt: BigInt(entry.expiresAtS) }),
    ...(wants('dnsNames') && { dnsNames: [...entry.dnsNames] }),
    ...(wants('revisionNumber') && { revisionNumber: BigInt(entry.revisionNumber) }),
    ...(wants('storeSvid') && { storeSvid: entry.storeSvid }),
    ...(wants('hint') && { hint: entry.hint }),
    ...(wants('createdAt') && { createdAt: BigInt(entry.createdAtS) }),
  };
}

/** What a caller says of an entry; registration checks it. @throws RpcError INVALID_ARGUMENT */
export function parseEntry(message: EntryMessage): EntryInput {
  if (message.additionalAttributes?.disableX509SvidPrefetch || message.additionalAttributes?.jwtSvidIncludeJti) {
    throw invalid('additional attributes of entries are not supported here');
  }
  return {
    id: message.id,
    spiffeId: idText(message.spiffeId),
    parentId: idText(message.parentId),
    selectors: message.selectors.map(({ type, value }) => ({ type, value })),
    x509SvidTtlS: message.x509SvidTtl,
    jwtSvidTtlS: message.jwtSvidTtl,
    federatesWith: message.federatesWith.map(trustDomainText),
    admin: message.admin,
    downstream: message.downstream,
    expiresAtS: seconds(message.expiresAt, 'expires_at'),
    dnsNames: message.dnsNames,
    storeSvid: message.storeSvid,
    hint: message.hint,
  };
}

/** The fields that an input mask names; undefined = all. Fields that no caller may set are passed over, as SPIRE does. */
export function parseInputMask(mask: EntryMask | undefined): ReadonlySet<EntryField> | undefined {
  if (mask === undefined) return undefined;
  return new Set(MASK_FIELDS.filter(([name]) => mask[name]).map(([, field]) => field));
}

/** @throws RpcError INVALID_ARGUMENT */
export function parseEntryFilter(
  // The filters of counting and listing are the same but for their names.
  filter: Omit<CountEntriesRequest_Filter, '$typeName' | '$unknown'> | undefined,
): EntryFilter {
  if (filter === undefined) return {};
  const { bySpiffeId, byParentId, bySelectors, byFederatesWith, byHint, byDownstream } = filter;
  if (bySelectors !== undefined && bySelectors.selectors.length === 0) throw invalid('the selector filter is empty');
  if (byFederatesWith !== undefined && byFederatesWith.trustDomains.length === 0) {
    throw invalid('the federates_with filter is empty');
  }
  return {
    ...(bySpiffeId && { spiffeId: idText(bySpiffeId) }),
    ...(byParentId && { parentId: idText(byParentId) }),
    ...(bySelectors && {
      selectors: {
        values: bySelectors.selectors.map(({ type, value }) => ({ type, value })),
        match: parseMatch(bySelectors.match),
      },
    }),
    ...(byFederatesWith && {
      federatesWith: {
        values: byFederatesWith.trustDomains.map(trustDomainText),
        match: parseMatch(byFederatesWith.match),
      },
    }),
    ...(byHint !== undefined && { hint: byHint }),
    ...(byDownstream !== undefined && { downstream: byDownstream }),
  };
}

/** @throws RpcError INVALID_ARGUMENT */
export function parseMatch(match: number): MatchMode {
  const mode = MATCH_MODES[match];
  if (mode === undefined) throw invalid(`there is no match behaviour ${match}`);
  return mode;
}

/** A whole number of seconds that fits. @throws RpcError INVALID_ARGUMENT */
function seconds(value: bigint, field: string): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(`${field} is out of range`);
  return Number(value);
}

/** By number; the enums of selectors and of trust domains are the same (checked on the next lines). */
const MATCH_MODES: readonly MatchMode[] = ['exact', 'subset', 'superset', 'any'];
SelectorMatch_MatchBehavior.MATCH_ANY satisfies 3;
FederatesWithMatch_MatchBehavior.MATCH_ANY satisfies 3;

const MASK_FIELDS: readonly (readonly [keyof EntryMask, EntryField])[] = [
  ['spiffeId', 'spiffeId'],
  ['parentId', 'parentId'],
  ['selectors', 'selectors'],
  ['x509SvidTtl', 'x509SvidTtlS'],
  ['jwtSvidTtl', 'jwtSvidTtlS'],
  ['federatesWith', 'federatesWith'],
  ['admin', 'admin'],
  ['downstream', 'downstream'],
  ['expiresAt', 'expiresAtS'],
  ['dnsNames', 'dnsNames'],
  ['storeSvid', 'storeSvid'],
  ['hint', 'hint'],
];
