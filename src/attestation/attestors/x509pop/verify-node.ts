import { constants, createHash, type KeyObject, verify } from 'node:crypto';
import { spiffeIdOf } from '@countersign/sdk/identity';
import type { Selector } from '../../../model/index.ts';
import { messageOf } from '../../../std/index.ts';
import {
  type Certificate,
  describeCertificate,
  describeFault,
  parseCertificate,
  verifyChain,
} from '../../../wire/x509/index.ts';
import type { NodeVerifierDeps, ProvenNode } from '../../attestor.ts';
import { AttestationError } from '../../errors.ts';
import { commonNames } from './common-names.ts';
import { fromBase64, jsonObject, NONCE_BYTES, signatureFromInts } from './messages.ts';
import { revocationFault } from './revocation.ts';
import type { Trust } from './trust.ts';

/** The server's half. @throws AttestationError ERR_ATTEST_PAYLOAD, ERR_ATTEST_REFUSED */
export async function verifyNode(
  payload: Buffer,
  challenge: (bytes: Buffer) => Promise<Buffer>,
  context: { readonly trust: Trust; readonly deps: NodeVerifierDeps },
): Promise<ProvenNode> {
  const { deps } = context;
  const chain = presented(payload);
  const [leaf] = chain;
  if (!leaf) throw new AttestationError('ERR_ATTEST_PAYLOAD', 'the payload holds no certificate');
  const path = acceptedPath(chain, leaf, context);
  if (leaf.keyUsage && !leaf.keyUsage.has('digitalSignature'))
    throw refusal(`${describeCertificate(leaf, 0)} may not be used to sign (RFC 5280 §4.2.1.3)`);
  const key = leaf.publicKey();
  const kind = KINDS.get(key.asymmetricKeyType ?? '');
  if (!kind) throw refusal(`the key of ${describeCertificate(leaf, 0)} is neither RSA nor EC`);
  const nonce = deps.random.bytes(NONCE_BYTES);
  const response = jsonObject(
    await challenge(Buffer.from(JSON.stringify({ [kind]: { nonce: nonce.toString('base64') } }))),
  );
  checkResponse(response[kind], { nonce, key });
  return {
    spiffeId: spiffeIdOf(deps.trustDomain, `/spire/agent/x509pop/${sha1(leaf.der)}`),
    selectors: selectorsOf(leaf, path.slice(1)),
    reattestable: true,
  };
}

/**
 * The path that the leaf is accepted by. A refusal names the certificate and the rule: to the log in any case, to the caller when the
 * certificate is one that it has shown; what the server trusts is not told.
 */
function acceptedPath(
  [, ...intermediates]: readonly Certificate[],
  leaf: Certificate,
  { trust, deps }: { readonly trust: Trust; readonly deps: NodeVerifierDeps },
): readonly Certificate[] {
  const nowMs = deps.clock.now();
  const result = verifyChain({ leaf, intermediates, roots: trust.roots, nowMs, usage: 'any', rules: 'path' });
  const fault = result.ok
    ? trust.lists && revocationFault(result.path, trust.lists, nowMs)
    : { certificate: result.certificate, told: describeFault(result), known: undefined };
  if (result.ok && !fault) return result.path;
  const told = fault?.told ?? '';
  const shown = fault?.certificate === leaf || intermediates.some((each) => each === fault?.certificate);
  deps.log.info('attestation.x509pop.refused', { problem: fault?.known ?? told, leaf: describeCertificate(leaf, 0) });
  throw refusal(
    shown ? told : 'a certificate that the server trusts does not allow it; the log of the server names it',
  );
}

function refusal(problem: string): AttestationError {
  return new AttestationError('ERR_ATTEST_REFUSED', `the certificate is not accepted: ${problem}`);
}

function presented(payload: Buffer): Certificate[] {
  const list = jsonObject(payload)['certificates'];
  if (!Array.isArray(list) || list.length > CERTIFICATES_MAX)
    throw new AttestationError(
      'ERR_ATTEST_PAYLOAD',
      `the payload holds a list of at most ${CERTIFICATES_MAX} certificates`,
    );
  return list.map((text, index) => {
    try {
      return parseCertificate(fromBase64(text));
    } catch (cause) {
      const problem = `certificate ${index + 1} of the payload can not be read: ${messageOf(cause)}`;
      throw new AttestationError('ERR_ATTEST_PAYLOAD', problem, { cause });
    }
  });
}

/** Checks the signature over both nonces. @throws AttestationError ERR_ATTEST_PAYLOAD, ERR_ATTEST_REFUSED */
function checkResponse(response: unknown, { nonce, key }: { nonce: Buffer; key: KeyObject }): void {
  const fields: Record<string, unknown> = typeof response === 'object' && response !== null ? { ...response } : {};
  const theirs = fromBase64(fields['nonce']);
  if (theirs.length !== NONCE_BYTES)
    throw new AttestationError('ERR_ATTEST_PAYLOAD', `the response holds a nonce of ${NONCE_BYTES} bytes`);
  const signed = Buffer.concat([nonce, theirs]);
  const valid =
    key.asymmetricKeyType !== 'ec'
      ? verify(
          'sha256',
          signed,
          { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO },
          fromBase64(fields['signature']),
        )
      : verify(
          'sha256',
          signed,
          { key, dsaEncoding: 'der' },
          signatureFromInts(fromBase64(fields['r']), fromBase64(fields['s'])),
        );
  if (!valid) throw new AttestationError('ERR_ATTEST_REFUSED', 'the signature over the challenge does not hold');
}

function selectorsOf(leaf: Certificate, issuers: readonly Certificate[]): Selector[] {
  const values = [
    ...commonNames(leaf.der).map((name) => `subject:cn:${name}`),
    ...issuers.map(({ der }) => `ca:fingerprint:${sha1(der)}`),
    `serialnumber:${BigInt(leaf.serial).toString(16).padStart(2, '0')}`,
    ...leaf.names.uris.flatMap(sanSelector),
  ];
  return values.map((value) => ({ type: 'x509pop', value }));
}

/** `x509pop://<trust domain>/<key>/<value>` in a URI name gives `san:<key>:<value>`. */
function sanSelector(uri: string): string[] {
  const match = /^x509pop:\/\/[^/]+\/([^/]+)\/(.+)$/.exec(uri);
  return match ? [`san:${match[1]}:${match[2]}`] : [];
}

function sha1(der: Buffer): string {
  return createHash('sha1').update(der).digest('hex'); // A name that SPIRE has fixed, not a proof.
}

/** The name of the challenge by the type of the key. */
const KINDS: ReadonlyMap<string, 'rsa_signature' | 'ecdsa_signature'> = new Map([
  ['rsa', 'rsa_signature'],
  ['rsa-pss', 'rsa_signature'],
  ['ec', 'ecdsa_signature'],
]);
/** A leaf and four intermediates. */
const CERTIFICATES_MAX = 5;
