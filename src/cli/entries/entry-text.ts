import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Entry, EntrySchema } from '@countersign/sdk/contract/gen/spire/api/types/entry_pb.ts';
import { parseSpiffeId } from '@countersign/sdk/identity';
import { parseSelector } from '../../model/index.ts';
import { formatDurationMs, parseDurationMs } from '../../std/index.ts';
import { UsageError } from '../command.ts';
import { formatFields, formatList, formatTimeS } from '../terminal/table.ts';

/** An entry as people write it, in `apply` files and in options. */
export interface EntryText {
  readonly id: string;
  readonly spiffeId: string;
  readonly parentId: string;
  readonly selectors: readonly string[];
  readonly x509Ttl?: string | undefined;
  readonly jwtTtl?: string | undefined;
  readonly dnsNames?: readonly string[] | undefined;
  readonly federatesWith?: readonly string[] | undefined;
  readonly admin?: boolean | undefined;
  readonly hint?: string | undefined;
}

/** The message for the server. @throws IdentityError, UsageError */
export function entryMessage(text: EntryText): MessageInitShape<typeof EntrySchema> {
  return {
    id: text.id,
    spiffeId: idMessage(text.spiffeId),
    parentId: idMessage(text.parentId),
    selectors: text.selectors.map((selector) => {
      const parsed = parseSelector(selector);
      if (!parsed) throw new UsageError(`${selector} is no selector; it is written type:value, as in unix:uid:1000`);
      return parsed;
    }),
    x509SvidTtl: seconds(text.x509Ttl),
    jwtSvidTtl: seconds(text.jwtTtl),
    dnsNames: [...(text.dnsNames ?? [])],
    federatesWith: [...(text.federatesWith ?? [])],
    admin: text.admin ?? false,
    hint: text.hint ?? '',
  };
}

/** The parts of a SPIFFE ID. @throws IdentityError */
export function idMessage(uri: string): { trustDomain: string; path: string } {
  const { trustDomain, path } = parseSpiffeId(uri);
  return { trustDomain, path };
}

/** `spiffe://…` of a message; empty when absent. */
export function idText(id: { trustDomain: string; path: string } | undefined): string {
  return id ? `spiffe://${id.trustDomain}${id.path}` : '';
}

/** The entry as it is shown with `--json`. */
export function entryValue(entry: Entry) {
  return {
    id: entry.id,
    spiffeId: idText(entry.spiffeId),
    parentId: idText(entry.parentId),
    selectors: entry.selectors.map(({ type, value }) => `${type}:${value}`),
    x509SvidTtlS: entry.x509SvidTtl,
    jwtSvidTtlS: entry.jwtSvidTtl,
    dnsNames: entry.dnsNames,
    federatesWith: entry.federatesWith,
    admin: entry.admin,
    hint: entry.hint,
    expiresAtS: Number(entry.expiresAt),
    createdAtS: Number(entry.createdAt),
    revision: Number(entry.revisionNumber),
  };
}

/** One entry for a person. */
export function formatEntry(entry: Entry, columns: number): string {
  const value = entryValue(entry);
  return formatFields(
    [
      ['entry', value.id],
      ['identity', value.spiffeId],
      ['parent', value.parentId],
      ['selectors', value.selectors.join(', ')],
      ['X.509 TTL', ttlText(value.x509SvidTtlS)],
      ['JWT TTL', ttlText(value.jwtSvidTtlS)],
      ...(value.dnsNames.length > 0 ? [['DNS names', value.dnsNames.join(', ')] as const] : []),
      ...(value.admin ? [['admin', 'yes'] as const] : []),
      ...(value.hint ? [['hint', value.hint] as const] : []),
      ['created', formatTimeS(value.createdAtS)],
      ['revision', String(value.revision)],
    ],
    columns,
  );
}

/** A list of entries for a person. */
export function formatEntries(entries: readonly Entry[], columns: number): string {
  const rows = entries.map((entry) => {
    const value = entryValue(entry);
    return [value.id, value.spiffeId, value.parentId, value.selectors.join(', ')];
  });
  return formatList(['entry', 'identity', 'parent', 'selectors'], rows, columns);
}

function ttlText(ttlS: number): string {
  return ttlS === 0 ? 'as the server says' : formatDurationMs(ttlS * 1000);
}

function seconds(duration: string | undefined): number {
  if (duration === undefined) return 0;
  const durationMs = parseDurationMs(duration);
  if (durationMs === undefined || durationMs < 1000)
    throw new UsageError(`${duration} is no duration of a second or more; write 90s, 15m or 1h`);
  return Math.floor(durationMs / 1000);
}
