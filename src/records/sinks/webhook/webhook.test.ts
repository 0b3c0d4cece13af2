import { createHmac } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sinkItems } from '../../../../test/conformance/sink-items.ts';
import { createManualClock, createSilentLog, createSystemRandom, Secret } from '../../../std/index.ts';
import { retryAfterMs } from '../../outgoing/post.ts';
import { type CameRequest, type GivenAnswer, openHttpPlace } from '../../testing/http-place.ts';
import { member } from './index.ts';
import { parseSecrets, signatures } from './signature.ts';

// Goal: the other side can tell who sent it and that it had it before; nothing goes anywhere but where the configuration says.

const { signal } = new AbortController();
const clock = createManualClock(1_800_000_000_500);
const keyed = (byte: number) => `whsec_${Buffer.alloc(32, byte).toString('base64')}`;
let secret = keyed(1);
let answers: GivenAnswer[];
let place: Awaited<ReturnType<typeof openHttpPlace>>;
beforeEach(async () => {
  secret = keyed(1);
  answers = [];
  place = await openHttpPlace(() => answers.shift() ?? { status: 200 }, { isTls: true });
});
afterEach(() => place.close());

const opened = (config: object = {}) =>
  member.open(
    { url: place.url, secret: 'env:SECRET', ca: '/ca.pem', ...config },
    {
      ...{ clock, random: createSystemRandom(), log: createSilentLog(), name: 'one', dataDir: '/' },
      readSecret: () => Secret.fromText(secret),
      readTrustedFile: () => place.ca,
    },
  );
const verified = ({ headers, body }: CameRequest, byte: number) => {
  const hmac = createHmac('sha256', Buffer.alloc(32, byte));
  const mac = hmac.update(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`).digest('base64');
  return `${headers['webhook-signature']}`.split(' ').includes(`v1,${mac}`);
};

describe('a request', () => {
  it('is signed over its id, its time and its body, and has the same id when it comes again', async () => {
    const sink = await opened();
    const items = sinkItems(3);
    for (const part of [items, items, items.slice(1)]) await sink.send(part, { signal });
    await sink.close();
    const [one, again, other] = place.requests;
    expect(one && verified(one, 1)).toBe(true);
    expect(one && verified({ ...one, body: `${one.body} ` }, 1)).toBe(false);
    expect(one?.headers).toMatchObject({ 'webhook-timestamp': '1800000000', 'content-type': 'application/json' });
    expect(again?.headers['webhook-id']).toBe(one?.headers['webhook-id']);
    expect(again?.headers['idempotency-key']).toBe(one?.headers['webhook-id']);
    expect(again?.body).toBe(one?.body);
    expect(other?.headers['webhook-id']).not.toBe(one?.headers['webhook-id']);
    expect(JSON.parse(one?.body ?? '')).toMatchObject({
      type: 'countersign.record',
      data: items.map(({ event }) => event),
    });
  });

  it('is signed by both secrets while one takes the place of another, which is read anew each time', async () => {
    const sink = await opened();
    secret = `${keyed(2)}\n${keyed(1)}`;
    await sink.send(sinkItems(1), { signal });
    secret = keyed(2);
    await sink.send(sinkItems(1), { signal });
    await sink.close();
    expect(place.requests.map((request) => [1, 2].map((byte) => verified(request, byte)))).toEqual([
      [true, true],
      [false, true],
    ]);
  });

  it.each([
    [{ status: 307, headers: { location: 'https://localhost:1/elsewhere' } }, 'away', undefined],
    [{ status: 401 }, 'away', undefined],
    [{ status: 429, headers: { 'retry-after': '7' } }, 'away', 7000],
    [{ status: 503, headers: { 'retry-after': new Date(1_800_000_010_000).toUTCString() } }, 'away', 9500],
    [{ status: 500, body: 'x'.repeat(200_000) }, 'away', undefined],
    [{ status: 413 }, 'refused', undefined],
    [{ status: 202, body: 'fine' }, 'taken', undefined],
  ])('that is answered by %j is %s', async (given, kind, afterMs) => {
    answers.push(given);
    const sink = await opened();
    const answer = await sink.send(sinkItems(2), { signal });
    await sink.close();
    expect(answer.kind).toBe(kind);
    expect(answer.kind === 'away' ? answer.retryAfterMs : undefined).toBe(afterMs);
    expect(place.requests).toHaveLength(1);
  });
});

it.each([
  'http://siem.corp.example/in',
  'https://user:pass@siem.corp.example/in',
  'https://siem.corp.example/in?token=x',
  'http://localhost.evil.example/in',
  'file:///etc/passwd',
  'https://siem.corp.example\\@elsewhere/in',
])('goes to no such address as %s', async (url) => {
  await expect(opened({ url })).rejects.toMatchObject({ code: 'ERR_RECORDS_SINK' });
});

it.each([
  '',
  'plain',
  'whsec_short',
  `whsec_${'A'.repeat(200)}`,
])('takes no secret such as %j, nor repeats it', (text) => {
  const error = (() => {
    try {
      return parseSecrets(text);
    } catch (thrown) {
      return thrown;
    }
  })();
  expect(error).toMatchObject({ code: 'ERR_RECORDS_SINK' });
  if (text !== '') expect(String(error)).not.toContain(text);
});

it('signs as the example of Standard Webhooks does', () => {
  const keys = parseSecrets('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
  const body = Buffer.from('{"test": 2432232314}');
  expect(signatures(keys, { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestamp: '1614265330', body })).toBe(
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  );
});

it.each([
  ['3', 3000],
  ['-3', undefined],
  ['soon', undefined],
  ['99999999999999999999', undefined],
])('reads Retry-After: %s', (text, ms) => {
  expect(retryAfterMs(text, 0)).toBe(ms);
});
