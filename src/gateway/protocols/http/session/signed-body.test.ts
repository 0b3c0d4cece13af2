import { createHash } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import type { BodyLength } from '../../../../wire/http1/index.ts';
import { checkConfig, parseConfig } from '../config.ts';
import { answerOf, type HttpBed, type HttpBedOptions, openHttp, settled } from '../testing/harness.ts';
import { valueIn, verifySigV4 } from '../testing/verify-sigv4.ts';
import { unchunk } from '../upstream/aws-chunked.ts';
import { placesOf } from '../upstream/place.ts';
import { createUpstreams } from '../upstream/upstreams.ts';
import { bodyPlan } from './signed-body.ts';

// Goal: an API of AWS gets what policy allowed, signed by the gateway and by nobody else; the key is never seen.

const KEY = { id: 'AKIDEXAMPLE', secret: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const TOKEN = 'session/token+of==the-gateway';
const SECRETS: Readonly<Record<string, string>> = { 'env:ID': KEY.id, 'env:KEY': KEY.secret, 'env:TOKEN': TOKEN };
const sigv4 = (service = 's3') => ({
  sigv4: {
    ...{
      region: 'eu-central-1',
      service,
      accessKeyId: 'env:ID',
      secretAccessKey: 'env:KEY',
      sessionToken: 'env:TOKEN',
    },
  },
});
const config = (service?: string) => ({ credential: sigv4(service), limits: { bodyInspectedBytes: 1_024 } });

let bed: HttpBed | undefined;
afterEach(async () => {
  await bed?.close();
  bed = undefined;
});
const open = async (options: HttpBedOptions = {}) => {
  bed = await openHttp({
    answer: () => answerOf('{"ok":true}'),
    secret: (reference) => SECRETS[reference] ?? '',
    ...options,
    config: { ...config(), ...options.config },
  });
  return bed;
};
const CREDENTIALS = /wJalr|session.token/;
/** The request that reached the upstream at that connection, and what is wrong with its signature. */
const arrived = (at = 0) => verifySigV4(Buffer.from(bed?.upstream[at]?.replace(/\n---\n$/, '') ?? '', 'latin1'), KEY);
const request = (first: string, fields: readonly string[] = [], body = '') =>
  `${first} HTTP/1.1\r\nhost: api\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n${body}`;
const chunked = (...pieces: readonly string[]) => pieces.join('\r\n');

describe('what the upstream gets', () => {
  it.each([
    ['a GET', request('GET /b/k%20e+y?list-type=2&prefix=a/b'), ''],
    ['a POST without a body', request('POST /b?uploads', ['content-length: 0']), ''],
    ['a body of a length', request('PUT /b/k', ['content-type: text/plain', 'content-length: 5'], 'hello'), 'hello'],
    ['chunks', request('PUT /b/k', ['transfer-encoding: chunked'], '5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n'), 'hello!'],
    ['chunks of nothing', request('PUT /b/k', ['transfer-encoding: chunked'], '0\r\n\r\n'), ''],
    ['a body as long as may be', request('PUT /b/k', ['content-length: 1024'], 'x'.repeat(1024)), 'x'.repeat(1024)],
  ])('is signed, of %s, with its hash and the time of the clock', async (_, text, body) => {
    const { send, until, logged, ledger, received } = await open();
    send(text);
    await until('"ok":true');
    const { request: sent, wrong } = arrived();
    expect(wrong).toBeUndefined();
    expect(sent.body.toString()).toBe(body);
    expect(valueIn(sent, 'x-amz-date')).toBe('19700101T000000Z');
    expect(valueIn(sent, 'x-amz-content-sha256')).toBe(createHash('sha256').update(body).digest('hex'));
    expect(valueIn(sent, 'x-amz-security-token')).toBe(TOKEN);
    expect(valueIn(sent, 'transfer-encoding')).toBeUndefined();
    expect(JSON.stringify([logged, ledger.events, received()])).not.toMatch(CREDENTIALS);
  });

  it('has nothing of the client’s own signature', async () => {
    const { send, until } = await open();
    const own = ['authorization: AWS4-HMAC-SHA256 Credential=mine', 'x-amz-date: 20200101T000000Z', 'date: mine'];
    send(
      request('GET /b/k', [...own, 'x-amz-security-token: mine', 'x-amz-content-sha256: mine', 'x-amz-acl: private']),
    );
    await until('"ok":true');
    const { request: sent, wrong } = arrived();
    expect(wrong).toBeUndefined();
    expect(JSON.stringify(sent.fields)).not.toMatch(/mine|2020/);
    expect(valueIn(sent, 'x-amz-acl')).toBe('private');
  });

  it('is signed anew, for its time, when it is sent again', async () => {
    let times = 0;
    const { send, until, clock } = await open({ answer: () => (++times === 2 ? undefined : answerOf('{"ok":true}')) });
    send(request('GET /b/a'));
    await until('"ok":true');
    send(request('GET /b/b'));
    await bed?.heard('/b/b');
    await clock.advance(1_000);
    bed?.socket.destroy();
    await until(/ok":true}.*ok":true}/s);
    expect(arrived(1).wrong).toBeUndefined();
    expect(valueIn(arrived(1).request, 'x-amz-date')).toBe('19700101T000001Z');
  });
});

describe('a body in chunks that its client has signed', () => {
  const SIGNED = `;chunk-signature=${'a'.repeat(64)}`;
  const streaming = (kind: string, body: string, more: readonly string[] = []) =>
    request(
      'PUT /b/k',
      [
        `x-amz-content-sha256: STREAMING-${kind}`,
        'content-encoding: gzip, aws-chunked',
        ...more,
        `content-length: ${body.length}`,
      ],
      body,
    );

  it.each([
    ['signed', 'AWS4-HMAC-SHA256-PAYLOAD', chunked(`5${SIGNED}`, 'hello', `1${SIGNED}`, '!', `0${SIGNED}`, '', '')],
    [
      'signed, with a trailer',
      'AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
      chunked(
        `6${SIGNED}`,
        'hello!',
        `0${SIGNED}`,
        'x-amz-checksum-crc32:AAAAAA==',
        `x-amz-trailer-signature:${'b'.repeat(64)}`,
        '',
        '',
      ),
    ],
    ['not signed', 'UNSIGNED-PAYLOAD-TRAILER', chunked('6', 'hello!', '0', 'x-amz-checksum-crc32: AAAAAA==', '', '')],
  ])('goes on without them: %s', async (_, kind, body) => {
    const { send, until } = await open();
    send(streaming(kind, body, ['x-amz-decoded-content-length: 6', 'x-amz-trailer: x-amz-checksum-crc32']));
    await until('"ok":true');
    const { request: sent, wrong } = arrived();
    expect(wrong).toBeUndefined();
    expect(sent.body.toString()).toBe('hello!');
    expect(valueIn(sent, 'content-encoding')).toBe('gzip');
    expect(valueIn(sent, 'content-length')).toBe('6');
    expect(valueIn(sent, 'x-amz-checksum-crc32')).toBe(body.includes('crc32') ? 'AAAAAA==' : undefined);
    expect(JSON.stringify(sent.fields)).not.toMatch(/STREAMING|decoded|trailer/);
  });

  it.each([
    ['another length than was said', chunked('5', 'hello', '0', '', '')],
    ['a trailer that is no checksum', chunked('6', 'hello!', '0', 'x-amz-acl:public-read', '', '')],
    ['no end', chunked('6', 'hello!', '0', '')],
  ])('is refused with %s', async (_, body) => {
    const { send, until, upstream } = await open();
    send(streaming('UNSIGNED-PAYLOAD-TRAILER', body, ['x-amz-decoded-content-length: 6']));
    await until('HTTP/1.1 400');
    expect(upstream).toEqual([]);
  });

  it.each([
    ['no head', 'hello'],
    ['a size that is none', chunked('x', 'hello', '0', '', '')],
    ['an extension of another name', chunked('5;a=b', 'hello', '0', '', '')],
    ['a size that is too large', chunked('6', 'hello', '0', '', '')],
    ['a size that is too small', chunked('4', 'hello', '0', '', '')],
    ['something behind its end', chunked('5', 'hello', '0', '', 'x')],
    ['a trailer twice', chunked('0', 'x-amz-checksum-crc32:A', 'X-Amz-Checksum-Crc32:B', '', '')],
    ['a bare line feed', '0\n\n'],
  ])('is none with %s', (_, body) => {
    expect(typeof unchunk(Buffer.from(body))).toBe('string');
  });
});

describe('what is refused', () => {
  it.each([
    ['a longer body', request('PUT /b/k', ['content-length: 1025'], 'x'), '413', 'bodyInspectedBytes'],
    [
      'chunks that grow longer',
      request('PUT /b/k', ['transfer-encoding: chunked'], `401\r\n${'x'.repeat(1025)}\r\n`),
      '413',
      'Say its length',
    ],
    ['a presigned address', request('GET /b/k?X-Amz-Signature=1&X-Amz-Expires=5'), '400', 'presigned'],
    [
      'a copy of what policy does not see',
      request('PUT /b/k', ['x-amz-copy-source: /other/k', 'content-length: 0']),
      '400',
      'header.x-amz-copy-source',
    ],
    [
      'events that are signed each',
      request('POST /x', ['x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-EVENTS', 'content-length: 1'], 'x'),
      '501',
      'whole',
    ],
  ])('%s, which says what to do', async (_, text, status, hint) => {
    const { send, until, upstream, received } = await open();
    send(text);
    await until(`HTTP/1.1 ${status}`);
    await until(hint);
    await settled();
    expect(received()).not.toContain('ok":true');
    expect(upstream).toEqual([]);
  });

  it('is no copy that a route reads', async () => {
    const routes = [{ name: 'put', path: '/b/{key}', reads: ['header.x-amz-copy-source'] }];
    const { send, until, asked } = await open({ config: { routes } });
    send(request('PUT /b/k', ['x-amz-copy-source: /other/k', 'content-length: 0']));
    await until('"ok":true');
    expect(arrived().wrong).toBeUndefined();
    expect(asked[0]?.tags).toMatchObject({ 'header.x-amz-copy-source': '/other/k' });
  });
});

describe('a body that is longer than what is held', () => {
  const plan = (
    url: string,
    service: string,
    fields: Readonly<Record<string, string>> = {},
    body: BodyLength = { kind: 'length', bytes: 1_025 },
  ) => {
    const checked = parseConfig({ ...config(service), url });
    const upstreams = createUpstreams({
      places: placesOf(checked),
      clock: { now: () => 0, monotonicMs: () => 0, after: () => ({ cancel() {} }) },
      random: { fraction: () => 0 },
    });
    const head = { body, fields: Object.entries(fields).map(([name, value]) => ({ name, value })) };
    return bodyPlan(head, { config: checked, upstreams });
  };
  const TRAILER = { 'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER' };
  const PAYLOAD = { 'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' };

  it.each([
    ['goes on to S3 by TLS', 'https://s3', 's3', {}, 'UNSIGNED-PAYLOAD'],
    ['goes on to it in chunks that are not signed', 'https://s3', 's3', TRAILER, 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'],
    ['does not in chunks that are', 'https://s3', 's3', PAYLOAD, 413],
    ['does not in chunks of which nothing is said', 'https://s3', 's3', { 'content-encoding': 'aws-chunked' }, 413],
    ['does not without TLS', 'http://s3', 's3', {}, 413],
    ['does not to another service', 'https://api', 'execute-api', {}, 413],
  ])('%s', (_, url, service, fields, expected) => {
    const found = plan(url, service, fields);
    expect(found).toMatchObject(
      typeof expected === 'number' ? { status: expected } : { holds: false, payload: expected },
    );
  });

  it('is held where its length is not known, or is just that', () => {
    expect(plan('https://s3', 's3', {}, { kind: 'chunked' })).toEqual({ holds: true, payload: undefined });
    expect(plan('https://s3', 's3', {}, { kind: 'length', bytes: 1_024 })).toEqual({ holds: true, payload: undefined });
  });
});

describe('an answer', () => {
  it('that repeats key, token or signature shows none of them', async () => {
    const { send, until, received } = await open({
      answer: (text) => {
        const authorization = /authorization: (.*)\r/.exec(text)?.[1] ?? '';
        const spaced = Buffer.from(`x-amz-security-token:${TOKEN}\n`)
          .toString('hex')
          .replace(/..(?=.)/g, '$& ');
        return answerOf(JSON.stringify([KEY.secret, TOKEN, authorization, spaced]), { 'x-echo': authorization });
      },
    });
    send(request('GET /b/k'));
    await until(/Signature=\*{64}"/);
    const signature = /Signature=([0-9a-f]{64})/.exec(bed?.upstream[0] ?? '')?.[1] ?? '';
    expect(received()).toMatch(/x-echo: .*Signature=\*{64}\r/);
    for (const secret of [KEY.secret, TOKEN, signature, '73 65 73 73 69 6f 6e'])
      expect(received()).not.toContain(secret);
  });

  it.each([
    ['403 Forbidden', { 'x-amzn-errortype': 'InvalidSignatureException' }, '502'],
    ['401 Unauthorized', {}, '502'],
    ['403 Forbidden', { 'x-amzn-errortype': 'AccessDeniedException' }, '403'],
    ['403 Forbidden', {}, '403'],
  ])('of %s with %j is a %s', async (status, fields, shown) => {
    const { send, until } = await open({ answer: () => answerOf('{}', { ...fields }, status) });
    send(request('GET /b/k'));
    await until(`HTTP/1.1 ${shown}`);
  });
});

it.each([
  ['calls over HTTP/2', { credential: sigv4(), upstreamHttp2: true }, /HTTP\/2/],
  ['other services of S3', { credential: sigv4('s3express') }, /s3 alone/],
  ['a region with a slash', { credential: { sigv4: { ...sigv4().sigv4, region: 'a/b' } } }, /credential/],
  [
    'a field that is said anew',
    { credential: sigv4(), routes: [{ name: 'a', path: '/a', reads: ['header.x-amz-date'] }] },
    /not passed on/,
  ],
])('config has no signatures for %s', (_, wrong, problem) => {
  expect(checkConfig({ url: 'https://s3', ...wrong }).join()).toMatch(problem);
  expect(checkConfig({ url: 'https://s3', credential: sigv4() })).toEqual([]);
});
