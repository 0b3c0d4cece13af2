import { describe, expect, it } from 'vitest';
import { encodeRequestHead, type Field } from '../../../../wire/http1/index.ts';
import { isRefusal } from '../meaning/index.ts';
import { parsePath } from '../meaning/path.ts';
import { parseQuery } from '../meaning/query.ts';
import { signedTarget } from '../meaning/signed.ts';
import { valueIn, verifySigV4 } from '../testing/verify-sigv4.ts';
import { isSignatureRefused, type Signer, signed } from './signature.ts';

// Goal: what is signed is what is sent, by a verifier of the specification's own, which is itself held against the published examples.

const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const S3_KEY = { id: 'AKIAIOSFODNN7EXAMPLE', secret: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' };
const KEY = { id: 'AKIDEXAMPLE', secret: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const S3_DATE = Date.UTC(2013, 4, 24);
const signerOf = ({ id, secret }: typeof KEY, service: string, sessionToken?: string): Signer => ({
  ...{ region: 'us-east-1', service, accessKeyId: id, secretAccessKey: secret, sessionToken },
});
const NO_FIELDS: readonly Field[] = [];

describe('the published examples', () => {
  const example = (first: string, fields: Readonly<Record<string, string>>, body = '') =>
    Buffer.from(
      `${first} HTTP/1.1\r\n${Object.entries(fields)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('')}\r\n${body}`,
    );
  const proof = (id: string, scope: string, names: string, signature: string) => ({
    authorization: `AWS4-HMAC-SHA256 Credential=${id}/${scope}/aws4_request, SignedHeaders=${names}, Signature=${signature}`,
  });
  const s3 = (names: string, signature: string) => proof(S3_KEY.id, '20130524/us-east-1/s3', names, signature);
  const S3_FIELDS = { host: 'examplebucket.s3.amazonaws.com', 'x-amz-date': '20130524T000000Z' };

  it.each([
    [
      'IAM’s ListUsers',
      KEY,
      example('GET /?Action=ListUsers&Version=2010-05-08', {
        ...{ host: 'iam.amazonaws.com', 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
        'x-amz-date': '20150830T123600Z',
        ...proof(
          ...([KEY.id, '20150830/us-east-1/iam', 'content-type;host;x-amz-date'] as const),
          '5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7',
        ),
      }),
    ],
    [
      'get-vanilla of the suite',
      KEY,
      example('GET /', {
        ...{ host: 'example.amazonaws.com', 'x-amz-date': '20150830T123600Z' },
        ...proof(
          ...([KEY.id, '20150830/us-east-1/service', 'host;x-amz-date'] as const),
          '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
        ),
      }),
    ],
    [
      'a part of an object of S3',
      S3_KEY,
      example('GET /test.txt', {
        ...{ ...S3_FIELDS, range: 'bytes=0-9', 'x-amz-content-sha256': EMPTY },
        ...s3(
          'host;range;x-amz-content-sha256;x-amz-date',
          'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
        ),
      }),
    ],
    [
      'a new object of S3',
      S3_KEY,
      example(
        'PUT /test%24file.text',
        {
          ...{ ...S3_FIELDS, date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
          'x-amz-content-sha256': '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
          ...s3(
            'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
            '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
          ),
        },
        'Welcome to Amazon S3.',
      ),
    ],
  ])('are right to the verifier: %s', (_, key, bytes) => {
    expect(verifySigV4(bytes, key).wrong).toBeUndefined();
    const other = Buffer.from(bytes.toString('latin1').replace(/^(\w+ \/)/, '$1x'), 'latin1');
    expect(verifySigV4(other, key).wrong).toContain('another signature');
  });

  it.each([
    ['/?lifecycle', 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'],
    ['/?max-keys=2&prefix=J', '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'],
  ])('are what is signed here: GET %s of S3', (target, signature) => {
    const request = { method: 'GET', target, host: S3_FIELDS.host, fields: NO_FIELDS, payload: EMPTY, nowMs: S3_DATE };
    expect(signed(request, signerOf(S3_KEY, 's3')).signature).toBe(signature);
  });
});

describe('a signed request', () => {
  /** As the member sends what a client wrote. */
  const sent = (written: string, service: string, fields = NO_FIELDS) => {
    const cut = `${written}?`.indexOf('?');
    const path = parsePath(written.slice(0, cut));
    const query = parseQuery(written.slice(cut + 1), { reads: [], credential: undefined });
    if (isRefusal(path) || isRefusal(query)) throw new Error(`refused before: ${written}`);
    const target = signedTarget({ path: path.written, query: query.written }, service);
    if (typeof target !== 'string') return target;
    const request = { method: 'GET', target, host: 'h.example:8443', fields, payload: EMPTY, nowMs: 1_700_000_000_999 };
    const made = signed(request, signerOf(KEY, service, 'a-session-token/+='));
    const head = encodeRequestHead({ ...request, fields: made.fields, body: { kind: 'none' } });
    return verifySigV4(head, KEY);
  };

  it.each([
    ['/', '/'],
    ['/a/b/', '/a/b/'],
    ['/a%20b/c', '/a%20b/c'],
    ["/a+b!$&'()*,=:@-._~", '/a%2Bb%21%24%26%27%28%29%2A%2C%3D%3A%40-._~'],
    ['/%c3%a9/%F0%9F%98%80', '/%C3%A9/%F0%9F%98%80'],
    ['/100%25', '/100%25'],
    ['/a?b', '/a?b'],
    ['/a?b=', '/a?b='],
    ['/a?b=c=d', '/a?b=c%3Dd'],
    ['/a?b=1+2%2b3%203', '/a?b=1%202%2B3%203'],
    ['/a?z=1&a=2&B=3&a-b=4&a%5b%5d=5', '/a?z=1&a=2&B=3&a-b=4&a%5B%5D=5'],
    ["/a?x=!$'()*,:@/?", '/a?x=%21%24%27%28%29%2A%2C%3A%40%2F%3F'],
    ['/a?10=x&9=y&%c3%a9=%c3%a9', '/a?10=x&9=y&%C3%A9=%C3%A9'],
    ['/a?constructor=1&toString=2&hasOwnProperty=3', '/a?constructor=1&toString=2&hasOwnProperty=3'],
    ['/a?percent=100%25%zz', '/a?percent=100%25%25zz'],
  ])('of %s is sent as %s, and its signature is that of what is sent', (written, target) => {
    for (const service of ['s3', 'execute-api', 'dynamodb']) {
      const found = sent(written, service);
      if (!('request' in found)) throw new Error(found.message);
      expect(found.request.target).toBe(target);
      expect(found.wrong).toBeUndefined();
      expect(valueIn(found.request, 'x-amz-date')).toBe('20231114T221320Z');
      expect(valueIn(found.request, 'x-amz-security-token')).toBe('a-session-token/+=');
    }
  });

  it('may have a name twice, but for S3', () => {
    expect(sent('/a?b=2&b=10&b=1&b', 'execute-api')).toMatchObject({ wrong: undefined });
    expect(sent('/a?b=2&b=2', 's3')).toMatchObject({ status: 400, message: expect.stringContaining('twice') });
    expect(sent('/a?b=2&%62=3', 's3')).toMatchObject({ status: 400 });
  });

  it.each([
    ['a presigned one', '/a?X-Amz-Signature=1'],
    ['one in another case', '/a?x-amz-credential=1'],
    ['one that is encoded', '/a?X%2DAmz%2DDate=1'],
    ['one of full width', '/a?%EF%BC%B8-Amz-Expires=1'],
    ['one with its token alone', '/a?b=1&X-Amz-Security-Token=1'],
    ['one of the second version', '/a?AWSAccessKeyId=1&Signature=2&Expires=3'],
    ['one behind a semicolon', '/a?b=1;X-Amz-Date=2'],
    ['a name that is none', '/a?=1'],
    ['a name that objects have', '/a?__proto__=1'],
    ['what is no UTF-8', '/a?b=%ff'],
    ['more pairs than are read', `/a?${'b=1&'.repeat(1_001)}`],
  ])('is none with %s', (_, written) => {
    for (const service of ['s3', 'iam'])
      expect(sent(written, service)).toMatchObject({ status: 400, code: 'http-query' });
  });

  it('may have as many pairs as are read', () => {
    const pairs = Array.from({ length: 1_000 }, (_, at) => `b${at}=1`).join('&');
    expect(sent(`/a?${pairs}`, 's3')).toMatchObject({ wrong: undefined });
  });

  it('has no path that servers take for another', () => {
    expect(sent('/a;b/c', 's3')).toMatchObject({ status: 400, code: 'http-path' });
    expect(sent('/a%2fb', 's3')).toMatchObject({ status: 400, code: 'http-path' });
    expect(sent('/a%2fb', 'iam')).toMatchObject({ wrong: undefined });
    expect(sent('/a//b', 'iam')).toMatchObject({ status: 400, code: 'http-path' });
    expect(sent('/a//b', 's3')).toMatchObject({ wrong: undefined });
  });

  it('has what is signed once, and what its client signed not at all', () => {
    const fields = [
      ...[
        ['x-amz-meta-a', 'one'],
        ['accept', 'b'],
        ['x-amz-meta-a', 'two  blanks'],
        ['accept', 'c'],
        ['content-type', 'text/plain;  charset=utf-8'],
        ['content-md5', '1B2M2Y8AsgTpgAmY7PhCfg=='],
        ['user-agent', 'x'],
        ['x-amz-date', '20000101T000000Z'],
        ['x-amz-content-sha256', 'UNSIGNED-PAYLOAD'],
        ['x-amz-security-token', 'mine'],
        ['authorization', 'AWS4-HMAC-SHA256 Credential=mine'],
      ].map(([name = '', value = '']) => ({ name, value })),
    ];
    const found = sent('/a', 's3', fields);
    if (!('request' in found)) throw new Error(found.message);
    expect(found.wrong).toBeUndefined();
    expect(valueIn(found.request, 'x-amz-meta-a')).toBe('one,two  blanks');
    expect(found.request.fields.filter(([name]) => name === 'accept')).toHaveLength(2);
    expect(JSON.stringify(found.request.fields)).not.toMatch(/mine|20000101|UNSIGNED/);
    expect(valueIn(found.request, 'authorization')).toContain(
      'SignedHeaders=content-md5;content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-a;x-amz-security-token,',
    );
  });
});

it.each([
  [403, 'InvalidSignatureException', true],
  [403, 'UnrecognizedClientException:http://internal.amazon.com/coral/', true],
  [400, 'ExpiredTokenException', true],
  [403, 'AccessDeniedException', false],
  [400, 'ValidationException', false],
  [200, 'InvalidSignatureException', false],
])('an answer of %i with %s says that the signature is refused: %s', (status, value, isRefused) => {
  expect(isSignatureRefused(status, [{ name: 'x-amzn-errortype', value }])).toBe(isRefused);
});
