import { generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { parseTrustDomain } from '@countersign/sdk/identity';
import { createSigner, createVerifier } from 'fast-jwt';
import type { JwtAuthority } from '../src/model/index.ts';
import { createVerifiedTokenCache, signJwt, verifyJwtSvid } from '../src/wire/jose/index.ts';
import { type Bench, interleave, median, medianRatio, result, type Samples, timedLoop } from './harness.ts';

/** JWT-SVIDs with ES256: signing, verifying, and verifying the same token again. */
export const bench: Bench = {
  name: 'jwt',
  summary: 'JWT-SVIDs: signing and verifying against raw signatures, a cached token against fast-jwt’s cache',
  async run({ quick, rounds }) {
    const ms = quick ? 2 : 300;
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const nowMs = Date.now();
    const claims = {
      ...{ sub: 'spiffe://example.org/ns/shop/sa/web', aud: ['spiffe://example.org/db'] },
      ...{ iat: Math.floor(nowMs / 1000), exp: Math.floor(nowMs / 1000) + 3600 },
      jti: randomBytes(16).toString('base64url'),
    };
    const token = signJwt({ algorithm: 'ES256', keyId: KEY_ID, key: privateKey, claims });
    const authority: JwtAuthority = {
      ...{ keyId: KEY_ID, tainted: false, expiresAtS: claims.exp },
      publicKeyDer: publicKey.export({ format: 'der', type: 'spki' }),
    };
    const own = parseTrustDomain('example.org');
    const trusted = [authority];
    const authorities = (name: string) => (name === own ? trusted : undefined);
    const audience = 'spiffe://example.org/db';
    const request = { token, audience, authorities, nowMs };
    if (!verifyJwtSvid(request).ok) throw new Error('the token does not verify');
    const cache = createVerifiedTokenCache({ entriesMax: 1000 });
    const pem = {
      private: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
      public: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    };
    const fastSign = createSigner({ algorithm: 'ES256', key: pem.private, kid: KEY_ID, mutatePayload: false });
    const fastOptions = { key: pem.public, algorithms: ['ES256' as const], allowedAud: audience };
    const fastVerify = createVerifier(fastOptions);
    const fastCached = createVerifier({ ...fastOptions, cache: 1000 });
    // What is signed is the token without its signature.
    const input = Buffer.from(token.slice(0, token.lastIndexOf('.')), 'latin1');
    const wire = Buffer.from(token, 'latin1');
    const signature = sign('sha256', input, privateKey);
    const samples = await interleave(rounds, {
      sign: () => timedLoop(ms, () => signJwt({ algorithm: 'ES256', keyId: KEY_ID, key: privateKey, claims })),
      rawSign: () => timedLoop(ms, () => sign('sha256', input, privateKey)),
      fastSign: () => timedLoop(ms, () => fastSign(claims)),
      verify: () => timedLoop(ms, () => verifyJwtSvid(request)),
      rawVerify: () => timedLoop(ms, () => verify('sha256', input, publicKey, signature)),
      fastVerify: () => timedLoop(ms, () => fastVerify(token)),
      // A token comes off the wire, so each time it is another string: one that is the same object would flatter both caches.
      cached: () => timedLoop(ms, () => cache.verify({ token: wire.toString('latin1'), audience, authorities, nowMs })),
      fastCached: () => timedLoop(ms, () => fastCached(wire.toString('latin1'))),
    });
    const row = (name: string, ours: Samples, peer: string, peers: Samples, goal?: string) =>
      result({
        ...{ case: name, subject: 'ours', value: median(ours.cpuUs), unit: 'us CPU' },
        ...{ peer, peerValue: median(peers.cpuUs), ratio: medianRatio(peers.cpuUs, ours.cpuUs) },
        ...(goal === undefined ? {} : { goal }),
      });
    return [
      row('sign', samples.sign, 'crypto.sign', samples.rawSign, '>= 0.6'),
      row('sign', samples.sign, 'fast-jwt', samples.fastSign),
      row('verify', samples.verify, 'crypto.verify', samples.rawVerify, '>= 0.9'),
      row('verify', samples.verify, 'fast-jwt', samples.fastVerify),
      row('verify a known token', samples.cached, 'fast-jwt with its cache', samples.fastCached, '>= 3'),
    ];
  },
};

const KEY_ID = '0123456789abcdef0123456789abcdef01234567';
