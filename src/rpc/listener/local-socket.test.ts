import { create, toBinary } from '@bufbuild/protobuf';
import { Health } from '@countersign/sdk/contract';
import { HealthCheckRequestSchema } from '@countersign/sdk/contract/gen/grpc/health/v1/health_pb.ts';
import { afterEach, describe, expect, it } from 'vitest';
import { encodeFrame } from '../../wire/grpc/index.ts';
import { pathOf } from '../index.ts';
import { callBlock, connectRaw, END_HEADERS, END_STREAM, FRAME, frame, PREFACE } from '../testing/raw-frames.ts';
import { request, type Started, start } from '../testing/start.ts';

// Goal: whatever a local client says first, and whether or not it waits for us to speak, it is served; one that says nothing is not kept.

let started: Started | undefined;
afterEach(async () => {
  await started?.stop();
  started = undefined;
});

/** A server that counts who comes and goes. */
async function begin() {
  let came = 0;
  let went = 0;
  const test = await start('unix', { onConnection: () => void came++, onDisconnect: () => void went++ });
  started = test;
  return { test, came: () => came, went: () => went };
}

const check = pathOf(Health.method.check);
const anyRequest = encodeFrame(toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema)));
/** A call with that authority, which is as long as the usual one. */
function callTo(authority: string, stream: number): Buffer {
  const block = callBlock(check);
  block.write(authority, block.indexOf('localhost'), 'latin1');
  return Buffer.concat([
    frame(FRAME.headers, END_HEADERS, stream, block),
    frame(FRAME.data, END_STREAM, stream, anyRequest),
  ]);
}
const CALL = callTo('localhost', 1);
const ACK = 0x1;

/** The types of all frames that come, in order. */
function hear(client: ReturnType<typeof connectRaw>) {
  const frames: { type: number; flags: number; stream: number }[] = [];
  let held: Buffer = Buffer.alloc(0);
  client.socket.on('data', (chunk: Buffer) => {
    held = Buffer.concat([held, chunk]);
    while (held.length >= 9 && held.length >= 9 + held.readUIntBE(0, 3)) {
      frames.push({ type: held.readUInt8(3), flags: held.readUInt8(4), stream: held.readUInt32BE(5) });
      held = held.subarray(9 + held.readUIntBE(0, 3));
    }
  });
  const settings = () => frames.filter(({ type, flags }) => type === FRAME.settings && flags === 0).length;
  const answered = (id = 1) => frames.some(({ stream, flags }) => stream === id && (flags & END_STREAM) !== 0);
  return { settings, answered };
}

describe('a client on a unix socket', () => {
  it('that calls only once the server has spoken is spoken to', async () => {
    const { test } = await begin();
    const session = test.raw();
    await new Promise((resolve) => session.once('remoteSettings', resolve));
    expect(session.remoteSettings.maxConcurrentStreams).toBe(1000);
    expect((await request(session, { ':path': check }, anyRequest)).grpcStatus).toBe('0');
    expect((await request(session, { ':path': check }, anyRequest)).grpcStatus).toBe('0');
  });

  it.each([
    ['at once'],
    ['only once the server has spoken'],
  ])('may name the socket by its path as gRPC for Java does, calling %s', async (when) => {
    const { test } = await begin();
    const client = connectRaw(test.path);
    const { settings, answered } = hear(client);
    const calls = Buffer.concat([callTo('/a/b.sock', 1), callTo('/c/d.sock', 3)]);
    if (when === 'at once') await client.send(Buffer.concat([PREFACE, calls]));
    else {
      await client.send(PREFACE);
      await expect.poll(settings).toBe(1);
      await client.send(Buffer.concat([frame(FRAME.settings, ACK, 0), calls]));
    }
    await expect.poll(() => answered(1) && answered(3)).toBe(true);
    expect(test.seen.contexts).toHaveLength(2);
  });

  it('is served a byte at a time', async () => {
    const { test } = await begin();
    const client = connectRaw(test.path);
    const { answered } = hear(client);
    client.socket.setNoDelay(true);
    for (const byte of Buffer.concat([PREFACE, frame(FRAME.settings, ACK, 0), CALL])) {
      await client.send(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(() => answered()).toBe(true);
  });

  it('may call before it answers the settings', async () => {
    const { test } = await begin();
    const client = connectRaw(test.path);
    const { settings, answered } = hear(client);
    await client.send(PREFACE);
    await expect.poll(settings).toBe(1);
    await client.send(CALL);
    await client.send(frame(FRAME.settings, ACK, 0));
    await expect.poll(() => answered()).toBe(true);
    expect(settings()).toBe(2);
  });

  it('that never calls, or never answers the settings, is sent away, and is counted off once', async () => {
    const { test, came, went } = await begin();
    const silent = connectRaw(test.path);
    const deaf = connectRaw(test.path);
    const { settings } = hear(deaf);
    await deaf.send(PREFACE);
    await expect.poll(settings).toBe(1);
    await deaf.send(CALL);
    await expect.poll(came).toBe(2);
    await test.clock.advance(10_000);
    await Promise.all([silent.closed, deaf.closed]);
    await expect.poll(went).toBe(2);
    expect(test.seen.contexts).toHaveLength(0);
  });

  it('that leaves before its first call is counted off', async () => {
    const { test, came, went } = await begin();
    const client = connectRaw(test.path);
    await client.send(PREFACE.subarray(0, 10));
    await expect.poll(came).toBe(1);
    client.socket.destroy();
    await expect.poll(went).toBe(1);
  });

  it('that has not called yet does not hold up the end of the server', async () => {
    const { test, came, went } = await begin();
    const client = connectRaw(test.path);
    await client.send(PREFACE);
    await expect.poll(came).toBe(1);
    await test.server.stop();
    await client.closed;
    await expect.poll(went).toBe(1);
  });
});
