import type { KeyObject } from 'node:crypto';
import type { SigningAlgorithm } from '../../model/index.ts';
import type { JsonValue } from '../json/index.ts';
import { isSigningAlgorithm, signJws } from './algorithms.ts';
import { JoseError } from './errors.ts';
import { JSON_DEPTH_MAX, parseStrictObject } from './strict-json.ts';

/** A parsed but unverified JWT. */
export interface ParsedJwt {
  readonly algorithm: SigningAlgorithm;
  readonly keyId: string;
  readonly claims: { readonly [name: string]: JsonValue };
  /** What the signature is over. */
  readonly signingInput: Buffer;
  readonly signature: Buffer;
}

/**
 * Signs a JWT with the header `alg`, `kid`, `typ` and nothing else; the type is `JWT` unless it is for something that must not pass as one.
 * Numbers in claims must be integers: some verifiers refuse any other notation of a time. `sign` replaces the key for keys that live elsewhere.
 * @throws JoseError ERR_JWT_KEY, ERR_JWT (a claim that can not be written)
 */
export function signJwt(options: {
  readonly algorithm: SigningAlgorithm;
  readonly keyId: string;
  readonly key: KeyObject | ((input: Buffer) => Buffer);
  readonly claims: { readonly [name: string]: JsonValue };
  readonly type?: string;
}): string {
  const header = base64url({ alg: options.algorithm, kid: options.keyId, typ: options.type ?? 'JWT' });
  checkNumbers(options.claims, 0);
  const input = `${header}.${base64url(options.claims)}`;
  const bytes = Buffer.from(input, 'latin1');
  const signature =
    typeof options.key === 'function' ? options.key(bytes) : signJws(options.algorithm, options.key, bytes);
  const token = `${input}.${signature.toString('base64url')}`;
  if (token.length > TOKEN_CHARS_MAX) throw new JoseError('ERR_JWT', `the token would have ${token.length} characters`);
  return token;
}

/**
 * Parses a compact JWT: canonical base64url, a header of exactly `alg`, `kid` and (optional) `typ`, claims that are one object, both JSON that
 * can be read in one way only.
 * Nothing of it is verified. With a `type` the header must name that very one (RFC 8725 §3.11), else `JWT` or `JOSE`, or none.
 * @throws JoseError ERR_JWT
 * @see JWT-SVID §2, RFC 7515 §3.1
 */
export function parseJwt(token: string, type?: string): ParsedJwt {
  if (token.length > TOKEN_CHARS_MAX) {
    throw new JoseError('ERR_JWT', `a token has at most ${TOKEN_CHARS_MAX} characters, this one ${token.length}`);
  }
  const [headerText, claimsText, signatureText, ...more] = token.split('.', 4);
  if (!headerText || !claimsText || !signatureText || more.length > 0) {
    throw new JoseError('ERR_JWT', 'a token is three parts with dots between');
  }
  const header = parseObject(headerText, 'header');
  for (const name of Object.keys(header)) {
    if (!HEADER_NAMES.has(name)) throw new JoseError('ERR_JWT', 'the token header holds only alg, kid and typ');
  }
  const { alg, kid, typ } = header;
  if (!isSigningAlgorithm(alg))
    throw new JoseError('ERR_JWT', 'the token is signed with an algorithm that is not allowed');
  if (typeof kid !== 'string' || kid === '' || kid.length > KEY_ID_CHARS_MAX) {
    throw new JoseError('ERR_JWT', 'the token header names no key');
  }
  if (type !== undefined && typ !== type) throw new JoseError('ERR_JWT', 'the token is of another type');
  if (type === undefined && typ !== undefined && typ !== 'JWT' && typ !== 'JOSE')
    throw new JoseError('ERR_JWT', 'the token type is JWT or JOSE');
  return {
    algorithm: alg,
    keyId: kid,
    claims: parseObject(claimsText, 'claims'),
    signingInput: Buffer.from(token.slice(0, headerText.length + 1 + claimsText.length), 'latin1'),
    signature: decodePart(signatureText, 'signature'),
  };
}

/** Decodes base64url without padding, in its one canonical form: another spelling would be another token with the same meaning. */
function decodePart(text: string, what: string): Buffer {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) throw new JoseError('ERR_JWT', `the token's ${what} is not base64url`);
  return bytes;
}

function parseObject(text: string, what: string): { readonly [name: string]: JsonValue } {
  return parseStrictObject(decodePart(text, what), { code: 'ERR_JWT', what: `the token's ${what}` });
}

function base64url(value: JsonValue): string {
  return Buffer.from(JSON.stringify(value), 'utf8').toString('base64url');
}

function checkNumbers(value: JsonValue, depth: number): void {
  if (depth > JSON_DEPTH_MAX) throw new JoseError('ERR_JWT', `claims nest deeper than ${JSON_DEPTH_MAX} levels`);
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new JoseError('ERR_JWT', 'numbers in claims must be safe integers');
  }
  if (typeof value === 'object' && value !== null)
    for (const item of Object.values(value)) checkNumbers(item, depth + 1);
}

const HEADER_NAMES: ReadonlySet<string> = new Set(['alg', 'kid', 'typ']);
/** A token travels in an HTTP header: servers refuse headers over 8 to 16 KiB. */
const TOKEN_CHARS_MAX = 16 * 1024;
const KEY_ID_CHARS_MAX = 256;
