import { constants, createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { codeOf, messageOf, type Random, type Secret } from '../../../std/index.ts';
import { decodeCertificatesPem, parseCertificate } from '../../../wire/x509/index.ts';
import type { NodeProof, NodeProverDeps } from '../../attestor.ts';
import { AttestationError } from '../../errors.ts';
import { fromBase64, jsonObject, NONCE_BYTES, signatureToInts } from './messages.ts';

/** The agent's half: shows the certificates and signs the server's challenge. @throws AttestationError ERR_ATTEST_CONFIG */
export async function proveNode(
  { certificate, key }: { readonly certificate: string; readonly key: string },
  { random, readSecret }: NodeProverDeps,
): Promise<NodeProof> {
  const chain = readChain(certificate);
  const privateKey = await loadKey(key, readSecret);
  return {
    payload: Buffer.from(JSON.stringify({ certificates: chain.map((der) => der.toString('base64')) })),
    answer: async (challenge) => answer(challenge, privateKey, random),
  };
}

/** Signs both nonces. The server's choice of kind must fit our key. */
function answer(challenge: Buffer, key: KeyObject, random: Random): Buffer {
  const rsa = key.asymmetricKeyType === 'rsa' || key.asymmetricKeyType === 'rsa-pss';
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

function readChain(path: string): Buffer[] {
  const pem = read(path);
  try {
    const chain = decodeCertificatesPem(pem);
    chain.forEach(parseCertificate);
    return chain;
  } catch (cause) {
    throw new AttestationError('ERR_ATTEST_CONFIG', `${path} holds no certificates: ${messageOf(cause)}`, { cause });
  }
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
