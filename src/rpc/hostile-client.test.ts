import { connect as connectSocket } from 'node:net';
import { create, toBinary } from '@bufbuild/protobuf';
import { Health, SpiffeWorkloadAPI } from '@countersign/sdk/contract';
import { HealthCheckRequestSchema } from '@countersign/sdk/contract/gen/grpc/health/v1/health_pb.ts';
import { afterEach, describe, expect, it } from 'vitest';
import { encodeFrame } from '../wire/grpc/index.ts';
import { type CallOptions, Code, implement, pathOf, prebuilt, RpcError } from './index.ts';
import { bundleOf } from './testing/echo-service.ts';
import { request, type Started, start } from './testing/start.ts';

// Goal: no client can wedge the server or make it hold without bound, and each is told what it did wrong.

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
const foreverRequest = encodeFrame(
  toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service: 'forever' })),
);
const CANCEL = 8;
const anyRequest = encodeFrame(toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema)));

describe('a client that does not read', () => {
  const big = prebuilt(SpiffeWorkloadAPI.method.fetchX509Bundles.output, bundleOf(100_000));

  it('holds up a handler that waits for room', async () => {
    let sent = 0;
    const service = implement(SpiffeWorkloadAPI, {
      async fetchX509Bundles(_request, context, send) {
        for (; !context.signal.aborted && sent < 1000; sent++) await send(big);
      },
    });
    const test = await begin('unix', { services: [service] });
    const call = test.client().serverStream(SpiffeWorkloadAPI.method.fetchX509Bundles, {}, options());
    const messages = call[Symbol.asyncIterator]();
    await messages.next();
    let before = -1;
    const settled = () => {
      const same = before === sent;
      before = sent;
      return same;
    };
    await expect.poll(settled, { interval: 100 }).toBe(true);
    expect(sent).toBeLessThan(100);
    for (let read = 1; read < 1000; read++) await messages.next();
    expect((await messages.next()).done).toBe(true);
  });

  it('is cut off when the handler does not wait, and what waited for it is let go', async () => {
    let refused: unknown;
    let sent = 0;
    const service = implement(SpiffeWorkloadAPI, {
      async fetchX509Bundles(_request, context, send) {
        while (refused === undefined && sent < 1000) {
          sent++;
          send(big).catch((error: unknown) => {
            refused ??= error;
          });
          if (sent % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        if (!context.signal.aborted) throw refused;
      },
    });
    const test = await begin('unix', { services: [service], limits: { streamQueueBytesMax: 1_000_000 } });
    const session = test.raw();
    await request(session, { ':path': check }, anyRequest);
    const before = test.clock.pending();
    const stream = session.request({
      ':method': 'POST',
      ':path': pathOf(SpiffeWorkloadAPI.method.fetchX509Bundles),
      'content-type': 'application/grpc',
      'grpc-timeout': '1000H',
    });
    stream.on('error', () => {});
    stream.end(anyRequest);
    const closed = new Promise((resolve) => stream.once('close', resolve));
    await expect.poll(() => refused).toMatchObject({ code: Code.RESOURCE_EXHAUSTED });
    expect(sent).toBeLessThan(100);
    stream.resume();
    await closed;
    expect(stream.rstCode).toBe(11);
    // Its deadline as well: for weeks it would keep what is left of the call.
    await expect.poll(() => test.clock.pending()).toBe(before);
  });

  it.each([
    ['a stream', SpiffeWorkloadAPI.method.fetchX509Bundles],
    ['a single answer', SpiffeWorkloadAPI.method.fetchJWTSVID],
  ])('and takes back %s again and again leaves nothing behind that other calls would have to wait for', async (_, method) => {
    const service = implement(SpiffeWorkloadAPI, {
      async fetchX509Bundles(_request, context, send) {
        while (!context.signal.aborted) await send(big);
      },
      fetchJWTSVID: async () => ({ svids: [{ svid: 'x'.repeat(100_000) }] }),
      async fetchX509SVID(_request, _context, send) {
        // The second waits behind the first: it is then that what waits in the connection's other calls counts.
        await Promise.all([send({}), send({ crl: [Buffer.alloc(60_000)] })]);
      },
    });
    const test = await begin('unix', { services: [service], limits: { connectionQueueBytesMax: 150_000 } });
    const session = test.raw();
    const open = (path: string) => {
      const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc' };
      const stream = session.request(headers);
      stream.on('error', () => {});
      stream.end(anyRequest);
      return stream;
    };
    for (let i = 0; i < 20; i++) {
      const stream = open(pathOf(method));
      await new Promise((resolve) => stream.once('response', resolve));
      stream.close(CANCEL);
      await new Promise((resolve) => stream.once('close', resolve));
    }
    const path = pathOf(SpiffeWorkloadAPI.method.fetchX509SVID);
    const answer = () => request(session, { ':path': path }, anyRequest);
    await expect.poll(answer).toMatchObject({ grpcStatus: '0' });
  });

  it('may get a single message that is larger than all limits', async () => {
    const test = await begin('unix', { limits: { streamQueueBytesMax: 1, connectionQueueBytesMax: 1 } });
    expect((await test.client().unary(Health.method.check, {}, options())).status).toBe(1);
  });
});

describe('what is no proper call', () => {
  it.each([
    ['GET', { ':method': 'GET' }, { status: 405 }],
    ['another content type', { 'content-type': 'application/json' }, { status: 415 }],
    ['an unknown method', { ':path': '/a.B/C' }, { grpcStatus: '12' }],
    ['a malformed timeout', { 'grpc-timeout': '1 second' }, { grpcStatus: '3' }],
    ['metadata that is not ASCII', { bad: 'a\tb' }, { grpcStatus: '3' }],
    ['a compression that was not offered', { 'grpc-encoding': 'gzip' }, { grpcStatus: '12' }],
  ])('%s is answered as such', async (_name, headers, answer) => {
    const test = await begin('unix');
    expect(await request(test.raw(), { ':path': check, ...headers }, anyRequest)).toMatchObject(answer);
  });

  it.each([
    ['no message', undefined, '13'],
    ['two messages', Buffer.concat([anyRequest, anyRequest]), '13'],
    ['half a message', Buffer.from([0, 0, 0, 0, 9, 1]), '13'],
    ['a compressed message', Buffer.from([1, 0, 0, 0, 0]), '13'],
    ['a message of another type', encodeFrame(Buffer.from([0x0a, 0xff])), '13'],
    ['a message over the limit', Buffer.from([0, 0x7f, 0, 0, 0]), '8'],
    ['a message that claims 4 GiB', Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), '8'],
    ['a message of groups within groups without end', encodeFrame(Buffer.alloc(1_000_000, 0x0b)), '13'],
  ])('%s is answered as such', async (_name, body, grpcStatus) => {
    const test = await begin('unix');
    expect(await request(test.raw(), { ':path': check }, body)).toMatchObject({ grpcStatus });
    expect(test.seen.contexts).toEqual([]);
  });

  it('a request that never arrives ends the call in time', async () => {
    const test = await begin('unix');
    const session = test.raw();
    const stream = session.request({ ':method': 'POST', ':path': check, 'content-type': 'application/grpc' });
    const headers = new Promise<Record<string, unknown>>((resolve) => stream.on('response', resolve));
    stream.write(Buffer.from([0, 0]));
    await expect.poll(() => test.clock.pending()).toBeGreaterThan(0);
    await new Promise((resolve) => session.ping(resolve));
    await test.clock.advance(31_000);
    expect((await headers)['grpc-status']).toBe('4');
  });

  it('headers over the limit are refused', async () => {
    const test = await begin('unix');
    const ends = async (valueBytes: number) =>
      (await request(test.raw(), { ':path': check, big: 'x'.repeat(valueBytes) }, anyRequest)).grpcStatus;
    expect(await ends(15_000)).toBe('0');
    expect(await ends(16_384)).toBe('8');
    expect(await ends(70_000)).not.toBe('0');
    expect(test.seen.contexts).toHaveLength(1);
  });

  it('bytes that are not HTTP/2 close the connection', async () => {
    const test = await begin('unix');
    const socket = connectSocket(test.path);
    socket.resume();
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write('GET / HTTP/1.1\r\n\r\n');
    await closed;
  });
});

describe('requests that never become whole', () => {
  const part = Buffer.alloc(60_000);
  part.writeUInt32BE(100_000, 1);
  const send = (session: ReturnType<Started['raw']>) => {
    const stream = session.request({ ':method': 'POST', ':path': check, 'content-type': 'application/grpc' });
    const ended = new Promise<unknown>((resolve) => {
      stream.on('response', (headers) => resolve(headers['grpc-status']));
      stream.on('close', () => resolve(`reset ${stream.rstCode}`));
      stream.on('error', () => {});
    });
    stream.write(part);
    return { stream, ended };
  };

  it('hold no more than the share of their connection', async () => {
    const test = await begin('unix', { limits: { connectionRequestBytesMax: 150_000 } });
    const session = test.raw();
    const [first, second, third] = [send(session), send(session), send(session)];
    expect(await third.ended).toBe(`${Code.RESOURCE_EXHAUSTED}`);
    first.stream.close(CANCEL);
    second.stream.close(CANCEL);
    expect((await request(session, { ':path': check }, anyRequest)).grpcStatus).toBe('0');
  });

  it('cost the connection that holds most its calls when all together hold too much, and nobody else', async () => {
    const test = await begin('unix', { limits: { serverRequestBytesMax: 150_000 } });
    const [greedy, other] = [test.raw(), test.raw()];
    const held = [send(greedy), send(greedy)];
    await request(greedy, { ':path': check }, anyRequest); // What was sent before has arrived now.
    const late = send(other);
    await Promise.all(held.map(({ ended }) => ended));
    expect(greedy.destroyed || greedy.closed).toBe(true);
    expect((await request(other, { ':path': check }, anyRequest)).grpcStatus).toBe('0');
    expect(late.stream.closed).toBe(false);
  });

  it('are not even parsed for a caller who may not call', async () => {
    const test = await begin('unix', {
      interceptor: async () => {
        throw new RpcError(Code.PERMISSION_DENIED, 'no');
      },
    });
    const junk = encodeFrame(Buffer.from([0xff, 0xff, 0xff]));
    expect((await request(test.raw(), { ':path': check }, junk)).grpcStatus).toBe(`${Code.PERMISSION_DENIED}`);
  });
});

describe('floods', () => {
  it('of calls that are taken back unanswered close the connection', async () => {
    const test = await begin('unix', { limits: { resetsPer10sMax: 50 } });
    const session = test.raw();
    const closed = new Promise((resolve) => session.once('close', resolve));
    const streams = Array.from({ length: 51 }, () => {
      const stream = session.request({ ':method': 'POST', ':path': check, 'content-type': 'application/grpc' });
      stream.on('error', () => {});
      stream.end(foreverRequest);
      return stream;
    });
    await expect.poll(() => test.seen.contexts.length).toBe(51);
    for (const stream of streams.slice(1)) stream.close(CANCEL);
    await expect.poll(() => test.seen.aborted.length).toBe(50);
    expect(session.destroyed).toBe(false);
    streams[0]?.close(CANCEL);
    await closed;
  });

  it('are not what a client does that watches, reads once and leaves', async () => {
    const test = await begin('unix', { limits: { resetsPer10sMax: 5 } });
    const client = test.client();
    for (let i = 0; i < 20; i++) {
      for await (const _ of client.serverStream(SpiffeWorkloadAPI.method.fetchX509Bundles, {}, options())) break;
    }
    expect((await client.unary(Health.method.check, {}, options())).status).toBe(1);
  });

  it('of connections that never call end each after a while', async () => {
    const test = await begin('unix');
    const session = test.raw();
    await new Promise((resolve) => session.once('remoteSettings', resolve));
    const closed = new Promise((resolve) => session.once('close', resolve));
    await test.clock.advance(11_000);
    await closed;
  });
});

function options(more: Partial<CallOptions> = {}): CallOptions {
  return { signal: new AbortController().signal, ...more };
}
