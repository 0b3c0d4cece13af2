/** Proves a node by a certificate that it has already, and by signing a challenge with its key. */
import { constants, createHash, createPrivateKey, type KeyObject, sign, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { spiffeIdOf } from '@countersign/sdk/identity';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import type { Selector } from '../../../model/index.ts';
import { codeOf, messageOf, type Random, type Secret } from '../../../std/index.ts';
import { type Certificate, decodeCertificatesPem, parseCertificate, verifyChain } from '../../../wire/x509/index.ts';
import type { AttestorMember, NodeProverDeps, NodeVerifierDeps, ProvenNode } from '../../attestor.ts';
import { AttestationError } from '../../errors.ts';
import { commonNames } from './common-names.ts';
import { fromBase64, jsonObject, signatureFromInts, signatureToInts } from './messages.ts';

const config = Type.Object(
  {
    caBundle: Type.Optional(
      Type.String({ description: 'Servers: PEM file of the CAs whose certificates are accepted.' }),
    ),
    certificate: Type.Optional(
      Type.String({ description: 'Agents: PEM file of the certificate, followed by its intermediates.' }),
    ),
    key: Type.Optional(
      Type.String({ description: 'Agents: PEM file of the private key, closed to all others (0600).' }),
    ),
  },
  { additionalProperties: false },
);
type Settings = Static<typeof config>;

export const member = {
  kind: 'attestor',
  id: 'x509pop',
  type: 'x509pop',
  summary: 'A certificate of a CA that the server trusts for this, and proof that the node has its key.',
  config,
  node: {
    async prove(given, { random, readSecret }) {
      const { certificate, key } = settings(given);
      const chain = certificates(required(certificate, 'certificate'), read);
      const privateKey = await loadKey(required(key, 'key'), readSecret);
      return {
        payload: Buffer.from(JSON.stringify({ certificates: chain.map(({ der }) => der.toString('base64')) })),
        answer: async (challenge) => answer(challenge, privateKey, random),
      };
    },
    async openVerifier(given, deps) {
      const roots = certificates(required(settings(given).caBundle, 'caBundle'), (path) => readTrusted(path, deps));
      return { verify: (payload, challenge) => verifyNode(payload, challenge, { roots, deps }) };
    },
  },
} as const satisfies AttestorMember;

async function verifyNode(
  payload: Buffer,
  challenge: (bytes: Buffer) => Promise<Buffer>,
  context: { roots: readonly Certificate[]; deps: NodeVerifierDeps },
): Promise<ProvenNode> {
  const { roots, deps } = context;
  const [leaf, ...intermediates] = presented(payload);
  if (!leaf) throw new AttestationError('ERR_ATTEST_PAYLOAD', 'the payload holds no certificate');
  const result = verifyChain({ leaf, intermediates, roots, nowMs: deps.clock.now(), usage: 'any' });
  if (!result.ok) throw new AttestationError('ERR_ATTEST_REFUSED', `the certificate is not accepted: ${result.reason}`);
  if (leaf.keyUsage && !leaf.keyUsage.has('digitalSignature'))
    throw new AttestationError('ERR_ATTEST_REFUSED', 'the certificate may not be used to sign');
  const key = leaf.publicKey();
  if (key.asymmetricKeyType !== 'rsa' && key.asymmetricKeyType !== 'ec')
    throw new AttestationError('ERR_ATTEST_REFUSED', 'the key of the certificate is neither RSA nor EC');
  const nonce = deps.random.bytes(NONCE_BYTES);
  const kind = key.asymmetricKeyType === 'rsa' ? 'rsa_signature' : 'ecdsa_signature';
  const response = jsonObject(
    await challenge(Buffer.from(JSON.stringify({ [kind]: { nonce: nonce.toString('base64') } }))),
  );
  checkResponse(response[kind], { nonce, key });
  return {
    spiffeId: spiffeIdOf(deps.trustDomain, `/spire/agent/x509pop/${sha1(leaf.der)}`),
    selectors: selectorsOf(leaf, result.path.slice(1)),
    reattestable: true,
  };
}

function presented(payload: Buffer): Certificate[] {
  const list = jsonObject(payload)['certificates'];
  if (!Array.isArray(list) || list.length > CERTIFICATES_MAX)
    throw new AttestationError(
      'ERR_ATTEST_PAYLOAD',
      `the payload holds a list of at most ${CERTIFICATES_MAX} certificates`,
    );
  try {
    return list.map((text) => parseCertificate(fromBase64(text)));
  } catch (cause) {
    throw new AttestationError('ERR_ATTEST_PAYLOAD', 'a certificate in the payload can not be read', { cause });
  }
}

/** Checks the signature over both nonces. @throws AttestationError ERR_ATTEST_PAYLOAD, ERR_ATTEST_REFUSED */
function checkResponse(response: unknown, { nonce, key }: { nonce: Buffer; key: KeyObject }): void {
  const fields: Record<string, unknown> = typeof response === 'object' && response !== null ? { ...response } : {};
  const theirs = fromBase64(fields['nonce']);
  if (theirs.length !== NONCE_BYTES)
    throw new AttestationError('ERR_ATTEST_PAYLOAD', `the response holds a nonce of ${NONCE_BYTES} bytes`);
  const signed = Buffer.concat([nonce, theirs]);
  const valid =
    key.asymmetricKeyType === 'rsa'
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

/** The agent's half: signs both nonces. The server's choice of kind must fit our key. */
function answer(challenge: Buffer, key: KeyObject, random: Random): Buffer {
  const rsa = key.asymmetricKeyType === 'rsa';
  const kind = rsa ? 'rsa_signature' : 'ecdsa_signature';
  const asked = jsonObject(challenge)[kind];
  const theirs = fromBase64(typeof asked === 'object' && asked !== null && 'nonce' in asked ? asked.nonce : undefined);
  if (theirs.length !== NONCE_BYTES)
    throw new AttestationError('ERR_ATTEST_PAYLOAD', 'the challenge of the server does not fit the key of this node');
  const nonce = random.bytes(NONCE_BYTES);
  const signed = Buffer.concat([theirs, nonce]);
  const base64 = (bytes: Buffer) => bytes.toString('base64');
  if (rsa) {
    const signature = sign('sha256', signed, {
      key,
      padding: constants.RSA_PKCS1_PSS_PADDING,
      saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
    });
    return Buffer.from(JSON.stringify({ [kind]: { nonce: base64(nonce), signature: base64(signature) } }));
  }
  const { r, s } = signatureToInts(sign('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }));
  return Buffer.from(JSON.stringify({ [kind]: { nonce: base64(nonce), r: base64(r), s: base64(s) } }));
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

function certificates(path: string, readPem: (path: string) => string): Certificate[] {
  const pem = readPem(path);
  try {
    return decodeCertificatesPem(pem).map(parseCertificate);
  } catch (cause) {
    throw new AttestationError('ERR_ATTEST_CONFIG', `${path} holds no certificates: ${messageOf(cause)}`, { cause });
  }
}

/** Who can change it decides which nodes are let in. */
function readTrusted(path: string, { readTrustedFile }: NodeVerifierDeps): string {
  let pem: Buffer | undefined;
  try {
    pem = readTrustedFile(path);
  } catch (cause) {
    throw new AttestationError('ERR_ATTEST_CONFIG', `caBundle can not be read: ${messageOf(cause)}`, { cause });
  }
  if (pem) return pem.toString('utf8');
  throw new AttestationError('ERR_ATTEST_CONFIG', `caBundle can not be read: there is no ${path}`);
}

async function loadKey(path: string, readSecret: NodeProverDeps['readSecret']): Promise<KeyObject> {
  let secret: Secret | undefined;
  try {
    secret = await readSecret(`file:${path}`);
  } catch (cause) {
    throw new AttestationError('ERR_ATTEST_CONFIG', `the key can not be read: ${messageOf(cause)}`, { cause });
  }
  if (!secret) throw new AttestationError('ERR_ATTEST_CONFIG', `the key ${path} is missing or empty`);
  try {
    return createPrivateKey(secret.revealText());
  } catch (cause) {
    throw new AttestationError('ERR_ATTEST_CONFIG', `${path} holds no private key that can be used`, { cause });
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new AttestationError('ERR_ATTEST_CONFIG', `${path} can not be read: ${codeOf(cause) ?? 'unknown error'}`, {
      cause,
    });
  }
}

function settings(given: unknown): Settings {
  const value = given ?? {};
  if (!Value.Check(config, value))
    throw new AttestationError('ERR_ATTEST_CONFIG', 'the settings of the x509pop attestor do not fit its schema');
  return value;
}

function required(value: string | undefined, name: string): string {
  if (value === undefined) throw new AttestationError('ERR_ATTEST_CONFIG', `the x509pop attestor needs ${name}`);
  return value;
}

function sha1(der: Buffer): string {
  return createHash('sha1').update(der).digest('hex'); // A name that SPIRE has fixed, not a proof.
}

const NONCE_BYTES = 32;
/** A leaf and four intermediates. */
const CERTIFICATES_MAX = 5;
