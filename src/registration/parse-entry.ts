import { parseSpiffeId, parseTrustDomain, type SpiffeId, type TrustDomain } from '@countersign/sdk/identity';
import {
  compareSelectors,
  type Entry,
  formatSelector,
  type IdentityAttributes,
  InvalidAttributes,
  NO_ATTRIBUTES,
  parseIdentityAttributes,
  type Selector,
} from '../model/index.ts';
import { messageOf } from '../std/index.ts';
import type { EntryInput } from './types.ts';

/** An entry as its author decides it; the rest is ours. */
export type EntryContent = Omit<Entry, 'id' | 'revisionNumber' | 'createdAtS'>;

/** What an entry is checked against. */
export interface EntryRules {
  readonly trustDomain: TrustDomain;
  readonly knowsTrustDomain: (trustDomain: TrustDomain) => boolean;
}

/** Why an input is no entry; carried to the caller as the result of its item. */
export class InvalidEntry extends Error {}

/**
 * Parses what a caller says of an entry. Selectors and trust domains come out sorted and once each.
 * @throws InvalidEntry with a message for the caller
 */
export function parseEntryContent(input: EntryInput, rules: EntryRules): EntryContent {
  const spiffeId = memberId('spiffe_id', input.spiffeId, rules.trustDomain);
  if (spiffeId.path === '/spire' || spiffeId.path.startsWith('/spire/')) {
    throw new InvalidEntry(`spiffe_id ${spiffeId.uri} is under /spire/, which is reserved for servers and agents`);
  }
  const parentId = memberId('parent_id', input.parentId, rules.trustDomain);
  checkReach(spiffeId, parentId, input);
  const selectors = parseSelectors(input.selectors);
  const storeSvid = input.storeSvid ?? false;
  if (storeSvid && selectors.some((selector) => selector.type !== selectors[0]?.type)) {
    throw new InvalidEntry('store_svid needs all selectors to have the same type');
  }
  const hint = input.hint ?? '';
  if (Buffer.byteLength(hint) > HINT_BYTES_MAX) {
    throw new InvalidEntry(`hint has ${Buffer.byteLength(hint)} bytes, allowed are ${HINT_BYTES_MAX}`);
  }
  if (hint.includes('\0')) throw new InvalidEntry('hint holds a NUL character');
  return {
    spiffeId,
    parentId,
    selectors,
    x509SvidTtlS: wholeNumber('x509_svid_ttl', input.x509SvidTtlS ?? 0, TTL_S_MAX),
    jwtSvidTtlS: wholeNumber('jwt_svid_ttl', input.jwtSvidTtlS ?? 0, TTL_S_MAX),
    federatesWith: parseFederatesWith(input.federatesWith ?? [], rules),
    admin: input.admin ?? false,
    downstream: input.downstream ?? false,
    expiresAtS: wholeNumber('expires_at', input.expiresAtS ?? 0, EPOCH_S_MAX),
    dnsNames: parseDnsNames(input.dnsNames ?? []),
    storeSvid,
    hint,
    attributes: attributesOf(input),
  };
}

function attributesOf({ attributes }: EntryInput): IdentityAttributes {
  if (attributes === undefined) return NO_ATTRIBUTES;
  try {
    return parseIdentityAttributes(attributes);
  } catch (error) {
    if (error instanceof InvalidAttributes) throw new InvalidEntry(error.message);
    throw error;
  }
}

/**
 * An identity that acts for others must not be had on every node: one stolen machine would then hold the whole estate. It names the node
 * that it lives on, by the agent's own id or by the alias that the node's join token was made with.
 */
function checkReach(spiffeId: SpiffeId, parentId: SpiffeId, input: EntryInput): void {
  if (parentId.path !== EVERY_NODE) return;
  const isGateway = spiffeId.path === GATEWAY || spiffeId.path.startsWith(`${GATEWAY}/`);
  const what = isGateway
    ? 'a gateway'
    : input.admin
      ? 'an admin'
      : input.downstream
        ? 'a downstream server'
        : undefined;
  if (what === undefined) return;
  throw new InvalidEntry(
    `${spiffeId.uri} is ${what}, and ${parentId.uri} is every attested node; name the one node that it lives on as parent_id (a node's token can be made with an agent_id for that)`,
  );
}

/** Checks an id chosen by the caller. @throws InvalidEntry */
export function checkEntryId(id: string): void {
  if (id.length <= ID_CHARS_MAX && /^[A-Za-z0-9._-]+$/.test(id)) return;
  throw new InvalidEntry(`id must be 1 to ${ID_CHARS_MAX} letters, digits, dots, dashes and underscores`);
}

function memberId(field: string, text: string, trustDomain: TrustDomain): SpiffeId {
  const id = parsed(field, () => parseSpiffeId(text));
  if (id.trustDomain !== trustDomain) {
    throw new InvalidEntry(`${field} ${id.uri} is in trust domain ${id.trustDomain}, this server's is ${trustDomain}`);
  }
  if (id.path === '') throw new InvalidEntry(`${field} ${id.uri} is the trust domain itself: a path is needed`);
  return id;
}

function parseSelectors(selectors: readonly Selector[]): readonly Selector[] {
  if (selectors.length === 0) throw new InvalidEntry('at least one selector is needed');
  if (selectors.length > SELECTORS_MAX) {
    throw new InvalidEntry(`${selectors.length} selectors are given, allowed are ${SELECTORS_MAX}`);
  }
  const unique = new Map<string, Selector>();
  for (const { type, value } of selectors) {
    if (type === '' || value === '') throw new InvalidEntry('a selector has an empty type or value');
    if (type.includes(':')) throw new InvalidEntry(`selector type ${type} holds a colon`);
    if (type.length + value.length > SELECTOR_CHARS_MAX) {
      throw new InvalidEntry(`a selector of type ${type.slice(0, 40)} is longer than ${SELECTOR_CHARS_MAX} characters`);
    }
    // PostgreSQL keeps no NUL in text, and no attested fact holds one.
    if (type.includes('\0') || value.includes('\0')) throw new InvalidEntry('a selector holds a NUL character');
    unique.set(formatSelector({ type, value }), { type, value });
  }
  return [...unique.values()].sort(compareSelectors);
}

function parseFederatesWith(names: readonly string[], rules: EntryRules): readonly TrustDomain[] {
  if (names.length > FEDERATES_WITH_MAX) {
    throw new InvalidEntry(`${names.length} trust domains are given, allowed are ${FEDERATES_WITH_MAX}`);
  }
  const domains = names.map((name) => parsed('federates_with', () => parseTrustDomain(name)));
  for (const domain of domains) {
    if (domain === rules.trustDomain)
      throw new InvalidEntry(`federates_with names this trust domain itself: ${domain}`);
    if (!rules.knowsTrustDomain(domain)) {
      throw new InvalidEntry(`federates_with names ${domain}, whose bundle is not known: add the bundle first`);
    }
  }
  return [...new Set(domains)].sort();
}

function parseDnsNames(names: readonly string[]): readonly string[] {
  if (names.length > DNS_NAMES_MAX) {
    throw new InvalidEntry(`${names.length} DNS names are given, allowed are ${DNS_NAMES_MAX}`);
  }
  for (const name of names) {
    const labels = name.startsWith('*.') ? name.slice(2).split('.') : name.split('.');
    // @see RFC 1123 §2.1; underscores are in use for services.
    const valid = labels.every((label) => /^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/.test(label));
    if (!valid || name.length > DNS_NAME_CHARS_MAX) {
      throw new InvalidEntry(
        `dns_names holds ${JSON.stringify(name.slice(0, DNS_NAME_CHARS_MAX))}, which is no DNS name`,
      );
    }
  }
  const lower = names.map((name) => name.toLowerCase());
  const twice = lower.find((name, place) => lower.indexOf(name) !== place);
  if (twice !== undefined) throw new InvalidEntry(`dns_names holds ${twice} twice`);
  return [...names];
}

function wholeNumber(field: string, value: number, max: number): number {
  if (Number.isSafeInteger(value) && value >= 0 && value <= max) return value;
  throw new InvalidEntry(`${field} is ${value}, allowed are whole numbers from 0 to ${max}`);
}

function parsed<T>(field: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    // An IdentityError says what is wrong with the text: that is what the caller needs to know.
    throw new InvalidEntry(`${field} is malformed: ${messageOf(error)}`);
  }
}

const ID_CHARS_MAX = 255;
const HINT_BYTES_MAX = 1024;
/** Far above what attestors produce for one workload. */
const SELECTORS_MAX = 100;
const SELECTOR_CHARS_MAX = 2048;
const FEDERATES_WITH_MAX = 100;
const DNS_NAMES_MAX = 100;
/** @see RFC 1035 §3.1 */
const DNS_NAME_CHARS_MAX = 253;
/** What SPIRE's 32-bit field carries. */
const TTL_S_MAX = 2 ** 31 - 1;
/** The year 9999: later does not fit a certificate. */
const EPOCH_S_MAX = 253_402_300_799;
/** The alias of every attested node (decision 0006), and where gateways have their identities (decision 0002). */
const EVERY_NODE = '/countersign/nodes';
const GATEWAY = '/countersign/gateway';
