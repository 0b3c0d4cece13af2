import { createPrivateKey, createPublicKey } from 'node:crypto';
import type { Revocation, RevocationState } from '../../model/index.ts';
import { sha256 } from '../../std/index.ts';
import { signJwt } from '../jose/index.ts';
import { encodeRevocationBody, revocationClaims, revocationFeed, type ToldRevocations } from './format-update.ts';
import { verifyRevocationUpdate } from './verify-update.ts';

const NOW_MS = 1_800_000_000_000;
const NONCE = Buffer.alloc(16, 7);
const key = createPrivateKey({
  key: {
    kty: 'EC',
    crv: 'P-256',
    x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
    d: 'jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI',
  },
  format: 'jwk',
});
const authorities = [
  {
    keyId: 'k1',
    publicKeyDer: createPublicKey(key).export({ format: 'der', type: 'spki' }),
    expiresAtS: 1_900_000_000,
    tainted: false,
  },
];
const standing: Revocation = {
  ...{ id: 'a1', mode: 'quarantined', allow: ['postgres:select'], running: 'keep', reason: 'odd', by: 'admin' },
  ...{ subject: { kind: 'identity', spiffeId: 'spiffe://example.org/web' }, sequence: 3, atMs: NOW_MS },
};
const known: RevocationState = {
  ...{ incarnation: '0'.repeat(32), sequence: 3, mark: '1'.repeat(32), issuedAtMs: NOW_MS, revocations: [standing] },
};

const full = { kind: 'full', revocations: [standing, { ...standing, id: 'b', sequence: 4 }] } as const;
const delta = { kind: 'delta', added: [{ ...standing, id: 'b', sequence: 4 }], lifted: ['a1'] } as const;

/** Signs a body of whatever bytes, as a server that means harm could. */
function signed(what: ToldRevocations['what'], body: Buffer): string {
  const state = { ...known, sequence: 5, mark: '2'.repeat(32) };
  const told = { state, follows: [], from: { sequence: 3, mark: known.mark }, what };
  const { claims } = revocationClaims(told, { trustDomain: 'example.org', nonce: NONCE, count: 0 });
  const { type } = revocationFeed;
  return signJwt({ algorithm: 'ES256', keyId: 'k1', key, type, claims: { ...claims, sha256: hex(body) } });
}

const honest = signed(full, encodeRevocationBody(full));
const options = { trustDomain: 'example.org', authorities, nowMs: NOW_MS, nonce: NONCE, count: 0, known };

/** Nothing that was not signed is taken; what is taken of a signed body is a state that is told and taken again as it is. */
export function fuzz(input: Uint8Array): void {
  const body = Buffer.from(input);
  const unsigned = verifyRevocationUpdate({ ...options, statement: body.toString('latin1'), body: encodeBody(full) });
  // An ECDSA signature has a twin (r, n−s): another token with the same claims.
  if (unsigned.ok && !body.toString('latin1').startsWith(honest.slice(0, honest.lastIndexOf('.'))))
    throw new Error('a statement is taken that was never signed');
  for (const what of [full, delta]) {
    const result = verifyRevocationUpdate({ ...options, statement: signed(what, body), body });
    if (!result.ok) continue;
    const again = { kind: 'full', revocations: result.state.revocations } as const;
    const second = verifyRevocationUpdate({
      ...options,
      statement: signed(again, encodeBody(again)),
      ...bodyOf(again),
    });
    if (!second.ok || JSON.stringify(second.state) !== JSON.stringify(result.state))
      throw new Error('a state is not read back as it was');
  }
}

function bodyOf(what: ToldRevocations['what']) {
  return { body: encodeBody(what) };
}

function encodeBody(what: ToldRevocations['what']): Buffer {
  return encodeRevocationBody(what);
}

function hex(bytes: Buffer): string {
  return sha256(bytes).toString('hex');
}

export const seeds: readonly Uint8Array[] = [encodeBody(full), encodeBody(delta), Buffer.from(honest)];

export const tokens = [
  '"kind":"',
  '"subject":{',
  '"sequence":',
  '"allow":[',
  '"lifted":[',
  '"a1"',
  'node',
  'label',
  '{}',
];
