import type { Certificate } from '../certificates/certificate.ts';
import type { NameConstraints } from '../certificates/extensions.ts';
import { comparableName } from '../names/distinguished-name.ts';
import type { GeneralNames } from '../names/general-names.ts';

/**
 * True when every name of `certificate` lies within `constraints`. Fails closed: a constraint that is malformed, or of a kind
 * that is not judged here while the certificate holds a name of that kind, is a refusal. `leadingDot` allows DNS constraints in the form that
 * RFC 5280 has for URIs only, as many CAs write them: `.example.org` for all names below.
 * @see RFC 5280 §4.2.1.10
 */
export function withinConstraints(
  certificate: Certificate,
  constraints: NameConstraints,
  { leadingDot }: { readonly leadingDot: boolean },
): boolean {
  for (const set of [constraints.permitted, constraints.excluded])
    if (set && !wellFormed(set, leadingDot)) return false;
  return judges.every((judge) => judge(certificate, constraints));
}

type Judge = (certificate: Certificate, constraints: NameConstraints) => boolean;

function judgeNames<N, B>(
  namesOf: (names: GeneralNames) => readonly N[],
  basesOf: (names: GeneralNames) => readonly B[],
  matches: (name: N, base: B) => boolean | undefined,
): Judge {
  return (certificate, { permitted, excluded }) =>
    namesOf(certificate.names).every((name) => {
      const allowed = permitted ? basesOf(permitted) : [];
      const denied = excluded ? basesOf(excluded) : [];
      // `undefined` is a name that can't be judged: neither permitted nor clear of what is excluded.
      if (allowed.length > 0 && !allowed.some((base) => matches(name, base) === true)) return false;
      return denied.every((base) => matches(name, base) === false);
    });
}

const judges: readonly Judge[] = [
  judgeNames(
    (names) => names.dnsNames,
    (names) => names.dnsNames,
    matchDns,
  ),
  judgeNames(
    (names) => names.uris,
    (names) => names.uris,
    matchUri,
  ),
  judgeNames(
    (names) => names.ipAddresses,
    (names) => names.ipAddresses,
    matchIp,
  ),
  judgeNames(
    (names) => names.emails,
    (names) => names.emails,
    matchEmail,
  ),
  judgeDirectoryNames,
  // Kinds that are not judged: any constraint on one of them refuses a certificate that holds a name of that kind.
  (certificate, { permitted, excluded }) =>
    certificate.names.otherTags.every(
      (tag) => !(permitted?.otherTags.includes(tag) ?? false) && !(excluded?.otherTags.includes(tag) ?? false),
    ),
];

function matchDns(name: string, base: string): boolean | undefined {
  const host = name.toLowerCase();
  // A wildcard stands for names on both sides of a line: it is judged by the name it hangs under, for exclusion also by what it covers.
  const bare = host.startsWith('*.') ? host.slice(2) : host;
  if (!isHostName(bare)) return undefined;
  if (base === '') return true;
  const wanted = base.toLowerCase();
  if (wanted.startsWith('.')) {
    if (host.endsWith(wanted)) return true;
  } else if (bare === wanted || bare.endsWith(`.${wanted}`)) return true;
  if (bare !== host && wanted.endsWith(`.${bare}`)) return undefined;
  return false;
}

/** URI constraints are on the host: exact, or with a leading dot all names below it. */
function matchUri(uri: string, base: string): boolean | undefined {
  const host = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#:@]+)(?::\d+)?(?:[/?#]|$)/i.exec(uri)?.[1]?.toLowerCase();
  if (host === undefined || /^[\d.]+$/.test(host) || host.startsWith('[')) return undefined;
  const wanted = base.toLowerCase();
  return wanted.startsWith('.') ? host.endsWith(wanted) && host.length > wanted.length : host === wanted;
}

function matchIp(address: Buffer, base: Buffer): boolean | undefined {
  if (address.length !== 4 && address.length !== 16) return undefined;
  if (base.length !== address.length * 2) return false;
  return address.every((byte, i) => (byte & (base[address.length + i] ?? 0)) === (base[i] ?? 0));
}

function matchEmail(email: string, base: string): boolean | undefined {
  const at = email.lastIndexOf('@');
  if (at <= 0 || email.indexOf('@') !== at) return undefined;
  const host = email.slice(at + 1).toLowerCase();
  const wanted = base.toLowerCase();
  if (base.includes('@')) {
    // The local part is case-sensitive, the host is not.
    return email.slice(0, at) === base.slice(0, base.indexOf('@')) && host === wanted.slice(wanted.indexOf('@') + 1);
  }
  return wanted.startsWith('.') ? host.endsWith(wanted) && host.length > wanted.length : host === wanted;
}

/** Permitted by the form in which names are compared; excluded by a looser one, since an exclusion must not be dodged by another spelling. */
function judgeDirectoryNames(certificate: Certificate, { permitted, excluded }: NameConstraints): boolean {
  const names = [...certificate.names.directoryNames];
  if (certificate.subjectDer.length > EMPTY_NAME_LENGTH) names.push(certificate.subjectDer);
  const allowed = permitted?.directoryNames ?? [];
  const denied = excluded?.directoryNames ?? [];
  return (
    (allowed.length === 0 || countBelow(names, allowed, { loosely: false }) === names.length) &&
    countBelow(names, denied, { loosely: true }) === 0
  );
}

/** How many of the names lie below one of the bases. Each is read once: there may be a thousand of both. */
function countBelow(names: readonly Buffer[], bases: readonly Buffer[], how: { readonly loosely: boolean }): number {
  if (bases.length === 0) return 0;
  const read = bases.map((base) => comparableName(base, how));
  return names.filter((name) => {
    const parts = comparableName(name, how);
    return read.some((base) => base.every((part, index) => parts[index] === part));
  }).length;
}

function wellFormed(bases: GeneralNames, leadingDot: boolean): boolean {
  return (
    bases.dnsNames.every(
      (base) => base === '' || isHostName(leadingDot && base.startsWith('.') ? base.slice(1) : base),
    ) &&
    bases.uris.every((base) => isHostName(base.startsWith('.') ? base.slice(1) : base)) &&
    bases.emails.every((base) => isEmailBase(base)) &&
    bases.ipAddresses.every(isIpRange)
  );
}

function isHostName(text: string): boolean {
  return (
    text.length <= 253 &&
    text.split('.').every((label) => /^[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?$/.test(label))
  );
}

function isEmailBase(base: string): boolean {
  const parts = base.split('@');
  if (parts.length > 2) return false;
  const host = parts.at(-1) ?? '';
  if (parts.length === 2) return parts[0] !== '' && isHostName(host);
  return isHostName(host.startsWith('.') ? host.slice(1) : host);
}

/** Address and mask of one family, the mask being ones followed by zeros. */
function isIpRange(base: Buffer): boolean {
  if (base.length !== 8 && base.length !== 32) return false;
  const mask = base.subarray(base.length / 2);
  let ended = false;
  for (const byte of mask) {
    for (let bit = 7; bit >= 0; bit--) {
      const one = ((byte >> bit) & 1) === 1;
      if (one && ended) return false;
      if (!one) ended = true;
    }
  }
  return true;
}

/** `30 00`. */
const EMPTY_NAME_LENGTH = 2;
