import { createHmac, generateKeyPairSync, type KeyObject, sign as nodeSign } from 'node:crypto';
import fc from 'fast-check';
import * as jose from 'jose';
import { describe, expect, it } from 'vitest';
import type { JwtAuthority, SigningAlgorithm } from '../../model/index.ts';
import {
  algorithmForKeyType,
  createVerifiedTokenCache,
  encodeJwks,
  type JsonValue,
  jwkToPublicKey,
  parseJwks,
  parseJwt,
  publicKeyToJwk,
  signJwt,
  verifyJwtSvid,
} from './index.ts';
import { fuzz, seeds } from './jose.fuzz.ts';

const NOW_S = 1_800_000_000;
const NOW_MS = NOW_S * 1000;

interface Key {
  readonly privateKey: KeyObject;
  readonly publicKeyDer: Buffer;
}

function ec(namedCurve: string): Key {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
  return { privateKey, publicKeyDer: publicKey.export({ format: 'der', type: 'spki' }) };
}

function rsa(modulusLength: number): Key {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength });
  return { privateKey, publicKeyDer: publicKey.export({ format: 'der', type: 'spki' }) };
}

const rsaKey = rsa(2048);
const keys: Readonly<Record<SigningAlgorithm, Key>> = {
  ES256: ec('P-256'),
  ES384: ec('P-384'),
  ES512: ec('P-521'),
  RS256: rsaKey,
  RS384: rsaKey,
  RS512: rsaKey,
  PS256: rsaKey,
  PS384: rsaKey,
  PS512: rsaKey,
};
const ALGORITHMS = ['ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const;
const CLAIMS = { sub: 'spiffe://example.org/web', aud: ['db'], exp: NOW_S + 300, iat: NOW_S };
const HEADER = { alg: 'ES256', kid: 'k1', typ: 'JWT' };

function authority(of: Key = keys.ES256, changes: Partial<JwtAuthority> = {}): JwtAuthority {
  return { keyId: 'k1', publicKeyDer: of.publicKeyDer, expiresAtS: NOW_S + 86_400, tainted: false, ...changes };
}

function sign(claims: { readonly [name: string]: JsonValue } = CLAIMS): string {
  return signJwt({ algorithm: 'ES256', keyId: 'k1', key: keys.ES256.privateKey, claims });
}

function verify(token: string, { authorities = [authority()], audience = 'db', nowS = NOW_S } = {}): string {
  const known = (trustDomain: string) => (trustDomain === 'example.org' ? authorities : undefined);
  const result = verifyJwtSvid({ token, audience, authorities: known, nowMs: nowS * 1000 });
  return result.ok ? 'ok' : result.reason;
}

/** A token with any header and claims at all, signed for real. */
function forge(header: object | string, claims: object | string): string {
  const part = (value: object | string) =>
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
  const input = `${part(header)}.${part(claims)}`;
  const key = { key: keys.ES256.privateKey, dsaEncoding: 'ieee-p1363' } as const;
  return `${input}.${nodeSign('sha256', Buffer.from(input), key).toString('base64url')}`;
}

describe('a signed token', () => {
  it.each(ALGORITHMS)('with %s is accepted by jose, and jose’s by us', async (algorithm) => {
    const { privateKey, publicKeyDer } = keys[algorithm];
    const ours = signJwt({ algorithm, keyId: 'k1', key: privateKey, claims: CLAIMS });
    const jwk = await jose.importJWK({ ...publicKeyToJwk(publicKeyDer), alg: algorithm });
    const { payload, protectedHeader } = await jose.jwtVerify(ours, jwk, {
      currentDate: new Date(NOW_MS),
      audience: 'db',
    });
    expect(payload).toEqual(CLAIMS);
    expect(protectedHeader).toEqual({ alg: algorithm, kid: 'k1', typ: 'JWT' });
    const theirs = await new jose.SignJWT(CLAIMS).setProtectedHeader({ alg: algorithm, kid: 'k1' }).sign(privateKey);
    for (const token of [ours, theirs]) expect(verify(token, { authorities: [authority(keys[algorithm])] })).toBe('ok');
  });

  it('is not made with a key that does not fit, a number that is no integer, too deep or too long', () => {
    const attempt = (changes: Partial<Parameters<typeof signJwt>[0]>) => () =>
      signJwt({ algorithm: 'ES256', keyId: 'k1', key: keys.ES256.privateKey, claims: CLAIMS, ...changes });
    expect(attempt({ algorithm: 'ES384' })).toThrow(expect.objectContaining({ code: 'ERR_JWT_KEY' }));
    expect(attempt({ algorithm: 'RS256' })).toThrow(expect.objectContaining({ code: 'ERR_JWT_KEY' }));
    expect(attempt({ algorithm: 'RS256', key: rsa(1024).privateKey })).toThrow(
      expect.objectContaining({ code: 'ERR_JWT_KEY' }),
    );
    let deep: JsonValue = [];
    for (let level = 0; level < 20; level++) deep = [deep];
    for (const claims of [{ exp: 1.5 }, { exp: 1e21 }, { deep }, { long: 'x'.repeat(20_000) }]) {
      expect(attempt({ claims })).toThrow(expect.objectContaining({ code: 'ERR_JWT' }));
    }
  });

  it('names the algorithm that goes with each key type', () => {
    expect((['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096'] as const).map(algorithmForKeyType)).toEqual([
      'ES256',
      'ES384',
      'RS256',
      'RS256',
    ]);
  });
});

describe('parsing a token', () => {
  const [header = '', claims = '', signature = ''] = sign().split('.');

  it.each([
    ['two parts', `${header}.${claims}`],
    ['four parts', `${header}.${claims}.${signature}.${signature}`],
    ['an empty signature', `${header}.${claims}.`],
    ['padding', `${header}=.${claims}.${signature}`],
    ['a space', `${header} .${claims}.${signature}`],
    ['standard base64', `${header}.${claims}.+/${signature}`],
    [
      'set trailing bits',
      `${header}.${claims}.${signature.slice(0, -1)}${signature.endsWith('A') ? 'B' : `${String.fromCharCode(signature.charCodeAt(signature.length - 1) + 1)}`}`,
    ],
    ['a header that is no JSON', forge('{', CLAIMS)],
    ['a header that is a list', forge([], CLAIMS)],
    ['claims that are text', forge(HEADER, '"x"')],
    [
      'claims that are not UTF-8',
      `${header}.${Buffer.from('{"a":"\xff"}', 'latin1').toString('base64url')}.${signature}`,
    ],
    ['too many characters', `${header}.${'A'.repeat(16 * 1024)}.${signature}`],
  ])('with %s is refused', (_, token) => {
    expect(() => parseJwt(token)).toThrow(expect.objectContaining({ code: 'ERR_JWT' }));
    expect(verify(token)).toBe('malformed');
  });

  it.each<[string, object]>([
    ['no algorithm', { kid: 'k1' }],
    ['the algorithm none', { ...HEADER, alg: 'none' }],
    ['an HMAC', { ...HEADER, alg: 'HS256' }],
    ['EdDSA', { ...HEADER, alg: 'EdDSA' }],
    ['an algorithm named after a built-in', { ...HEADER, alg: 'constructor' }],
    ['no key id', { alg: 'ES256' }],
    ['an empty key id', { ...HEADER, kid: '' }],
    ['a key id that is a number', { ...HEADER, kid: 1 }],
    ['another type', { ...HEADER, typ: 'wit+jwt' }],
    ['an embedded key', { ...HEADER, jwk: {} }],
    ['a key address', { ...HEADER, jku: 'https://evil.example' }],
    ['a critical list', { ...HEADER, crit: [] }],
  ])('whose header has %s is refused', (_, bad) => {
    expect(verify(forge(bad, CLAIMS))).toBe('malformed');
  });
});

describe('a JWT-SVID', () => {
  it('is accepted with and without a type, and with its audience as text', () => {
    expect(verify(sign())).toBe('ok');
    expect(verify(forge({ alg: 'ES256', kid: 'k1' }, CLAIMS))).toBe('ok');
    expect(verify(forge({ ...HEADER, typ: 'JOSE' }, CLAIMS))).toBe('ok');
    expect(verify(forge(HEADER, { ...CLAIMS, aud: 'db' }))).toBe('ok');
  });

  it.each<[string, object]>([
    ['bad-subject', { sub: undefined }],
    ['bad-subject', { sub: 'spiffe://example.org' }],
    ['bad-subject', { sub: 'https://example.org/web' }],
    ['bad-claims', { aud: undefined }],
    ['bad-claims', { aud: [] }],
    ['bad-claims', { aud: ['db', ''] }],
    ['bad-claims', { aud: ['db', 1] }],
    ['bad-claims', { aud: Array.from({ length: 65 }, (_, i) => `a${i}`) }],
    ['bad-claims', { exp: undefined }],
    ['bad-claims', { exp: `${NOW_S + 300}` }],
    ['bad-claims', { exp: NOW_S + 0.5 }],
    ['bad-claims', { exp: -1 }],
    ['bad-claims', { iat: 'now' }],
    ['bad-claims', { nbf: null }],
    ['unknown-trust-domain', { sub: 'spiffe://other.org/web' }],
    ['wrong-audience', { aud: ['DB', 'db2'] }],
  ])('is refused as %s with %j', (reason, changes) => {
    expect(verify(forge(HEADER, { ...CLAIMS, ...changes }))).toBe(reason);
  });

  it('ends ten seconds after its expiry, begins ten before its beginning: the difference that clocks may have', () => {
    const token = sign({ ...CLAIMS, exp: NOW_S + 100, nbf: NOW_S });
    const at = (nowS: number) => verify(token, { nowS });
    expect([at(NOW_S - 11), at(NOW_S - 10), at(NOW_S + 109), at(NOW_S + 110)]).toEqual([
      'not-yet-valid',
      'ok',
      'ok',
      'expired',
    ]);
  });

  it('is refused when its key is unknown, has expired, or is of another kind; a key without known expiry counts', () => {
    expect(verify(sign(), { authorities: [] })).toBe('unknown-key');
    expect(verify(sign(), { authorities: [authority(keys.ES256, { keyId: 'k2' })] })).toBe('unknown-key');
    expect(verify(sign(), { authorities: [authority(keys.ES256, { expiresAtS: NOW_S - 10 })] })).toBe('key-expired');
    expect(verify(sign(), { authorities: [authority(keys.ES256, { expiresAtS: 0 })] })).toBe('ok');
    expect(verify(sign(), { authorities: [authority(rsaKey)] })).toBe('algorithm-mismatch');
    expect(verify(sign(), { authorities: [authority(keys.ES384)] })).toBe('algorithm-mismatch');
    expect(verify(sign(), { authorities: [authority(ec('P-256'))] })).toBe('bad-signature');
    const unreadable = { ...authority(), publicKeyDer: Buffer.from('nonsense') };
    expect(verify(sign(), { authorities: [unreadable] })).toBe('algorithm-mismatch');
  });

  it('can not be forged by using the public key as an HMAC secret', () => {
    const input = `${Buffer.from(JSON.stringify({ ...HEADER, alg: 'HS256' })).toString('base64url')}.${Buffer.from(JSON.stringify(CLAIMS)).toString('base64url')}`;
    const mac = createHmac('sha256', keys.ES256.publicKeyDer).update(input).digest('base64url');
    expect(verify(`${input}.${mac}`)).toBe('malformed');
  });

  it('is refused with a DER signature, an empty one, or zeros', () => {
    const [header = '', claims = ''] = sign().split('.');
    const der = nodeSign('sha256', Buffer.from(`${header}.${claims}`), keys.ES256.privateKey);
    for (const signature of [der, Buffer.alloc(64), Buffer.alloc(1), Buffer.alloc(1000)]) {
      expect(verify(`${header}.${claims}.${signature.toString('base64url')}`)).toBe('bad-signature');
    }
  });

  it('says when its key is tainted', () => {
    const authorities = () => [authority(keys.ES256, { tainted: true })];
    expect(verifyJwtSvid({ token: sign(), audience: 'db', authorities, nowMs: NOW_MS })).toMatchObject({
      ok: true,
      tainted: true,
    });
  });
});

describe('a cache of verified tokens', () => {
  const request = {
    token: sign(),
    audience: 'db',
    authorities: () => [authority()] as readonly JwtAuthority[],
    nowMs: NOW_MS,
  };

  it('answers as verification does, for as long as the token lives and for its audience only', () => {
    const cache = createVerifiedTokenCache({ entriesMax: 10 });
    expect(cache.verify(request)).toMatchObject({ ok: true });
    expect(cache.size).toBe(1);
    expect(cache.verify(request)).toMatchObject({ ok: true, svid: { id: { uri: CLAIMS.sub } } });
    expect(cache.verify({ ...request, audience: 'web' })).toEqual({ ok: false, reason: 'wrong-audience' });
    expect(cache.verify({ ...request, nowMs: NOW_MS + 310_000 })).toEqual({ ok: false, reason: 'expired' });
    expect(cache.size).toBe(0);
  });

  it('forgets a token with its key: removed, expired, or replaced under the same name', () => {
    const cache = createVerifiedTokenCache({ entriesMax: 10 });
    const cases: readonly [readonly JwtAuthority[], string][] = [
      [[], 'unknown-key'],
      [[authority(keys.ES256, { expiresAtS: NOW_S - 10 })], 'key-expired'],
      [[authority(ec('P-256'))], 'bad-signature'],
    ];
    for (const [authorities, reason] of cases) {
      expect(cache.verify(request)).toMatchObject({ ok: true });
      expect(cache.verify({ ...request, authorities: () => authorities })).toEqual({ ok: false, reason });
      expect(cache.size).toBe(0);
    }
  });

  it('takes no signature of one token for another, whatever is put before or behind it', () => {
    const cache = createVerifiedTokenCache({ entriesMax: 10 });
    const { token } = request;
    expect(cache.verify(request)).toMatchObject({ ok: true });
    const [header = '', claims = '', signature = ''] = token.split('.');
    const [, others = ''] = sign({ ...CLAIMS, sub: 'spiffe://example.org/ns/shop/sa/admin' }).split('.');
    const forged = [
      `${header}.${others}.${signature}`,
      `.${signature}`,
      signature,
      `${token}.${signature}`,
      `${claims}.${header}.${signature}`,
      `${header}.${claims}.${signature}=`,
      `${header}.${claims}.${signature.slice(1)}`,
    ];
    for (const one of forged) expect(cache.verify({ ...request, token: one }), one).toMatchObject({ ok: false });
    expect(cache.size).toBe(1);
    expect(cache.verify(request)).toMatchObject({ ok: true });
  });

  it('never grows beyond its size, and keeps no refusals', () => {
    const cache = createVerifiedTokenCache({ entriesMax: 3 });
    for (let i = 0; i < 10; i++) cache.verify({ ...request, token: sign({ ...CLAIMS, jti: `${i}` }) });
    expect(cache.size).toBe(3);
    cache.verify({ ...request, token: 'nonsense' });
    expect(cache.size).toBe(3);
  });
});

describe('a key set', () => {
  it('names each key and its use, comes back, and is read by jose', async () => {
    const authorities = ['ES256', 'ES384', 'RS256'].map((name, i) =>
      authority(keys[name as SigningAlgorithm], { keyId: `k${i}`, expiresAtS: 0 }),
    );
    const bytes = encodeJwks(authorities);
    expect(parseJwks(bytes)).toEqual(authorities);
    const document: jose.JSONWebKeySet = JSON.parse(bytes.toString());
    expect(document.keys.map((jwk) => [jwk.kid, jwk.use, 'd' in jwk])).toEqual([
      ['k0', 'jwt-svid', false],
      ['k1', 'jwt-svid', false],
      ['k2', 'jwt-svid', false],
    ]);
    const token = signJwt({ algorithm: 'ES256', keyId: 'k0', key: keys.ES256.privateKey, claims: CLAIMS });
    const plain = { keys: document.keys.map(({ use: _, ...jwk }) => jwk) };
    await expect(
      jose.jwtVerify(token, jose.createLocalJWKSet(plain), { currentDate: new Date(NOW_MS) }),
    ).resolves.toBeDefined();
    expect(parseJwks(Buffer.from(JSON.stringify(plain)))).toEqual(authorities);
  });

  it('passes over keys for other uses', () => {
    const jwk = { ...publicKeyToJwk(keys.ES256.publicKeyDer), kid: 'k' };
    const bytes = Buffer.from(
      JSON.stringify({
        keys: [
          { ...jwk, use: 'x509-svid', x5c: [] },
          { ...jwk, use: 'jwt-svid' },
        ],
      }),
    );
    expect(parseJwks(bytes)).toHaveLength(1);
  });

  const good = { ...publicKeyToJwk(keys.ES256.publicKeyDer), kid: 'k' };
  it.each<[string, unknown]>([
    ['no list', {}],
    ['a key that is no object', { keys: [1] }],
    ['a key without a name', { keys: [{ ...good, kid: undefined }] }],
    ['two keys of one name', { keys: [good, good] }],
    ['a private key', { keys: [{ ...good, d: 'AAAA' }] }],
    ['a symmetric key', { keys: [{ kty: 'oct', k: 'AAAA', kid: 'k' }] }],
    ['a point off its curve', { keys: [{ ...good, x: good.y }] }],
    ['a missing parameter', { keys: [{ ...good, y: undefined }] }],
    ['too many keys', { keys: Array.from({ length: 1025 }, (_, i) => ({ ...good, kid: `k${i}` })) }],
  ])('with %s is refused', (_, document) => {
    expect(() => parseJwks(Buffer.from(JSON.stringify(document)))).toThrow(
      expect.objectContaining({ code: 'ERR_JWKS' }),
    );
  });

  it('that is no JSON or too large is refused, and so is a key that does not load', () => {
    expect(() => parseJwks(Buffer.from('{'))).toThrow(expect.objectContaining({ code: 'ERR_JWKS' }));
    expect(() => parseJwks(Buffer.alloc(1024 * 1024 + 1))).toThrow(expect.objectContaining({ code: 'ERR_JWKS' }));
    expect(() => publicKeyToJwk(Buffer.from('nonsense'))).toThrow(expect.objectContaining({ code: 'ERR_JWKS' }));
    expect(jwkToPublicKey(good)).toEqual(keys.ES256.publicKeyDer);
  });
});

it('holds its promises over the fuzz seeds and a thousand changes of them', () => {
  for (const seed of seeds) fuzz(seed);
  fc.assert(
    fc.property(fc.constantFrom(...seeds), fc.nat(), fc.nat(255), (seed, at, byte) => {
      const edited = Buffer.from(seed);
      edited[at % edited.length] = byte;
      fuzz(edited);
    }),
    { numRuns: 1000 },
  );
});
