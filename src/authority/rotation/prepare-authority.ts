import { formatSpiffeId, type TrustDomain } from '@countersign/sdk/identity';
import type { Random } from '../../std/index.ts';
import {
  algorithmForKey,
  encodeName,
  fixedWidthSerial,
  keyIdOf,
  parseCertificate,
  parsePublicKeyInfo,
  verifySignedBy,
  writeCaCertificate,
} from '../../wire/x509/index.ts';
import type { AuthorityKind } from '../authority.ts';
import { AuthorityError } from '../errors.ts';
import { BACKDATE_S } from '../issuing/issue-x509.ts';
import type { JournalRow } from '../journal.ts';
import type { SigningKey } from '../keystore.ts';
import type { Timeline } from '../timeline.ts';

/** The journal row of a new authority for a key that is in the keystore already: with a self-signed certificate for `x509`. */
export function prepareAuthority(deps: {
  readonly kind: AuthorityKind;
  readonly key: SigningKey;
  readonly serverId: string;
  readonly trustDomain: TrustDomain;
  readonly timeline: Timeline;
  readonly random: Random;
  readonly ttlMs: number;
}): JournalRow {
  const { kind, key, serverId, timeline } = deps;
  const notBeforeS = Math.floor(timeline.earliestMs() / 1000) - BACKDATE_S;
  const preparedAtMs = timeline.latestMs();
  const expiresAtS = Math.floor((preparedAtMs + deps.ttlMs) / 1000);
  const times = { notBeforeS, expiresAtS };
  return {
    id: keyIdOf(key.publicKeyDer).toString('hex'),
    kind,
    serverId,
    keyId: key.keyId,
    state: 'prepared',
    tainted: false,
    publicKeyDer: key.publicKeyDer,
    certificateDer: kind === 'x509' ? writeRoot(deps, times) : Buffer.alloc(0),
    ...times,
    preparedAtMs,
  };
}

function writeRoot(
  deps: { readonly key: SigningKey; readonly trustDomain: TrustDomain; readonly random: Random },
  times: { readonly notBeforeS: number; readonly expiresAtS: number },
): Buffer {
  const { key } = deps;
  const serial = fixedWidthSerial(deps.random.bytes(16));
  const algorithm = algorithmForKey(parsePublicKeyInfo(key.publicKeyDer).kind);
  const subjectDer = encodeName({
    country: 'US',
    organization: 'SPIFFE',
    // Every authority has a name of its own, so that verifiers that look issuers up by name alone find the right one.
    serialNumber: BigInt(`0x${serial.toString('hex')}`).toString(),
  });
  const der = writeCaCertificate({
    issuer: {
      subjectDer,
      subjectKeyId: keyIdOf(key.publicKeyDer),
      algorithm,
      sign: (data) => key.sign(data, algorithm),
    },
    subjectDer,
    spkiDer: key.publicKeyDer,
    serial,
    notBeforeS: times.notBeforeS,
    notAfterS: times.expiresAtS,
    uri: formatSpiffeId(deps.trustDomain),
  });
  const root = parseCertificate(der);
  if (!root.basicConstraints?.ca || !root.spkiDer.equals(key.publicKeyDer) || !verifySignedBy(root, root)) {
    throw new AuthorityError('ERR_AUTHORITY_SELF_CHECK', 'the CA certificate that was written does not verify');
  }
  return der;
}
