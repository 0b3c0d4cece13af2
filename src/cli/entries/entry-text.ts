import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Entry, EntrySchema } from '@countersign/sdk/contract/gen/spire/api/types/entry_pb.ts';
import { parseSpiffeId } from '@countersign/sdk/identity';
import {
  hasAttributes,
  type IdentityAttributes,
  InvalidAttributes,
  NO_ATTRIBUTES,
  parseIdentityAttributes,
  parseSelector,
} from '../../model/index.ts';
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
  readonly owner?: string | undefined;
  readonly environment?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** What it says of its identity. @throws UsageError */
export function attributesOf({
  owner,
  environment,
  labels,
}: Pick<EntryText, 'owner' | 'environment' | 'labels'>): IdentityAttributes {
  try {
    return parseIdentityAttributes({ owner, environment, labels });
  } catch (cause) {
    if (!(cause instanceof InvalidAttributes)) throw cause;
    throw new UsageError(cause.message, { cause });
  }
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

/** The entry as it is shown with `--json`. `attributes`: of {@link entryAttributes}. */
export function entryValue(entry: Entry, attributes: IdentityAttributes = NO_ATTRIBUTES) {
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
    owner: attributes.owner,
    environment: attributes.environment,
    labels: attributes.labels,
    expiresAtS: Number(entry.expiresAt),
    createdAtS: Number(entry.createdAt),
    revision: Number(entry.revisionNumber),
  };
}

/** See {@link entryValue}. */
export type EntryValue = ReturnType<typeof entryValue>;

/** One entry for a person. */
export function formatEntry(value: EntryValue, columns: number): string {
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
      ...(value.owner ? [['owner', value.owner] as const] : []),
      ...(value.environment ? [['environment', value.environment] as const] : []),
      ...(Object.keys(value.labels).length > 0 ? [['labels', labelsText(value.labels)] as const] : []),
      ['created', formatTimeS(value.createdAtS)],
      ['revision', String(value.revision)],
    ],
    columns,
  );
}

/** A list of entries for a person. */
export function formatEntries(entries: readonly EntryValue[], columns: number): string {
  const isAny = entries.some(hasAttributes);
  const rows = entries.map((value) => {
    const about = [value.owner && `owner=${value.owner}`, value.environment && `environment=${value.environment}`];
    const said = [...about, labelsText(value.labels)].filter((text) => text !== '').join(', ');
    return [value.id, value.spiffeId, value.parentId, value.selectors.join(', '), ...(isAny ? [said] : [])];
  });
  return formatList(['entry', 'identity', 'parent', 'selectors', ...(isAny ? ['attributes'] : [])], rows, columns);
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ');
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
