import { spawn } from 'node:child_process';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { parseSpiffeId, parseTrustDomain } from '@countersign/sdk/identity';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, createSeededRandom, createSilentLog, type ManualClock } from '../../std/index.ts';
import type { X509Svid } from '../cache/types.ts';
import { type FakeGateway, startFakeGateway } from '../testing/fake-gateway.ts';
import { createTestAuthority, type TestAuthority } from '../testing/test-authority.ts';
import { createLinks, type Links } from './link.ts';

const CALLER = {
  ...{ entryId: 'e1', selectors: ['unix:uid:1000'], selectorsLeftOut: 0 },
  process: { pid: 7, uid: 1000, gid: 1000, executable: '/usr/bin/psql' },
};
const GATEWAY = 'spiffe://example.org/countersign/gateway';
let clock: ManualClock;
let authority: TestAuthority;
let web: X509Svid;
let links: Links;
let gateways: FakeGateway[];
/** Those of the target, as the server tells them. */
let told: { address: string; spiffeId: string }[];
const others: Server[] = [];

beforeEach(async () => {
  clock = createManualClock(Date.UTC(2026, 0, 1));
  authority = createTestAuthority({
    clock,
    random: createSeededRandom('link'),
    trustDomain: parseTrustDomain('example.org'),
  });
  web = issue('/web');
  links = createLinks({ clock, log: createSilentLog(), node: () => 'node' });
  gateways = [];
  told = [];
  for (let n = 0; n < 2; n++) {
    const gateway = await startFakeGateway(authority);
    gateways.push(gateway);
    told.push({ address: gateway.address, spiffeId: GATEWAY });
  }
});
afterEach(async () => {
  for (const gateway of gateways) await gateway.close();
  for (const server of others.splice(0)) server.close();
});

function issue(path: string): X509Svid {
  const { chainDer, keyDer, expiresAtS } = authority.issueWithKey(path, 3_600);
  const spiffeId = parseSpiffeId(`spiffe://example.org${path}`);
  return { entryId: path, spiffeId, chainDer, keyDer, issuedAtMs: 0, expiresAtMs: expiresAtS * 1000, revision: 0 };
}

/** Opens a link and gives it back at once; resolves to the gateway that took it. */
async function open(svid = web, signal = new AbortController().signal): Promise<FakeGateway | undefined> {
  const before = gateways.map(({ links }) => links.length);
  const target = () => ({ name: 'orders', protocol: 'postgres', gateways: told });
  const link = await links.open({ target, svid, bundles: [authority.bundle(1)], caller: CALLER, signal });
  const port = link.remotePort;
  link.destroy();
  const taken = gateways.find(({ address }) => address.endsWith(`:${port}`));
  expect(taken?.links.length).toBeGreaterThan(before[gateways.indexOf(taken as FakeGateway)] ?? 0); // It is one of them.
  return taken;
}

/** Puts the gateway first that this node would take, and returns both. */
async function ranked(): Promise<[FakeGateway, FakeGateway]> {
  const [one, two] = gateways as [FakeGateway, FakeGateway]; // Two are made.
  return (await open()) === one ? [one, two] : [two, one];
}

/** Lets time pass in small steps until the work is over. */
async function meanwhile<T>(work: Promise<T>): Promise<T> {
  let over = false;
  void work
    .catch(() => {})
    .finally(() => {
      over = true;
    });
  while (!over) {
    await clock.advance(50);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return work;
}

it('each link shows the SVID that it was asked with, whatever those before it have shown', async () => {
  const batch = issue('/batch');
  const [first] = await ranked();
  first.links.length = 0;
  for (const svid of [web, batch, web, web]) await open(svid);
  expect(first.links.map(({ id }) => id)).toEqual(
    ['/web', '/batch', '/web', '/web'].map((path) => `spiffe://example.org${path}`),
  );
});

it('a link whose gateway is revoked is known to be, and so is what its gateway has shown', async () => {
  const asked: string[] = [];
  let revoked: string | undefined;
  links = createLinks({
    ...{ clock, log: createSilentLog(), node: () => 'node' },
    isRevoked(chain, spiffeId) {
      asked.push(`${spiffeId} ${chain.length > 0}`);
      return spiffeId === revoked;
    },
  });
  const target = () => ({ name: 'orders', protocol: 'postgres', gateways: told });
  const { signal } = new AbortController();
  const link = await links.open({ target, svid: web, bundles: [authority.bundle(1)], caller: CALLER, signal });
  expect(links.isRevoked(link)).toBe(false);
  revoked = GATEWAY;
  expect(links.isRevoked(link)).toBe(true);
  expect(new Set(asked)).toEqual(new Set([`${GATEWAY} true`]));
  link.destroy();
});

describe('a gateway', () => {
  it('is told who the caller is, and on which node', async () => {
    const taken = await open();
    expect(taken?.callers).toEqual([{ ...CALLER, nodeId: 'node' }]);
  });

  it('of the first version of the link takes sessions and words aside as ever, and hears nothing of callers', async () => {
    const older = await Promise.all(gateways.map(() => startFakeGateway(authority, { alpn: 'countersign-link/1' })));
    for (const gateway of gateways.splice(0, 2, ...older)) await gateway.close();
    told = older.map(({ address }) => ({ address, spiffeId: GATEWAY }));
    const target = () => ({ name: 'orders', protocol: 'postgres', gateways: told });
    const held = () =>
      links.open({
        target,
        svid: web,
        bundles: [authority.bundle(1)],
        caller: CALLER,
        signal: new AbortController().signal,
      });
    const [first] = await ranked();
    const session = await held();
    first.notNow = 'the gateway is about to stop';
    const cancelling = await held();
    links.sayAside(cancelling, Buffer.from('cancel it'));
    await expect.poll(() => first.asides).toEqual(['orders cancel it']);
    expect(older.flatMap(({ callers }) => callers)).toEqual([undefined, undefined, undefined, undefined]);
    for (const link of [session, cancelling]) link.destroy();
  });
});

describe('a session', () => {
  it('stays with its gateway, whatever order gateways are told in', async () => {
    const [first] = await ranked();
    told.reverse();
    for (let n = 0; n < 5; n++) expect(await open()).toBe(first);
  });

  it('goes to the next gateway at once when one is gone, and those after it go there first', async () => {
    const [first, second] = await ranked();
    await first.close();
    expect(await open()).toBe(second);
    expect(await open()).toBe(second);
    await clock.advance(5_000);
    expect(await open()).toBe(second);
  });

  it('goes to the next at once when one is about to stop, which is asked again after some seconds, by one session', async () => {
    const [first, second] = await ranked();
    first.notNow = 'the gateway is about to stop';
    const asked = first.links.length;
    for (let n = 0; n < 3; n++) expect(await open()).toBe(second);
    expect(first.links.length).toBe(asked + 1);
    await clock.advance(5_000);
    for (let n = 0; n < 3; n++) expect(await open()).toBe(second);
    expect(first.links.length).toBe(asked + 2);
    first.notNow = undefined;
    await clock.advance(10_000);
    expect(await open()).toBe(first);
  });

  it('that goes before it has an answer leaves it to the next one to find out', async () => {
    const [first, second] = await ranked();
    first.notNow = 'the gateway is about to stop';
    expect(await open()).toBe(second);
    first.notNow = undefined;
    await clock.advance(5_000);
    const gone = new AbortController();
    const opening = open(web, gone.signal);
    gone.abort();
    await expect(opening).rejects.toThrow();
    expect(await open()).toBe(first);
  });

  it('goes back at once to one that was away for a moment when the other goes, whatever the list says', async () => {
    const [first, second] = await ranked();
    first.notNow = 'the gateway is about to stop';
    expect(await open()).toBe(second);
    first.notNow = undefined;
    await second.close();
    told.push({ address: '127.0.0.1:1', spiffeId: GATEWAY });
    expect(await open()).toBe(first);
  });

  it('does not wait for one that takes connections and says nothing, nor do those after it', async () => {
    const [first, second] = await ranked();
    const silent = createServer(() => {});
    others.push(silent);
    await first.close();
    await new Promise<void>((resolve) => silent.listen(Number(first.address.split(':')[1]), '127.0.0.1', resolve));
    const beganMs = clock.monotonicMs();
    expect(await meanwhile(open())).toBe(second);
    expect(clock.monotonicMs() - beganMs).toBeLessThan(9_000);
    expect(await open()).toBe(second);
  });

  it('is not given up by others for what one was refused', async () => {
    const [first, second] = await ranked();
    first.refuse = 'it may have no more';
    expect(await open()).toBe(second);
    first.refuse = undefined;
    expect(await open()).toBe(first);
  });
});

describe('when no gateway takes it, a session', () => {
  const error = (work: Promise<unknown>) =>
    work.then(
      () => undefined,
      (caught: Error) => caught,
    );

  it('waits for some seconds, and then tells of each what is wrong', async () => {
    const [first, second] = await ranked();
    first.notNow = 'the gateway is about to stop';
    await second.close();
    const beganMs = clock.monotonicMs();
    const { message } = (await meanwhile(error(open()))) ?? new Error();
    expect(message).toContain(`${first.address}: it refused: the gateway is about to stop`);
    expect(message).toContain(`${second.address}: connect ECONNREFUSED`);
    expect(clock.monotonicMs() - beganMs).toBeGreaterThan(4_000);
  });

  it('is taken by one that comes back, or that the server has just told of', async () => {
    const [first] = await ranked();
    for (const gateway of gateways) gateway.notNow = 'the gateway is about to stop';
    const waiting = open();
    await clock.advance(1_000);
    first.notNow = undefined;
    expect(await meanwhile(waiting)).toBe(first);
    const all = told;
    told = [];
    const early = open();
    await clock.advance(1_000);
    told = all;
    expect(gateways).toContain(await meanwhile(early));
  });

  it('goes to one that the server told of while the only one it knew was silent', async () => {
    const [first, second] = await ranked();
    const silent = createServer(() => {});
    others.push(silent);
    await first.close();
    await new Promise<void>((resolve) => silent.listen(Number(first.address.split(':')[1]), '127.0.0.1', resolve));
    const all = told;
    told = all.filter(({ address }) => address === first.address);
    const waiting = open();
    await clock.advance(3_000);
    told = all;
    expect(await meanwhile(waiting)).toBe(second);
  });

  it('does not wait where one has said no to what it asks', async () => {
    for (const gateway of gateways) gateway.refuse = 'the identity is not trusted';
    const beganMs = clock.monotonicMs();
    expect((await error(open()))?.message).toContain('the identity is not trusted');
    expect(clock.monotonicMs()).toBe(beganMs);
  });

  it('waits no longer than whoever wants it', async () => {
    for (const gateway of gateways) gateway.notNow = 'the gateway is about to stop';
    const end = new AbortController();
    const waiting = error(open(web, end.signal));
    await clock.advance(300);
    end.abort(new Error('gone'));
    expect((await waiting)?.message).toBe('gone');
    await expect.poll(() => clock.pending()).toBe(0);
  });
});

describe('a word aside', () => {
  it('reaches each other gateway that has sessions of that identity at that target, though it takes no new ones', async () => {
    const [first, second] = await ranked();
    const batch = issue('/batch');
    const held = async (svid = web, name = 'orders') => {
      const target = () => ({ name, protocol: 'postgres', gateways: told });
      const { signal } = new AbortController();
      return links.open({ target, svid, bundles: [authority.bundle(1)], caller: CALLER, signal });
    };
    const open = [await held(), await held()];
    first.notNow = 'the gateway is about to stop';
    const cancelling = await held();
    first.asides.length = 0;
    links.sayAside(cancelling, Buffer.from('cancel it'));
    await expect.poll(() => first.asides).toEqual(['orders cancel it']);
    expect(second.asides).toEqual([]);
    for (const [svid, name] of [
      [batch, 'orders'],
      [web, 'other'],
    ] as const) {
      const stranger = await held(svid, name);
      links.sayAside(stranger, Buffer.from('not of theirs'));
      stranger.destroy();
    }
    first.asides.length = 0;
    for (let n = 0; n < 100; n++) links.sayAside(cancelling, Buffer.from('again'));
    // Of one identity, eight at once; the others were promised to nobody.
    await expect.poll(() => first.asides.length).toBe(8);
    first.asides.splice(0, 8, 'orders cancel it');
    for (const link of open) link.destroy();
    await Promise.all(open.map((link) => new Promise((resolve) => link.once('close', resolve))));
    links.sayAside(cancelling, Buffer.from('nobody is left'));
    links.sayAside(open[0] as TLSSocket, Buffer.from('it is gone')); // Two are made.
    cancelling.destroy();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect([first.asides, second.asides]).toEqual([['orders cancel it'], []]);
  });
});

describe('a gateway that can not be had', () => {
  /** Where it would be first for this node, of as many targets as that takes. */
  async function openAt(place: { address: string; spiffeId: string }, count: number): Promise<number> {
    const signal = new AbortController().signal;
    const beganMs = clock.monotonicMs();
    for (let n = 0; n < count; n++) {
      const target = () => ({ name: `t${n}`, protocol: 'postgres', gateways: [place, ...told] });
      const link = await meanwhile(
        links.open({ target, svid: web, bundles: [authority.bundle(1)], caller: CALLER, signal }),
      );
      link.destroy();
    }
    return clock.monotonicMs() - beganMs;
  }

  it('since it takes connections and says nothing costs one session two seconds, and others nothing', async () => {
    const silent = createServer((socket) => socket.on('error', () => {}));
    others.push(silent);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const address = `127.0.0.1:${portOf(silent)}`;
    const firstMs = await openAt({ address, spiffeId: GATEWAY }, 20);
    // Each opening takes a step of the clock or two.
    expect(firstMs).toBeLessThan(2_000 + 20 * 150);
    await clock.advance(5_000);
    const secondMs = await openAt({ address, spiffeId: GATEWAY }, 20);
    expect(secondMs).toBeLessThan(500 + 20 * 150);
  });

  it('since its backlog is full costs one session a quarter of a second, and others nothing', async () => {
    await using full = await startFull();
    const elapsedMs = await openAt({ address: `127.0.0.1:${full.port}`, spiffeId: GATEWAY }, 20);
    expect(elapsedMs).toBeLessThan(250 + 20 * 150);
  });
});

/** A listener of another process that takes nobody from its backlog, which is full: the kernel answers nobody who comes. */
async function startFull(): Promise<AsyncDisposable & { readonly port: number }> {
  const script = `const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () =>
    process.stdout.write(String(server.address().port), () => process.kill(process.pid, 'SIGSTOP')))`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = Number(await new Promise<Buffer>((resolve) => child.stdout.once('data', resolve)));
  const waiting: Socket[] = [];
  // Until one is not answered any more: the kernel decides how many it holds.
  for (let isAnswered = true; isAnswered; ) {
    const socket = connect({ port, host: '127.0.0.1' }).on('error', () => {});
    waiting.push(socket);
    isAnswered = await Promise.race([
      new Promise<boolean>((resolve) => socket.once('connect', () => resolve(true))),
      new Promise<boolean>((resolve) => setTimeout(resolve, 300, false)),
    ]);
  }
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of waiting) socket.destroy();
      child.kill('SIGKILL');
      await new Promise((resolve) => child.once('close', resolve));
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
