import { createPublicKey, generateKeyPairSync, type KeyObject, sign as nodeSign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { JwtAuthority } from '../../model/index.ts';
import { createVerifiedTokenCache, keyFits, parseJwks, publicKeyToJwk, verifyJwtSvid } from './index.ts';

// Goal: whatever two readers could read in two ways, and every key that anyone could forge with, is refused.

const NOW_S = 1_800_000_000;
const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsaPair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const derOf = (key: KeyObject) => key.export({ format: 'der', type: 'spki' });
const authority: JwtAuthority = { keyId: 'k1', publicKeyDer: derOf(pair.publicKey), expiresAtS: 0, tainted: false };
const SUBJECT = '"sub":"spiffe://example.org/web"';
const TIMES = `"exp":${NOW_S + 300},"iat":${NOW_S}`;
const HEADER = '{"alg":"ES256","kid":"k1"}';
const CLAIMS = `{${SUBJECT},"aud":["db"],${TIMES}}`;

/** A token with those very bytes, signed for real. */
function forge(
  header: string | Buffer,
  claims: string | Buffer,
  encoding: 'base64url' | 'base64' = 'base64url',
): string {
  const input = `${Buffer.from(header).toString(encoding)}.${Buffer.from(claims).toString(encoding)}`;
  const key = { key: pair.privateKey, dsaEncoding: 'ieee-p1363' } as const;
  return `${input}.${nodeSign('sha256', Buffer.from(input), key).toString('base64url')}`;
}

function verify(token: string, { nowS = NOW_S, known = authority } = {}): string {
  const result = verifyJwtSvid({ token, audience: 'db', authorities: () => [known], nowMs: nowS * 1000 });
  return result.ok ? 'ok' : result.reason;
}

describe('a signed token that can be read in two ways is malformed', () => {
  it('and one that can not is accepted, however it is laid out', () => {
    for (const claims of [
      CLAIMS,
      `{ ${SUBJECT},\r\n\t"aud" : [ "db" ] , ${TIMES} }`,
      `{${SUBJECT},"aud":["db"],${TIMES},"name":"\\u00e4 \\"{,:[","a":{"sub":1},"b":[{"sub":2},{"sub":3}],"1":0,"0":1}`,
      `{${SUBJECT},"aud":["db"],"exp":18.00000300e8,"emoji":"\\ud83d\\ude00"}`,
      `{${SUBJECT},"aud":["db"],${TIMES},"text":"ü😀"}`,
    ])
      expect(verify(forge(HEADER, claims)), claims).toBe('ok');
  });

  it.each<[string, string | Buffer, string | Buffer]>([
    ['an algorithm twice', '{"alg":"none","kid":"k1","alg":"ES256"}', CLAIMS],
    ['a key id twice', '{"alg":"ES256","kid":"k2","kid":"k1"}', CLAIMS],
    ['a header twice in another spelling', '{"alg":"ES256","k\\u0069d":"k2","kid":"k1"}', CLAIMS],
    ['a subject twice', HEADER, `{"sub":"spiffe://example.org/admin",${CLAIMS.slice(1)}`],
    ['the same subject twice', HEADER, `{${SUBJECT},${CLAIMS.slice(1)}`],
    ['an audience twice', HEADER, `{"aud":"web",${CLAIMS.slice(1)}`],
    ['an end twice, in another spelling', HEADER, `{"e\\u0078p":1,${CLAIMS.slice(1)}`],
    ['a member twice inside a claim', HEADER, `{${CLAIMS.slice(1, -1)},"act":{"sub":"a","sub":"b"}}`],
    ['a member twice in a list in a claim', HEADER, `{${CLAIMS.slice(1, -1)},"x":[[{"a":1},{"b":[],"b":{}}]]}`],
    ['a member twice behind braces in text', HEADER, `{${CLAIMS.slice(1, -1)},"x":"{\\"","x":"}"}`],
    ['a byte order mark in the header', `\ufeff${HEADER}`, CLAIMS],
    ['a byte order mark in the claims', HEADER, `\ufeff${CLAIMS}`],
    ['UTF-16', HEADER, Buffer.from(CLAIMS, 'utf16le')],
    ['half of a surrogate pair', HEADER, `{${CLAIMS.slice(1, -1)},"x":"\\ud83d"}`],
    ['halves in the wrong order', HEADER, `{${CLAIMS.slice(1, -1)},"x":["\\ude00\\ud83d"]}`],
    ['half of a pair in a name', HEADER, `{${CLAIMS.slice(1, -1)},"a":{"\\udc00":1}}`],
    [
      'a surrogate as UTF-8',
      HEADER,
      Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]),
    ],
    ['an overlong form', HEADER, Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')])],
    ['something behind the claims', HEADER, `${CLAIMS}{}`],
    ['a comment', HEADER, `{/**/${CLAIMS.slice(1)}`],
    ['a comma at the end', HEADER, `${CLAIMS.slice(0, -1)},}`],
    ['claims that nest without end', HEADER, `{${CLAIMS.slice(1, -1)},"x":${'['.repeat(500)}${']'.repeat(500)}}`],
    ['a type of null', '{"alg":"ES256","kid":"k1","typ":null}', CLAIMS],
    ['a critical list', '{"alg":"ES256","kid":"k1","crit":["exp"],"exp":1}', CLAIMS],
    ['an unencoded payload', '{"alg":"ES256","kid":"k1","b64":false,"crit":["b64"]}', CLAIMS],
    ['a compressed payload', '{"alg":"ES256","kid":"k1","zip":"DEF"}', CLAIMS],
    ['a prototype', '{"alg":"ES256","kid":"k1","__proto__":{}}', CLAIMS],
  ])('with %s', (_, header, claims) => {
    expect(verify(forge(header, claims))).toBe('malformed');
  });

  it('with the padded or the standard base64, or white space around', () => {
    const long = `{${CLAIMS.slice(1, -1)},"x":"???>>>~~~"}`;
    expect(verify(forge(HEADER, long))).toBe('ok');
    expect(verify(forge(HEADER, long, 'base64'))).toBe('malformed');
    const token = forge(HEADER, CLAIMS);
    for (const other of [` ${token}`, `${token}\n`, token.replace('.', '.\n'), `\ufeff${token}`, `${token}\0`])
      expect(verify(other)).toBe('malformed');
  });
});

describe('times', () => {
  const withTimes = (times: string) => forge(HEADER, `{${SUBJECT},"aud":["db"],${times}}`);

  it('of issuance that lie ahead by more than clocks differ are refused, from the cache too', () => {
    const token = withTimes(`"exp":${NOW_S + 9000},"iat":${NOW_S}`);
    const at = (nowS: number) => verify(token, { nowS });
    expect([at(NOW_S - 3600), at(NOW_S - 11), at(NOW_S - 10), at(NOW_S)]).toEqual([
      'not-yet-valid',
      'not-yet-valid',
      'ok',
      'ok',
    ]);
    const cache = createVerifiedTokenCache({ entriesMax: 1 });
    const request = { token, audience: 'db', authorities: () => [authority] };
    expect(cache.verify({ ...request, nowMs: NOW_S * 1000 })).toMatchObject({ ok: true });
    expect(cache.verify({ ...request, nowMs: (NOW_S - 3600) * 1000 })).toEqual({ ok: false, reason: 'not-yet-valid' });
  });

  it.each([
    `"exp":"${NOW_S + 300}"`,
    `"exp":${NOW_S + 300}.5`,
    `"exp":[${NOW_S + 300}]`,
    `"exp":true`,
    `"exp":null`,
    `"exp":{}`,
    `"exp":1e400`,
    `"exp":9007199254740993`,
    `"exp":9007199254740991`,
    `"exp":253402300800`,
    `"exp":-1`,
    `"exp":${NOW_S + 300},"nbf":-1`,
    `"exp":${NOW_S + 300},"nbf":"0"`,
    `"exp":${NOW_S + 300},"nbf":0.1`,
    `"exp":${NOW_S + 300},"iat":null`,
    `"exp":${NOW_S + 300},"iat":1e300`,
    `"exp":${NOW_S + 300},"iat":false`,
  ])('like %s are no times', (times) => {
    expect(verify(withTimes(times))).toBe('bad-claims');
  });
});

/** PKIX of an RSA key with that modulus and exponent. */
function rsaDer(n: Buffer, e: Buffer): Buffer {
  const jwk = { kty: 'RSA', n: n.toString('base64url'), e: e.toString('base64url') };
  return derOf(createPublicKey({ key: jwk, format: 'jwk' }));
}

const modulus = Buffer.from(publicKeyToJwk(derOf(rsaPair.publicKey)).n ?? '', 'base64url');

describe('an RSA key that anyone could sign with', () => {
  it.each([
    ['1', [1]],
    ['2', [2]],
    ['an even number', [1, 0, 0]],
    ['more than 33 bits', [2, 0, 0, 0, 1]],
    ['one as long as the modulus', [...Array(255).fill(0x55), 1]],
  ])('since its exponent is %s fits no algorithm', (_, exponent) => {
    const der = rsaDer(modulus, Buffer.from(exponent));
    expect(keyFits('RS256', createPublicKey({ key: der, format: 'der', type: 'spki' }))).toBe(false);
    expect(keyFits('PS256', createPublicKey({ key: der, format: 'der', type: 'spki' }))).toBe(false);
  });

  it('verifies no token: with exponent 1 the padded hash is its own signature', () => {
    const [header, claims] = [HEADER.replace('ES256', 'RS256'), CLAIMS];
    const input = `${Buffer.from(header).toString('base64url')}.${Buffer.from(claims).toString('base64url')}`;
    const signature = nodeSign('sha256', Buffer.from(input), rsaPair.privateKey);
    // What a signature becomes when it is raised to the exponent: 00 01 FF … 00 DigestInfo.
    const n = BigInt(`0x${modulus.toString('hex')}`);
    let encoded = 1n;
    let power = BigInt(`0x${signature.toString('hex')}`);
    for (let e = 65_537n; e > 0n; e >>= 1n, power = (power * power) % n) if (e & 1n) encoded = (encoded * power) % n;
    const forged = Buffer.from(encoded.toString(16).padStart(512, '0'), 'hex');
    const known = { ...authority, publicKeyDer: rsaDer(modulus, Buffer.from([1])) };
    expect(
      verify(`${input}.${signature.toString('base64url')}`, {
        known: { ...authority, publicKeyDer: derOf(rsaPair.publicKey) },
      }),
    ).toBe('ok');
    expect(verify(`${input}.${forged.toString('base64url')}`, { known })).toBe('algorithm-mismatch');
  });
});

describe('a key set is refused', () => {
  const ec = { ...publicKeyToJwk(authority.publicKeyDer), kid: 'k' };
  const rsa = { ...publicKeyToJwk(derOf(rsaPair.publicKey)), kid: 'k' };
  const read = (jwk: object) => parseJwks(Buffer.from(JSON.stringify({ keys: [jwk] })));
  const refused = expect.objectContaining({ code: 'ERR_JWKS' });

  it('never for what fits', () => {
    for (const jwk of [
      ec,
      rsa,
      { ...ec, alg: 'ES256', use: 'jwt-svid', key_ops: ['verify'] },
      { ...ec, key_ops: ['sign', 'verify'], ext: true, x5t: 'x' },
      { ...rsa, alg: 'PS384' },
    ])
      expect(read(jwk)).toHaveLength(1);
  });

  const b64 = (bytes: readonly number[]) => Buffer.from(bytes).toString('base64url');
  it.each<[string, object]>([
    ['an exponent of 1', { ...rsa, e: b64([1]) }],
    ['an exponent of 2', { ...rsa, e: b64([2]) }],
    ['an even exponent', { ...rsa, e: b64([1, 0, 0]) }],
    ['a huge exponent', { ...rsa, e: b64([1, 0, 0, 0, 0, 1]) }],
    ['an exponent of zero', { ...rsa, e: b64([0]) }],
    ['no exponent', { ...rsa, e: '' }],
    ['zeros before the exponent', { ...rsa, e: b64([0, 1, 0, 1]) }],
    ['zeros before the modulus', { ...rsa, n: Buffer.concat([Buffer.alloc(1), modulus]).toString('base64url') }],
    ['a modulus of 1024 bits', { ...rsa, n: modulus.subarray(0, 128).toString('base64url') }],
    ['a modulus of 16384 bits', { ...rsa, n: Buffer.alloc(2048, 0xff).toString('base64url') }],
    [
      'an even modulus',
      { ...rsa, n: Buffer.concat([modulus.subarray(0, -1), Buffer.from([0xfe])]).toString('base64url') },
    ],
    ['the algorithm of another type', { ...rsa, alg: 'ES256' }],
    ['the algorithm of another curve', { ...ec, alg: 'ES384' }],
    ['the algorithm of another use', { ...rsa, alg: 'RSA-OAEP' }],
    ['an HMAC for its algorithm', { ...rsa, alg: 'HS256' }],
    ['no algorithm', { ...ec, alg: 'none' }],
    ['an algorithm that is no text', { ...ec, alg: null }],
    ['operations without verifying', { ...ec, key_ops: ['sign'] }],
    ['no operations', { ...ec, key_ops: [] }],
    ['operations of encryption too', { ...rsa, key_ops: ['verify', 'encrypt'] }],
    ['an operation twice', { ...ec, key_ops: ['verify', 'verify'] }],
    ['operations that are text', { ...ec, key_ops: 'verify' }],
    ['a use that is no text', { ...ec, use: ['jwt-svid'] }],
    ['parameters of another type beside its own', { ...ec, n: rsa.n, e: rsa.e }],
    ['a curve beside a modulus', { ...rsa, crv: 'P-256' }],
    ['the type of another', { ...ec, kty: 'RSA' }],
    ['a symmetric key beside its own', { ...ec, k: 'AAAA' }],
    ['a private prime', { ...rsa, p: 'AAAA' }],
    ['the name of another curve', { ...ec, crv: 'P-384' }],
    ['a curve that signs no tokens', { ...ec, crv: 'secp256k1' }],
    ['a curve in another spelling', { ...ec, crv: 'prime256v1' }],
    ['a point off its curve', { ...ec, y: ec.x }],
    ['a coordinate too short', { ...ec, x: b64([1, 2, 3]) }],
    [
      'a coordinate too long',
      { ...ec, x: Buffer.concat([Buffer.alloc(1), Buffer.from(ec.x ?? '', 'base64url')]).toString('base64url') },
    ],
    ['padding', { ...ec, x: `${ec.x}=` }],
    ['white space', { ...ec, x: ` ${ec.x}` }],
    [
      'standard base64',
      {
        ...rsa,
        n: Buffer.concat([Buffer.from([0xfb]), modulus.subarray(1)])
          .toString('base64')
          .replace(/=*$/, ''),
      },
    ],
    ['bits behind the last byte', { ...rsa, e: 'AQAC' === rsa.e ? 'AQAD' : 'AR' }],
    ['a name that is no text', { ...ec, kid: 7 }],
  ])('for %s', (_, jwk) => {
    expect(() => read(jwk)).toThrow(refused);
  });

  it('for members twice, a byte order mark, or half of a surrogate pair', () => {
    const text = JSON.stringify({ keys: [ec] });
    for (const bad of [
      text.replace('"kid":"k"', '"kid":"j","kid":"k"'),
      text.replace('"crv":', '"crv":"P-384","crv":'),
      text.replace('{"keys"', '{"keys":[],"keys"'),
      `\ufeff${text}`,
      text.replace('"kid":"k"', '"kid":"\\ud800"'),
    ])
      expect(() => parseJwks(Buffer.from(bad)), bad).toThrow(refused);
  });
});
