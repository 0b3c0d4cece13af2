import { create, toBinary } from '@bufbuild/protobuf';
import { Entry, Health, SpiffeWorkloadAPI } from '@countersign/sdk/contract';
import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
} from '@countersign/sdk/contract/gen/grpc/health/v1/health_pb.ts';
import { afterEach, describe, expect, it } from 'vitest';
import { encodeFrame } from '../../wire/grpc/index.ts';
import { type CallOptions, Code, healthService, implement, pathOf, prebuilt, RpcError } from '../index.ts';
import { bundleOf } from '../testing/echo-service.ts';
import { request, type Started, start } from '../testing/start.ts';

// Goal: every call of every client is answered, and told how it ended.

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

  it('can open no more connections from one address than allowed, and gets them back', async () => {
    const test = await begin('tls', { limits: { connectionsPerSourceMax: 2 } });
    const [one, two, three] = [test.client(), test.client(), test.client()];
    await one.unary(Health.method.check, {}, options());
    await two.unary(Health.method.check, {}, options());
    await expect(three.unary(Health.method.check, {}, options())).rejects.toMatchObject({ code: Code.UNAVAILABLE });
    expect((await one.unary(Health.method.check, {}, options())).status).toBe(1);
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
  it('are not reached by a call that ends while the interceptor looks at it', async () => {
    const looking = Promise.withResolvers<void>();
    const looked = Promise.withResolvers<void>();
    let outcome: unknown;
    const test = await begin('unix', {
      interceptor: async (_context, next) => {
        looking.resolve();
        await looked.promise;
        outcome = await next().catch((error: unknown) => error);
      },
    });
    const call = test.client().unary(Health.method.check, {}, options({ timeoutMs: 1_000 }));
    const failed = expect(call).rejects.toMatchObject({ code: Code.DEADLINE_EXCEEDED });
    await looking.promise;
    await test.clock.advance(2_000);
    await failed;
    looked.resolve();
    // Whichever the server hears of first: that the client has given up, or its own clock.
    await expect
      .poll(() => [Code.CANCELLED, Code.DEADLINE_EXCEEDED].some((code) => isStatus(outcome, code)))
      .toBe(true);
    expect(test.seen.contexts).toEqual([]);
  });

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

function isStatus(error: unknown, code: number): boolean {
  return error instanceof RpcError && error.code === code;
}

function options(more: Partial<CallOptions> = {}): CallOptions {
  return { signal: new AbortController().signal, ...more };
}
