import { connect as connectSocket } from 'node:net';
import { create, toBinary } from '@bufbuild/protobuf';
import { Entry, Health, SpiffeWorkloadAPI } from '@countersign/sdk/contract';
import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
} from '@countersign/sdk/contract/gen/grpc/health/v1/health_pb.ts';
import { afterEach, describe, expect, it } from 'vitest';
import { encodeFrame } from '../wire/grpc/index.ts';
import { type CallOptions, Code, healthService, implement, pathOf, prebuilt, RpcError } from './index.ts';
import { bundleOf } from './testing/echo-service.ts';
import { request, type Started, start } from './testing/start.ts';

// Goal: no client can wedge the server, make it hold without bound, or stay uninformed of how its call ended.

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

describe('a crowd', () => {
  it('of 1,000 streams opened at once over 10 connections is answered, every one, and others meanwhile too', async () => {
    const test = await begin('unix');
    const controller = new AbortController();
    const clients = Array.from({ length: 10 }, () => test.client());
    const streams = Array.from({ length: 1000 }, async (_, i) => {
      const client = clients[i % 10] ?? test.client();
      const call = client.serverStream(SpiffeWorkloadAPI.method.fetchX509Bundles, {}, { signal: controller.signal });
      const messages = call[Symbol.asyncIterator]();
      return [(await messages.next()).value, (await messages.next()).value].map(
        (one) => one?.bundles['spiffe://test']?.length,
      );
    });
    const other = await test.client().unary(Health.method.check, {}, options());
    expect(other.status).toBe(1);
    const answers = await Promise.all(streams);
    expect(answers.every(([first, second]) => first === 1 && second === 2)).toBe(true);
    controller.abort();
    await expect.poll(() => test.seen.aborted.length).toBe(1000);
  });

  it('can open no more connections than allowed', async () => {
    const test = await begin('unix', { limits: { connectionsMax: 2 } });
    const [one, two, three] = [test.client(), test.client(), test.client()];
    await one.unary(Health.method.check, {}, options());
    await two.unary(Health.method.check, {}, options());
    const refused = three.unary(Health.method.check, {}, options());
    await expect(refused).rejects.toMatchObject({ code: Code.UNAVAILABLE });
    await one.close();
    await expect.poll(() => three.unary(Health.method.check, {}, options()).catch(() => undefined)).toBeDefined();
  });

  it('can open no more streams on one connection than allowed', async () => {
    const test = await begin('unix', { limits: { streamsPerConnectionMax: 2 } });
    const session = test.raw();
    const settled = new Promise((resolve) => session.once('remoteSettings', resolve));
    await settled;
    const calls = [1, 2, 3].map(() => request(session, { ':path': check }, foreverRequest));
    await expect.poll(() => test.seen.contexts.length).toBe(2);
    const winner = await Promise.race([...calls, new Promise((resolve) => setImmediate(() => resolve('held')))]);
    expect(winner).toBe('held');
    expect(test.seen.contexts.length).toBe(2);
  });
});

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
    const stream = session.request({
      ':method': 'POST',
      ':path': pathOf(SpiffeWorkloadAPI.method.fetchX509Bundles),
      'content-type': 'application/grpc',
    });
    stream.on('error', () => {});
    stream.end(anyRequest);
    const closed = new Promise((resolve) => stream.once('close', resolve));
    await expect.poll(() => refused).toMatchObject({ code: Code.RESOURCE_EXHAUSTED });
    expect(sent).toBeLessThan(100);
    stream.resume();
    await closed;
    expect(stream.rstCode).toBe(11);
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

describe('connections', () => {
  it('are seen before their first call, share a state, and are seen to go', async () => {
    const key = Symbol('test');
    const gone: unknown[] = [];
    const test = await begin('unix', {
      onConnection: async (_peer, state) => {
        await new Promise((resolve) => setImmediate(resolve));
        state.set(key, 'attested');
      },
      onDisconnect: (_peer, state) => gone.push(state.get(key)),
    });
    const client = test.client();
    await client.unary(Health.method.check, {}, options());
    await client.unary(Health.method.check, {}, options());
    expect(test.seen.contexts.map(({ state }) => state.get(key))).toEqual(['attested', 'attested']);
    expect(test.seen.contexts[0]?.state).toBe(test.seen.contexts[1]?.state);
    await client.close();
    await expect.poll(() => gone).toEqual(['attested']);
  });

  it.each([
    ['at once', () => expect.unreachable()],
    ['later', () => Promise.reject(new Error('a stranger'))],
  ])('can be refused %s, before anything is read', async (_name, onConnection) => {
    const test = await begin('unix', { onConnection });
    await expect(test.client().unary(Health.method.check, {}, options())).rejects.toMatchObject({
      code: Code.UNAVAILABLE,
    });
    expect(test.seen.contexts).toEqual([]);
  });

  it('are told to go at their age: calls under way finish, later ones use a new connection', async () => {
    const test = await begin('unix', { limits: { connectionAgeMsMax: 180_000 } });
    const client = test.client();
    const call = client.bidi(Entry.method.syncAuthorizedEntries, options());
    const answers = call.responses[Symbol.asyncIterator]();
    await call.send({ ids: ['a'] });
    await answers.next();
    await test.clock.advance(181_000);
    await call.send({ ids: ['b'] });
    expect((await answers.next()).value?.entryRevisions[0]?.id).toBe('b');
    await client.unary(Health.method.check, {}, options());
    const [first, second] = test.seen.contexts;
    expect(first?.state).not.toBe(second?.state);
    expect(first?.draining.aborted).toBe(true);
    call.end();
    expect((await answers.next()).done).toBe(true);
  });

  it('that are too old end even what would never end', async () => {
    const test = await begin('unix', { limits: { connectionAgeMsMax: 180_000 } });
    const call = test.client().bidi(Entry.method.syncAuthorizedEntries, options());
    const answers = call.responses[Symbol.asyncIterator]();
    await call.send({ ids: ['a'] });
    await answers.next();
    const end = answers.next().catch((error: unknown) => error);
    await test.clock.advance(180_000);
    await test.clock.advance(11_000);
    expect(await end).toMatchObject({ code: Code.UNAVAILABLE, message: /age/ });
  });
});

describe('stopping', () => {
  it('lets a call finish that is under way, and ends watches at once', async () => {
    let finish = () => {};
    const service = implement(Health, {
      check: () =>
        new Promise((resolve) => {
          finish = () => resolve({ status: 1 });
        }),
    });
    const watch = implement(SpiffeWorkloadAPI, {
      async fetchX509Bundles(_request, context, send) {
        await send(bundleOf(1));
        await new Promise((_, reject) =>
          context.draining.addEventListener('abort', () => reject(context.draining.reason)),
        );
      },
    });
    const test = await begin('unix', { services: [service, watch] });
    const client = test.client();
    const unary = client.unary(Health.method.check, {}, options());
    const stream = client
      .serverStream(SpiffeWorkloadAPI.method.fetchX509Bundles, {}, options())
      [Symbol.asyncIterator]();
    await stream.next();
    const stopped = test.server.stop();
    await expect(stream.next()).rejects.toMatchObject({ code: Code.UNAVAILABLE, message: 'the server is stopping' });
    finish();
    expect((await unary).status).toBe(1);
    await stopped;
    const late = client.unary(Health.method.check, {}, options());
    await expect(late).rejects.toMatchObject({ code: Code.UNAVAILABLE });
  });

  it('ends what does not end within the time of grace', async () => {
    const test = await begin('unix');
    const call = test.client().bidi(Entry.method.syncAuthorizedEntries, options());
    const answers = call.responses[Symbol.asyncIterator]();
    await call.send({ ids: ['a'] });
    await answers.next();
    const end = answers.next().catch((error: unknown) => error);
    const stopped = test.server.stop();
    await test.clock.advance(10_000);
    expect(await end).toMatchObject({ code: Code.UNAVAILABLE, message: 'the server is stopping' });
    await test.clock.advance(1000);
    await stopped;
  });
});

describe('handlers', () => {
  it('can be stood before by an interceptor', async () => {
    const test = await begin('unix', {
      interceptor: async (context, next) => {
        if (context.metadata.get('who')?.[0] !== 'friend') throw new RpcError(Code.UNAUTHENTICATED, 'who are you?');
        await next();
      },
    });
    const client = test.client();
    await expect(client.unary(Health.method.check, {}, options())).rejects.toMatchObject({
      code: Code.UNAUTHENTICATED,
    });
    await client.unary(Health.method.check, {}, options({ metadata: { who: 'friend' } }));
    expect(test.seen.contexts).toHaveLength(1);
  });

  it('answer with messages made before', async () => {
    const answer = prebuilt(HealthCheckResponseSchema, { status: 2 });
    const test = await begin('unix', { services: [implement(Health, { check: async () => answer })] });
    expect((await test.client().unary(Health.method.check, {}, options())).status).toBe(2);
  });

  it('are told when the caller is lost', async () => {
    const test = await begin('unix');
    const client = test.client();
    client.unary(Health.method.check, { service: 'forever' }, options()).catch(() => {});
    await expect.poll(() => test.seen.contexts.length).toBe(1);
    await client.close();
    await expect.poll(() => test.seen.aborted[0]?.code).toBe(Code.CANCELLED);
  });

  it('that break are no more than an internal error to the caller', async () => {
    const check = () => {
      throw new Error('not even a promise');
    };
    const test = await begin('unix', { services: [implement(Health, { check })] });
    const call = test.client().unary(Health.method.check, {}, options());
    await expect(call).rejects.toMatchObject({ code: Code.INTERNAL, message: 'internal error' });
  });

  it('of the health check know the services that they know', async () => {
    const known: Record<string, boolean> = { '': true, a: false };
    const test = await begin('unix', { services: [healthService((service) => known[service])] });
    const client = test.client();
    expect((await client.unary(Health.method.check, { service: '' }, options())).status).toBe(1);
    expect((await client.unary(Health.method.check, { service: 'a' }, options())).status).toBe(2);
    await expect(client.unary(Health.method.check, { service: 'b' }, options())).rejects.toMatchObject({
      code: Code.NOT_FOUND,
    });
  });
});

function options(more: Partial<CallOptions> = {}): CallOptions {
  return { signal: new AbortController().signal, ...more };
}
