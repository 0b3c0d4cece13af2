import { chmodSync, existsSync, lstatSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect as connectSocket, createServer, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { Health, SpiffeWorkloadAPI } from '@countersign/sdk/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { createManualClock, createSilentLog } from '../../std/index.ts';
import {
  type CallOptions,
  Code,
  createRpcClient,
  createRpcServer,
  errorTable,
  peerChain,
  RpcSetupError,
} from '../index.ts';
import { echoServices } from '../testing/echo-service.ts';
import { createTestAuthority, temporaryFolder, uriOf } from '../testing/fixtures.ts';
import { authority, type Started, serverIdentity, start } from '../testing/start.ts';

// Goal: who is at the other end is what the socket says, on both sides; nothing unsafe is listened on.

let started: Started | undefined;
let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(async () => {
  await started?.stop();
  started = undefined;
  folder.remove();
});
const begin = async (...args: Parameters<typeof start>): Promise<Started> => {
  started = await start(...args);
  return started;
};
const signal = new AbortController().signal;
const options: CallOptions = { signal };

describe('a unix socket', () => {
  const serve = (path: string, mode?: number) =>
    createRpcServer({
      clock: createManualClock(0),
      log: createSilentLog(),
      services: [],
      listen: { unix: path, ...(mode !== undefined && { mode }) },
    });

  it('has the mode it was given, 0600 unless said, and is gone after the stop', async () => {
    for (const mode of [undefined, 0o600, 0o660, 0o777]) {
      const server = serve(`${folder.path}/s`, mode);
      await server.start(signal);
      expect(lstatSync(`${folder.path}/s`).mode & 0o777).toBe(mode ?? 0o600);
      await server.stop();
      expect(existsSync(`${folder.path}/s`)).toBe(false);
    }
  });

  it('that somebody listens on is left to them', async () => {
    const first = serve(`${folder.path}/s`);
    await first.start(signal);
    await expect(serve(`${folder.path}/s`).start(signal)).rejects.toMatchObject({ code: 'ERR_RPC_SOCKET_BUSY' });
    expect(existsSync(`${folder.path}/s`)).toBe(true);
    await first.stop();
  });

  it('that a dead process left behind is replaced', async () => {
    const path = `${folder.path}/s`;
    const dead = createServer();
    await new Promise<void>((resolve) => dead.listen(path, resolve));
    // A hard link keeps the socket file when its owner takes its own name away.
    const { linkSync, renameSync } = await import('node:fs');
    linkSync(path, `${path}.kept`);
    await new Promise((resolve) => dead.close(resolve));
    renameSync(`${path}.kept`, path);
    const server = serve(path);
    await server.start(signal);
    await server.stop();
  });

  it('is not made where a link or another file is', async () => {
    writeFileSync(`${folder.path}/file`, 'precious');
    symlinkSync(`${folder.path}/file`, `${folder.path}/link`);
    symlinkSync(`${folder.path}/nowhere`, `${folder.path}/dangling`);
    for (const name of ['file', 'link', 'dangling']) {
      await expect(serve(`${folder.path}/${name}`).start(signal)).rejects.toMatchObject({
        code: 'ERR_RPC_SOCKET_UNSAFE',
      });
    }
    expect(lstatSync(`${folder.path}/file`).size).toBe(8);
    expect(existsSync(`${folder.path}/nowhere`)).toBe(false);
  });

  it('is not made in a folder that others may write to, or that is a link, or in none', async () => {
    mkdirSync(`${folder.path}/open`);
    chmodSync(`${folder.path}/open`, 0o777);
    symlinkSync(folder.path, `${folder.path}/elsewhere`);
    for (const name of ['open', 'elsewhere']) {
      await expect(serve(`${folder.path}/${name}/s`).start(signal)).rejects.toMatchObject({
        code: 'ERR_RPC_SOCKET_UNSAFE',
      });
    }
    chmodSync(`${folder.path}/open`, 0o1777);
    const sticky = serve(`${folder.path}/open/s`);
    await sticky.start(signal);
    await sticky.stop();
    await expect(serve(`${folder.path}/none/s`).start(signal)).rejects.toMatchObject({ code: 'ERR_RPC_LISTEN' });
  });

  it('needs an absolute path that fits the system', async () => {
    await expect(serve('s').start(signal)).rejects.toMatchObject({ code: 'ERR_RPC_SOCKET_UNSAFE' });
    const room = 107 - `${folder.path}/`.length;
    const fits = serve(`${folder.path}/${'s'.repeat(room)}`);
    await fits.start(signal);
    await fits.stop();
    const tooLong = serve(`${folder.path}/${'s'.repeat(room + 1)}`);
    await expect(tooLong.start(signal)).rejects.toBeInstanceOf(RpcSetupError);
  });

  it('has an entry in the table for each way to fail', () => {
    expect(Object.keys(errorTable).toSorted()).toEqual([
      'ERR_RPC_LISTEN',
      'ERR_RPC_SOCKET_BUSY',
      'ERR_RPC_SOCKET_UNSAFE',
    ]);
  });
});

describe('TLS', () => {
  const handshake = (test: Started, more: object) =>
    new Promise<TLSSocket>((resolve, reject) => {
      if ('unix' in test.connect) throw new Error('this is about TLS');
      const { host, port } = test.connect;
      const socket = connectTls({ host, port, rejectUnauthorized: false, ALPNProtocols: ['h2'], ...more }, () =>
        resolve(socket),
      );
      socket.on('error', reject);
    });

  it('is version 1.3 with HTTP/2 and nothing else', async () => {
    const test = await begin('tls');
    const socket = await handshake(test, {});
    expect([socket.getProtocol(), socket.alpnProtocol]).toEqual(['TLSv1.3', 'h2']);
    socket.destroy();
    await expect(handshake(test, { maxVersion: 'TLSv1.2' })).rejects.toThrow(/version/);
    await expect(handshake(test, { ALPNProtocols: ['http/1.1'] })).rejects.toThrow();
    const silent = await handshake(test, { ALPNProtocols: undefined });
    await new Promise((resolve) => silent.once('close', resolve).resume());
  });

  it('never resumes a session, which would hide the certificate', async () => {
    const test = await begin('tls');
    const first = await handshake(test, {});
    const session = await new Promise<Buffer | undefined>((resolve) => {
      first.once('session', resolve);
      setImmediate(() => setImmediate(() => resolve(first.getSession())));
    });
    first.destroy();
    const second = await handshake(test, { session });
    expect(second.isSessionReused()).toBe(false);
    second.destroy();
  });

  it('shows each side the chain that the other sent, in its order, or none', async () => {
    const other = createTestAuthority('other');
    const identity = authority.issue('spiffe://test/client');
    const extra = [...identity.chainDer, other.der, authority.der];
    const seen: (string | undefined)[][] = [];
    const test = await begin('tls');
    if ('unix' in test.connect) throw new Error('this is about TLS');
    const { host, port } = test.connect;
    const verifyPeer = (chain: readonly Buffer[]) => {
      seen.push(chain.map(uriOf));
    };
    const withChain = { host, port, tls: { verifyPeer, identity: () => ({ chainDer: extra, key: identity.key }) } };
    await test.client({ connect: withChain }).unary(Health.method.check, {}, options);
    await test.client({ connect: { host, port, tls: { verifyPeer } } }).unary(Health.method.check, {}, options);
    const chains = test.seen.contexts.map(({ peer }) => (peer.kind === 'tls' ? peer.chainDer.map(uriOf) : undefined));
    expect(chains).toEqual([['spiffe://test/client', 'spiffe://other', 'spiffe://test'], []]);
    expect(seen).toEqual([['spiffe://test/spire/server'], ['spiffe://test/spire/server']]);
    const peer = test.seen.contexts[0]?.peer;
    expect(peer?.kind === 'tls' && peer.remoteAddress).toBe('127.0.0.1');
    expect(peer?.kind === 'tls' && peerChain(peer.socket).length).toBe(3);
  });

  it('uses the newest identity of either side for each new connection', async () => {
    let served = serverIdentity;
    let shown = authority.issue('spiffe://test/one');
    const seen: (string | undefined)[] = [];
    const test = await begin('tls', { listen: { host: '127.0.0.1', port: 0, tls: () => served } });
    if ('unix' in test.connect) throw new Error('this is about TLS');
    const verifyPeer = (chain: readonly Buffer[]) => {
      seen.push(uriOf(chain[0]));
    };
    const client = test.client({ connect: { ...test.connect, tls: { verifyPeer, identity: () => shown } } });
    await client.unary(Health.method.check, {}, options);
    served = authority.issue('spiffe://test/new-server');
    shown = authority.issue('spiffe://test/two');
    await client.unary(Health.method.check, {}, options);
    client.reconnect();
    await client.unary(Health.method.check, {}, options);
    expect(seen).toEqual(['spiffe://test/spire/server', 'spiffe://test/new-server']);
    const uris = test.seen.contexts.map(({ peer }) => (peer.kind === 'tls' ? uriOf(peer.chainDer[0]) : undefined));
    expect(uris).toEqual(['spiffe://test/one', 'spiffe://test/one', 'spiffe://test/two']);
  });

  it('goes on with the identity it has when there is no newer one, but does not start without', async () => {
    let fails = false;
    const tls = () => {
      if (fails) throw new Error('the signing key is away');
      return serverIdentity;
    };
    const test = await begin('tls', { listen: { host: '127.0.0.1', port: 0, tls } });
    fails = true;
    expect((await test.client().unary(Health.method.check, {}, options)).status).toBe(1);
    const deps = { clock: createManualClock(0), log: createSilentLog(), services: [] };
    const second = createRpcServer({ ...deps, listen: { host: '127.0.0.1', port: 0, tls } });
    await expect(second.start(signal)).rejects.toThrow('the signing key is away');
  });

  it('notices a peer that has vanished', async () => {
    const gone: string[] = [];
    const test = await begin('tls', { onDisconnect: (peer) => gone.push(peer.kind) });
    if ('unix' in test.connect) throw new Error('this is about TLS');
    const wire = await startWire(test.connect.port);
    const connect = { ...test.connect, port: wire.port };
    const call = test.client({ connect }).serverStream(SpiffeWorkloadAPI.method.fetchX509Bundles, {}, options);
    await call[Symbol.asyncIterator]().next();
    for (let i = 0; i < 3; i++) {
      const before = wire.bytes();
      await test.clock.advance(30_000);
      // A ping and its answer, each 17 bytes and what TLS adds.
      await expect.poll(wire.bytes).toBeGreaterThan(before + 70);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(gone).toEqual([]);
    wire.cut();
    await test.clock.advance(30_000);
    expect(gone).toEqual([]);
    await test.clock.advance(20_000);
    await expect.poll(() => gone).toEqual(['tls']);
    wire.stop();
  });

  it('is found at another address where nobody is at the first, or whoever is there proves nothing', async () => {
    const test = await begin('tls');
    if ('unix' in test.connect) throw new Error('this is about TLS');
    const { port, host } = test.connect;
    const free = createServer();
    await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
    const address = free.address();
    const silent = { host, port: typeof address === 'object' && address !== null ? address.port : 0 };
    const refusing = { host, port: 1 };
    const own = { host, port };
    for (const [first, ...others] of [
      [refusing, own],
      [own, refusing],
    ] as const) {
      const client = test.client({ connect: { ...test.connect, ...first, others } });
      expect((await client.unary(Health.method.check, {}, options)).status).toBe(1);
    }
    const client = test.client({ connect: { ...test.connect, ...silent, others: [own] } });
    const call = client.unary(Health.method.check, {}, options);
    await eventually('the other is tried beside it', async () => {
      await test.clock.advance(250);
      return (await Promise.race([call, undefined])) !== undefined;
    });
    const none = test.client({ connect: { ...test.connect, ...refusing, others: [{ host, port: 2 }] } });
    await expect(none.unary(Health.method.check, {}, options)).rejects.toThrow(/port 1: .*port 2: /);
    free.close();
  });

  it('that is not available on that address is a clear failure', async () => {
    const test = await begin('tls');
    if ('unix' in test.connect) throw new Error('this is about TLS');
    const deps = { clock: createManualClock(0), log: createSilentLog(), services: [] };
    const { host, port } = test.connect;
    const second = createRpcServer({ ...deps, listen: { host, port, tls: () => serverIdentity } });
    await expect(second.start(signal)).rejects.toMatchObject({ code: 'ERR_RPC_LISTEN' });
  });
});

describe('a client', () => {
  it('comes back by itself as soon as the server does', async () => {
    const test = await begin('unix');
    const client = test.client();
    await client.unary(Health.method.check, {}, options);
    const stopped = test.server.stop();
    await test.clock.advance(60_000);
    await stopped;
    const away = client.unary(Health.method.check, {}, options);
    await expect(away).rejects.toMatchObject({ code: Code.UNAVAILABLE, message: /can't connect/ });
    const deps = { clock: test.clock, log: createSilentLog(), services: echoServices(test.seen) };
    const next = createRpcServer({ ...deps, listen: { unix: test.path } });
    await next.start(signal);
    expect((await client.unary(Health.method.check, {}, options)).status).toBe(1);
    await client.close();
    await next.stop();
  });

  it('tells a lost connection from a cancelled call', async () => {
    const test = await begin('unix');
    const call = test
      .client()
      .unary(Health.method.check, { service: 'forever' }, options)
      .catch((error: unknown) => error);
    await expect.poll(() => test.seen.contexts.length).toBe(1);
    test.seen.contexts[0]?.peer.socket.destroy();
    expect(await call).toMatchObject({ code: Code.UNAVAILABLE, message: 'the connection was lost' });
  });

  it('gives up on who does not answer at all', async () => {
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const address = silent.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const clock = createManualClock(0);
    const connect = { host: '127.0.0.1', port, tls: { verifyPeer() {} } };
    const client = createRpcClient({ clock, log: createSilentLog(), connect });
    const call = client.unary(Health.method.check, {}, options).catch((error: unknown) => error);
    await clock.advance(21_000);
    expect(await call).toMatchObject({ code: Code.UNAVAILABLE });
    const aborted = client.unary(Health.method.check, {}, { signal: AbortSignal.abort() });
    await expect(aborted).rejects.toMatchObject({ code: Code.CANCELLED });
    await client.close();
    await expect(client.unary(Health.method.check, {}, options)).rejects.toMatchObject({ code: Code.UNAVAILABLE });
    silent.close();
  });

  it('takes no answer that is larger than it allows, and sends no metadata that is not allowed', async () => {
    const test = await begin('unix');
    const client = test.client({ responseBytesMax: 1 });
    const call = client.unary(Health.method.check, {}, options);
    await expect(call).rejects.toMatchObject({ code: Code.RESOURCE_EXHAUSTED });
    const bad = client.unary(Health.method.check, {}, { signal, metadata: { a: 'x\ny' } });
    await expect(bad).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
  });
});

/** A TCP connection in between that can go dead without a goodbye, as when a host loses power. */
async function startWire(port: number) {
  const sockets: Socket[] = [];
  let bytes = 0;
  const proxy = createServer((near) => {
    const far = connectSocket(port, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (chunk) => {
        bytes += chunk.length;
        to.write(chunk);
      });
      from.on('error', () => {});
      sockets.push(from);
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const address = proxy.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    bytes: () => bytes,
    cut() {
      for (const socket of sockets) socket.pause();
    },
    stop() {
      for (const socket of sockets) socket.destroy();
      proxy.close();
    },
  };
}
