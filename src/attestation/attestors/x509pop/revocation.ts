import { messageOf } from '../../../std/index.ts';
import {
  type Certificate,
  comparableName,
  decodePem,
  describeCertificate,
  describeFault,
  describeName,
  isListSignedBy,
  parseCertificate,
  parseRevocationList,
  type RevocationList,
  verifyChain,
} from '../../../wire/x509/index.ts';
import { AttestationError } from '../../errors.ts';

/** A CRL whose signature was verified, and the CA whose key it is by. */
export interface KnownList {
  readonly list: RevocationList;
  readonly issuer: Certificate;
}

/** `told` may go to whoever has shown the certificate; `known` is for the server's log, when that says more. */
export interface RevocationFault {
  readonly certificate: Certificate;
  readonly told: string;
  readonly known: string | undefined;
}

/**
 * Looks each certificate of a path up (leaf first, trust anchor last) but the anchor itself. Fails closed, as servers do that are given CRLs: a
 * CA on the path without one, or whose newest is out of its time, refuses.
 * @see RFC 5280 §6.3
 */
export function revocationFault(
  path: readonly Certificate[],
  lists: readonly KnownList[],
  nowMs: number,
): RevocationFault | undefined {
  const nowS = Math.floor(nowMs / 1000);
  for (const [place, certificate] of path.slice(0, -1).entries()) {
    const issuer = path[place + 1];
    const newest = issuer && newestOf(lists, issuer);
    const what = describeCertificate(certificate, place);
    const untold = (why: string) => ({
      certificate,
      told: `whether ${what} was revoked is not known to the server; its log says why`,
      known: `whether ${what} was revoked is not known: ${why} (RFC 5280 §6.3.3 (a))`,
    });
    if (!issuer || !newest) return untold(`crls holds no CRL by ${describeName(certificate.issuerDer)}`);
    if (nowS < newest.thisUpdateS) return untold(`the CRL by ${describeName(newest.issuerDer)} is not valid yet`);
    if (nowS > newest.nextUpdateS)
      return untold(`the CRL by ${describeName(newest.issuerDer)} has expired: put the next one in its place`);
    if (newest.revoked.has(certificate.serial))
      return { certificate, told: `${what} was revoked by its issuer (RFC 5280 §6.3.3 (i))`, known: undefined };
  }
  return undefined;
}

/** By key too: a CA that was renewed with another one has a list for each. */
function newestOf(lists: readonly KnownList[], issuer: Certificate): RevocationList | undefined {
  let newest: RevocationList | undefined;
  for (const known of lists) {
    if (!known.issuer.spkiDer.equals(issuer.spkiDer) || !isOneName(known.issuer.subjectDer, issuer.subjectDer))
      continue;
    if (!newest || known.list.thisUpdateS > newest.thisUpdateS) newest = known.list;
  }
  return newest;
}

/**
 * Reads a file of CRLs: PEM, or one in DER. Beside them the certificates of the CAs between may stand that the roots have certified, so that
 * their CRLs can be checked here and now. All must be right: a list that were left out could hold the very certificate that is shown next.
 * @throws AttestationError ERR_ATTEST_CONFIG naming file, list and rule
 */
export function readLists(
  bytes: Buffer,
  { path, roots, nowMs }: { readonly path: string; readonly roots: readonly Certificate[]; readonly nowMs: number },
): KnownList[] {
  const refuse = (problem: string, cause?: unknown) =>
    new AttestationError('ERR_ATTEST_CONFIG', `crls ${path}: ${problem}`, { cause });
  const lists: RevocationList[] = [];
  const between: Certificate[] = [];
  try {
    const blocks = bytes[0] === DER_SEQUENCE ? [{ label: CRL_LABEL, der: bytes }] : decodePem(bytes.toString('utf8'));
    for (const { label, der } of blocks) {
      if (label === CRL_LABEL) lists.push(parseRevocationList(der));
      else if (label === 'CERTIFICATE') between.push(parseCertificate(der));
      else throw refuse(`it holds a ${label}, which is neither a CRL nor a certificate`);
    }
  } catch (cause) {
    if (cause instanceof AttestationError) throw cause;
    throw refuse(`CRL or certificate ${lists.length + between.length + 1} can not be read: ${messageOf(cause)}`, cause);
  }
  if (lists.length === 0) throw refuse('it holds no CRL');
  const expired: Certificate[] = [];
  const signers = [...roots];
  for (const leaf of between) {
    const result = verifyChain({ leaf, intermediates: between, roots, nowMs, usage: 'any', rules: 'path' });
    if (result.ok) signers.push(leaf);
    else if (result.reason === 'expired') expired.push(leaf);
    else throw refuse(`a CA is not accepted: ${describeFault(result)}`);
  }
  return lists.flatMap((list, index) => {
    const what = `CRL ${index + 1}, by ${describeName(list.issuerDer)},`;
    const isNamed = (ca: Certificate) => isOneName(ca.subjectDer, list.issuerDer);
    const named = signers.filter(isNamed);
    // On no path any more, and it must not stop a server that starts again.
    if (named.length === 0 && expired.some(isNamed)) return [];
    if (named.length === 0)
      throw refuse(
        `${what} is of no CA in caBundle, nor of one whose certificate stands in this file (RFC 5280 §6.3.3 (f))`,
      );
    const issuer = named.find((ca) => isListSignedBy(list, ca));
    if (!issuer)
      throw refuse(`${what} is not signed by the key of that CA, or the CA may sign none (RFC 5280 §6.3.3 (f), (g))`);
    return [{ list, issuer }];
  });
}

function isOneName(a: Buffer, b: Buffer): boolean {
  return a.equals(b) || comparableName(a).join('\0\0') === comparableName(b).join('\0\0');
}

const CRL_LABEL = 'X509 CRL';
const DER_SEQUENCE = 0x30;
