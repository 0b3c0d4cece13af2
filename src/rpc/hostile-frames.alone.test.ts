import { once } from 'node:events';
import { create, toBinary } from '@bufbuild/protobuf';
import { Health } from '@countersign/sdk/contract';
import { HealthCheckRequestSchema } from '@countersign/sdk/contract/gen/grpc/health/v1/health_pb.ts';
import { afterEach, describe, expect, it } from 'vitest';
import { encodeFrame } from '../wire/grpc/index.ts';
import { pathOf } from './index.ts';
import {
  callBlock,
  connectRaw,
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  PREFACE,
  type RawClient,
  uint32,
} from './testing/raw-frames.ts';
import { request, type Started, start } from './testing/start.ts';

// Goal: what HTTP/2 allows to be sent without end, and what it forbids, costs the connection that sends it and nobody else.

let started: Started | undefined;
afterEach(async () => {
  await started?.stop();
  started = undefined;
});
const begin = async (...args: Parameters<typeof start>): Promise<Started> => {
  started = await start(...args);
  return started;
};
const check = pathOf(Health.method.check);
const anyRequest = encodeFrame(toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema)));
const foreverRequest = encodeFrame(
  toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service: 'forever' })),
);
const call = (stream: number, flags = 0) => frame(FRAME.headers, END_HEADERS | flags, stream, callBlock(check));
/** GET, http, / and the authority: no call, though good HTTP/2. RFC 7541 appendix A. */
const getBlock = Buffer.concat([Buffer.from([0x82, 0x86, 0x84, 0x01, 9]), Buffer.from('localhost')]);
const many = (count: number, one: (n: number) => Buffer) =>
  Buffer.concat(Array.from({ length: count }, (_, n) => one(n)));

/** Sends it up to `times` times, as long as the connection lives. */
async function flood(client: RawClient, bytes: Buffer, times: number): Promise<void> {
  for (let n = 0; n < times && (await client.send(bytes)); n++);
}

async function othersAreServed(test: Started): Promise<void> {
  expect((await request(test.raw(), { ':path': check }, anyRequest)).grpcStatus).toBe('0');
}

describe('a flood of frames', () => {
  it.each([
    ['SETTINGS', many(1000, () => frame(FRAME.settings, 0, 0, Buffer.from('000300000064', 'hex')))],
    ['PING', many(1000, () => frame(FRAME.ping, 0, 0, Buffer.alloc(8)))],
    ['empty DATA', many(1000, () => frame(FRAME.data, 0, 1))],
    ['CONTINUATION without end', many(100, () => frame(FRAME.continuation, 0, 3, callBlock(check)))],
    ['resets of streams that were just opened', undefined],
    ['header blocks that fail', many(1000, (n) => frame(FRAME.headers, END_HEADERS, 3 + 2 * n, Buffer.from([0xff])))],
  ])('of %s ends the connection', async (name, bytes) => {
    const test = await begin('unix');
    const client = connectRaw(test.path);
    await client.send(Buffer.concat([PREFACE, call(1)]));
    if (name.startsWith('CONTINUATION')) await client.send(frame(FRAME.headers, 0, 3, callBlock(check)));
    if (bytes !== undefined) await flood(client, bytes, 1000);
    for (let base = 3; bytes === undefined && base < 200_000 && !client.isClosed; base += 200) {
      const pairs = many(100, (n) =>
        Buffer.concat([call(base + 2 * n, END_STREAM), frame(FRAME.reset, 0, base + 2 * n, uint32(8))]),
      );
      await client.send(pairs);
    }
    await client.closed;
    await othersAreServed(test);
  });

  it.each([
    ['WINDOW_UPDATE', many(2000, () => frame(FRAME.windowUpdate, 0, 0, uint32(1)))],
    ['PRIORITY', many(2000, () => frame(FRAME.priority, 0, 5, Buffer.from([0, 0, 0, 0, 9])))],
    ['frames of unknown types', many(2000, () => frame(0x42, 0, 0, Buffer.alloc(4)))],
  ])('of %s costs nothing but its own reading: others are served while it goes on', async (_name, bytes) => {
    const test = await begin('unix');
    const client = connectRaw(test.path);
    await client.send(Buffer.concat([PREFACE, call(1)]));
    const flooding = flood(client, bytes, 500);
    for (let n = 0; n < 20; n++) await othersAreServed(test);
    await flooding;
    await othersAreServed(test);
  });

  it('of requests that are no calls, each taken back behind its answer, ends the connection', async () => {
    const test = await begin('unix', { limits: { resetsPer10sMax: 50 } });
    const client = connectRaw(test.path);
    await client.send(PREFACE);
    for (let stream = 1; stream < 1000 && !client.isClosed; stream += 2) {
      await client.send(frame(FRAME.headers, END_HEADERS, stream, getBlock));
      while (client.answered.at(-1) !== stream && !client.isClosed)
        await Promise.race([once(client.socket, 'data'), client.closed]);
      await client.send(frame(FRAME.reset, 0, stream, uint32(8)));
    }
    expect(client.isClosed).toBe(true);
    await othersAreServed(test);
  });

  it('whose answers are never read does not make the server hold them', async () => {
    const test = await begin('unix');
    const client = connectRaw(test.path, { reads: false });
    await client.send(PREFACE);
    const before = process.memoryUsage().rss;
    await flood(
      client,
      many(1000, () => frame(FRAME.ping, 0, 0, Buffer.alloc(8))),
      2000,
    );
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 2 ** 20);
    await client.closed;
    await othersAreServed(test);
  });
});

describe('a client that is gone by the time its request is looked at', () => {
  const reset = (code: number) => frame(FRAME.reset, 0, 1, uint32(code));
  it.each([
    ['no call', getBlock],
    ['a call', callBlock(check, [['grpc-timeout', '1H']])],
    ['a call of nothing', callBlock('/no.such/method')],
    ['a call that can not be read', callBlock(check, [['grpc-timeout', 'soon']])],
  ])('is answered nothing, and no other hears of it: %s', async (_, block) => {
    const test = await begin('unix');
    const thrown: unknown[] = [];
    const note = (error: unknown) => void thrown.push(error);
    process.on('uncaughtException', note);
    try {
      const before = test.clock.pending();
      for (const flags of [END_HEADERS, END_HEADERS | END_STREAM])
        for (const more of [Buffer.alloc(0), reset(0), reset(8), frame(FRAME.settings, 0, 0, Buffer.alloc(3))])
          for (const leave of ['end', 'destroy'] as const) {
            const client = connectRaw(test.path);
            await once(client.socket, 'connect');
            const bytes = Buffer.concat([PREFACE, frame(FRAME.headers, flags, 1, block), more]);
            if (leave === 'end') client.socket.end(bytes);
            else client.socket.write(bytes, () => client.socket.destroy());
            await client.closed;
          }
      await othersAreServed(test);
      // The connection of the others is pinged and looked at.
      await expect.poll(() => test.clock.pending()).toBeLessThanOrEqual(before + 2);
      expect(thrown).toEqual([]);
    } finally {
      process.off('uncaughtException', note);
    }
  });
});

describe('what HTTP/2 forbids', () => {
  it.each([
    ['a frame of 16 MiB', frame(FRAME.data, 0, 1, Buffer.alloc(2 ** 24 - 1)).subarray(0, 100_000)],
    ['a window that overflows', many(2, () => frame(FRAME.windowUpdate, 0, 0, uint32(0x7fffffff)))],
    ['an empty update of the window', frame(FRAME.windowUpdate, 0, 0, uint32(0))],
    ['a SETTINGS frame of half an entry', frame(FRAME.settings, 0, 0, Buffer.alloc(3))],
    ['a window of settings over 2^31', frame(FRAME.settings, 0, 0, Buffer.from('0004ffffffff', 'hex'))],
    ['a stream with an even number', call(2)],
    ['DATA on a stream that was never opened', frame(FRAME.data, 0, 99, Buffer.alloc(9))],
    [
      'a header block that asks for a huge table',
      frame(FRAME.headers, END_HEADERS, 1, Buffer.from('3fffffff7f', 'hex')),
    ],
    ['a header that nobody has sent', frame(FRAME.headers, END_HEADERS, 1, Buffer.from([0xfe]))],
    ['padding that is longer than its frame', frame(FRAME.headers, END_HEADERS | 8, 1, Buffer.from([9, 0x83]))],
    ['another frame within a header block', Buffer.concat([frame(FRAME.headers, 0, 1, Buffer.from([0x83])), call(3)])],
  ])('%s ends the connection with an error', async (_name, bytes) => {
    const test = await begin('unix');
    const client = connectRaw(test.path);
    await client.send(Buffer.concat([PREFACE, bytes]));
    await client.closed;
    expect(test.seen.contexts).toEqual([]);
    expect(client.goaways.every((code) => code !== 0)).toBe(true);
    await othersAreServed(test);
  });
});

describe('a connection that goes on without getting anywhere', () => {
  it('is closed when its first call does not come in time, however busy it is', async () => {
    const test = await begin('unix');
    const client = connectRaw(test.path);
    for (const byte of PREFACE) await client.send(Buffer.from([byte]));
    await client.send(frame(FRAME.ping, 0, 0, Buffer.alloc(8)));
    await expect.poll(() => test.clock.pending()).toBeGreaterThan(0);
    await test.clock.advance(11_000);
    await client.closed;
  });

  it('is closed as soon as its client has ended its half, whatever calls are open', async () => {
    const test = await begin('unix');
    const client = connectRaw(test.path);
    await client.send(Buffer.concat([PREFACE, call(1), frame(FRAME.data, END_STREAM, 1, foreverRequest)]));
    await expect.poll(() => test.seen.contexts.length).toBe(1);
    client.socket.end();
    await client.closed;
    await expect.poll(() => test.seen.aborted.length).toBe(1);
  });

  it('may not have more calls than were agreed on', async () => {
    const test = await begin('unix', { limits: { streamsPerConnectionMax: 10 } });
    const client = connectRaw(test.path);
    await client.send(PREFACE);
    const one = (n: number) =>
      Buffer.concat([call(1 + 2 * n), frame(FRAME.data, END_STREAM, 1 + 2 * n, foreverRequest)]);
    await client.send(many(10, one));
    await expect.poll(() => test.seen.contexts.length).toBe(10);
    await client.send(many(200, (n) => one(10 + n)));
    await othersAreServed(test);
    expect(test.seen.contexts.length).toBeLessThanOrEqual(11);
  });

  it('gets its answer held back by its own window, not in our memory', async () => {
    const test = await begin('unix');
    const client = connectRaw(test.path);
    // A window of one byte: the answer of 2 + 5 bytes can not be sent whole.
    await client.send(PREFACE.subarray(0, 24));
    await client.send(frame(FRAME.settings, 0, 0, Buffer.from('000400000001', 'hex')));
    for (let n = 0; n < 100; n++)
      await client.send(Buffer.concat([call(1 + 2 * n), frame(FRAME.data, END_STREAM, 1 + 2 * n, anyRequest)]));
    await expect.poll(() => test.seen.contexts.length).toBe(100);
    await othersAreServed(test);
    client.socket.destroy();
    await client.closed;
  });
});
