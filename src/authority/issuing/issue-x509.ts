import type { TrustDomain } from '@countersign/sdk/identity';
import type { Random } from '../../std/index.ts';
import {
  algorithmForKey,
  type Certificate,
  createSvidWriter,
  isDnsName,
  leafId,
  parseCertificate,
  parsePublicKeyInfo,
  parseSubjectKey,
  type SubjectKey,
  type SvidFields,
  verifySignedBy,
  X509Error,
} from '../../wire/x509/index.ts';
import type { IssuedX509Svid, X509SvidRequest } from '../authority.ts';
import { AuthorityError } from '../errors.ts';
import type { JournalRow } from '../journal.ts';
import type { SigningKey } from '../keystore.ts';
import type { Timeline } from '../timeline.ts';
import { createSerials } from './serials.ts';
import { createSignatureCheck } from './signature-check.ts';

/** Issues X.509-SVIDs of one active authority. */
export interface X509Issuer {
  readonly id: string;
  issue(request: X509SvidRequest): IssuedX509Svid;
}

/**
 * Creates the issuer of an active authority. The key must be the certificate's.
 * @throws AuthorityError ERR_AUTHORITY_JOURNAL
 */
export function createX509Issuer(deps: {
  readonly row: JournalRow;
  readonly key: SigningKey;
  readonly trustDomain: TrustDomain;
  readonly timeline: Timeline;
  readonly random: Random;
  readonly defaultTtlMs: number;
}): X509Issuer {
  const ca = parseCertificate(deps.row.certificateDer);
  const { subjectKeyId } = ca;
  if (!subjectKeyId || !ca.spkiDer.equals(deps.key.publicKeyDer)) {
    throw new AuthorityError(
      'ERR_AUTHORITY_JOURNAL',
      `authority ${deps.row.id} and key ${deps.key.keyId} do not belong together`,
    );
  }
  const algorithm = algorithmForKey(parsePublicKeyInfo(ca.spkiDer).kind);
  const writer = createSvidWriter({
    subjectDer: ca.subjectDer,
    subjectKeyId,
    algorithm,
    sign: (data) => deps.key.sign(data, algorithm),
  });
  const signatures = createSignatureCheck(algorithm);
  const nextSerial = createSerials(deps.random);
  return {
    id: deps.row.id,
    issue(request) {
      const latestS = Math.floor(deps.timeline.latestMs() / 1000);
      if (latestS >= ca.notAfterS) {
        throw new AuthorityError('ERR_AUTHORITY_NOT_READY', `the active authority ${deps.row.id} has expired`);
      }
      checkRequest(request, deps.trustDomain);
      const subjectKey = parseKey(request.publicKeyDer);
      const ttlS = request.ttlS === 0 ? Math.floor(deps.defaultTtlMs / 1000) : request.ttlS;
      const notBeforeS = Math.floor(deps.timeline.earliestMs() / 1000) - BACKDATE_S;
      const fields = {
        serial: nextSerial(),
        notBeforeS: Math.max(notBeforeS, ca.notBeforeS),
        notAfterS: Math.min(latestS + ttlS, ca.notAfterS),
        spkiDer: subjectKey.spkiDer,
        uri: request.spiffeId.uri,
        dnsNames: request.dnsNames,
      };
      const der = writer.write(fields);
      const leaf = parseCertificate(der);
      if (!isAsAsked(leaf, ca, fields) || !signatures.areSound(() => verifySignedBy(leaf, ca))) {
        throw new AuthorityError(
          'ERR_AUTHORITY_SELF_CHECK',
          `the SVID written for ${fields.uri} is not what was asked for`,
        );
      }
      return { chainDer: [der], serial: leaf.serial, expiresAtS: leaf.notAfterS };
    },
  };
}

/** An SVID begins this long before it is issued: verifiers' clocks may be late. */
export const BACKDATE_S = 10;

function checkRequest(request: X509SvidRequest, trustDomain: TrustDomain): void {
  const { spiffeId, ttlS, dnsNames } = request;
  if (spiffeId.trustDomain !== trustDomain || spiffeId.path === '') {
    throw new AuthorityError('ERR_AUTHORITY_REQUEST', `${spiffeId.uri} is no workload or node of ${trustDomain}`);
  }
  checkTtl(ttlS);
  if (dnsNames.length > DNS_NAMES_MAX) {
    throw new AuthorityError(
      'ERR_AUTHORITY_REQUEST',
      `an SVID has at most ${DNS_NAMES_MAX} DNS names, not ${dnsNames.length}`,
    );
  }
  const seen = new Set<string>();
  for (const name of dnsNames) {
    if (!isDnsName(name))
      throw new AuthorityError('ERR_AUTHORITY_REQUEST', `not a DNS name: ${JSON.stringify(name.slice(0, 253))}`);
    seen.add(name.toLowerCase());
  }
  // A name given twice, once by a wildcard: whoever reads the certificate can't tell what was meant.
  const covered = dnsNames.find((name) => {
    const wildcard = name.toLowerCase().replace(/^[^.*]+\./, '*.');
    return wildcard.startsWith('*.') && !name.startsWith('*') && seen.has(wildcard); // A name without a dot has none.
  });
  if (seen.size !== dnsNames.length || covered !== undefined) {
    throw new AuthorityError('ERR_AUTHORITY_REQUEST', 'the DNS names of an SVID overlap');
  }
}

function parseKey(publicKey: Buffer | SubjectKey): SubjectKey {
  if (!Buffer.isBuffer(publicKey)) return publicKey;
  try {
    return parseSubjectKey(publicKey);
  } catch (cause) {
    if (cause instanceof X509Error)
      throw new AuthorityError('ERR_AUTHORITY_REQUEST', `the public key: ${cause.message}`, { cause });
    throw cause;
  }
}

/** @throws AuthorityError ERR_AUTHORITY_REQUEST */
export function checkTtl(ttlS: number): void {
  if (!Number.isSafeInteger(ttlS) || ttlS < 0 || ttlS > TTL_S_MAX) {
    throw new AuthorityError('ERR_AUTHORITY_REQUEST', `a lifetime is 0 to ${TTL_S_MAX} whole seconds, not ${ttlS}`);
  }
}

/** Reads back what was written: a fault of the writer or of memory must not leave this process. */
function isAsAsked(leaf: Certificate, ca: Certificate, fields: SvidFields): boolean {
  const id = leafId(leaf);
  return (
    typeof id !== 'string' &&
    id.uri === fields.uri &&
    leaf.serial === BigInt(`0x${fields.serial.toString('hex')}`).toString() &&
    leaf.notBeforeS === fields.notBeforeS &&
    leaf.notAfterS === fields.notAfterS &&
    leaf.notAfterS <= ca.notAfterS &&
    leaf.spkiDer.equals(fields.spkiDer) &&
    leaf.issuerDer.equals(ca.subjectDer) &&
    ca.subjectKeyId !== undefined &&
    leaf.authorityKeyId?.keyId?.equals(ca.subjectKeyId) === true &&
    leaf.names.dnsNames.join(' ') === fields.dnsNames.join(' ') &&
    leaf.unknownCritical.length === 0
  );
}

const DNS_NAMES_MAX = 100;
/** Ten years: longer than any authority; the issuer's own end cuts it anyway. */
const TTL_S_MAX = 10 * 365 * 86_400;
