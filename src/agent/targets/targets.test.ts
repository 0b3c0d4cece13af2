import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeGateway, startFakeGateway } from '../testing/fake-gateway.ts';
import { createHarness, type Harness } from '../testing/harness.ts';

const GATEWAY = 'spiffe://example.org/countersign/gateway';
let h: Harness;
let gateway: FakeGateway;
let sockets: Socket[];

beforeEach(async () => {
  h = await createHarness();
  sockets = [];
  gateway = await startFakeGateway(h.server.authority);
  h.server.entries.set('e1', { id: 'e1', path: '/web', selectors: ['unix:uid:1000'] });
  offer('orders', gateway.address);
  await h.startAgent();
  await h.until(() => h.agent().status().targets.includes('orders'));
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await h.close();
  await gateway.close();
});

function offer(name: string, ...addresses: string[]): void {
  offerWith(name, addresses);
}

function offerWith(name: string, addresses: readonly string[], hosts: readonly string[] = []): void {
  const gateways = addresses.map((address) => ({ address, spiffeId: GATEWAY }));
  h.server.targets = [
    ...h.server.targets.filter((target) => target.name !== name),
    { name, protocol: 'postgres', gateways, hosts },
  ];
  h.server.changed();
}

function pathOf(name: string): string {
  return join(h.targetsDir, name, '.s.PGSQL.5432');
}

function open(name = 'orders'): { socket: Socket; received: () => Buffer; ended: () => boolean } {
  const socket = connect({ path: pathOf(name), allowHalfOpen: true });
  const chunks: Buffer[] = [];
  let ended = false;
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('end', () => {
    ended = true;
  });
  socket.on('error', () => {});
  sockets.push(socket);
  return { socket, received: () => Buffer.concat(chunks), ended: () => ended };
}

/** What node-postgres tells its user. */
async function connectionError(): Promise<{ code?: string; message: string; hint?: string }> {
  const client = new pg.Client({ host: join(h.targetsDir, 'orders'), user: 'anyone', database: 'orders' });
  client.on('error', () => {});
  return h.run(
    client.connect().then(
      () => ({ message: 'connected' }),
      (error: Error) => error,
    ),
  );
}

/** The same while time stands still. */
async function rejection(): Promise<unknown> {
  const client = new pg.Client({ host: join(h.targetsDir, 'orders'), user: 'anyone', database: 'orders' });
  client.on('error', () => {});
  return client.connect().then(
    () => 'connected',
    (error: unknown) => error,
  );
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

describe('a target socket', () => {
  it('comes with its target, open to everybody, and goes with it', async () => {
    expect(statSync(join(h.targetsDir, 'orders')).mode & 0o777).toBe(0o755);
    expect(statSync(pathOf('orders')).mode & 0o777).toBe(0o777);
    h.server.targets = [];
    h.server.changed();
    await h.until(() => h.agent().status().targets.length === 0);
    await h.until(() => !existsSync(join(h.targetsDir, 'orders')));
  });

  it('has the hosts of its target beside it, for all to read, as long as there are some', async () => {
    const file = join(h.targetsDir, 'orders', 'hosts');
    const says = () => (existsSync(file) ? readFileSync(file, 'utf8') : undefined);
    expect(says()).toBeUndefined();
    offerWith('orders', [gateway.address], ['api.example.org', 'two\nlines', '[::1]']);
    await h.until(() => says() === 'api.example.org\n[::1]\n');
    expect(statSync(file).mode & 0o777).toBe(0o644);
    offerWith('orders', [gateway.address], ['other.example.org']);
    await h.until(() => says() === 'other.example.org\n');
    offerWith('orders', [gateway.address]);
    await h.until(() => says() === undefined);
    offerWith('orders', [gateway.address], ['other.example.org']);
    await h.until(() => says() !== undefined);
    h.server.targets = [];
    h.server.changed();
    await h.until(() => !existsSync(join(h.targetsDir, 'orders')));
  });

  it('is not made for a name that is no plain folder name, nor for a protocol that is not known', async () => {
    h.server.targets = [
      { name: '../escape', protocol: 'postgres', gateways: [] },
      { name: 'odd', protocol: 'constructor', gateways: [] },
      { name: 'fine', protocol: 'postgres', gateways: [] },
    ];
    h.server.changed();
    await h.until(() => h.agent().status().targets.includes('fine'));
    expect(h.agent().status().targets).toEqual(['fine']);
  });

  it('is there again after a restart while the server is away', async () => {
    await h.run(h.agent().stop());
    await h.run(h.server.stop());
    await h.startAgent();
    await h.until(() => h.agent().status().targets.includes('orders'));
    const { socket, received } = open();
    socket.write('hello');
    await h.until(() => received().toString() === 'hello');
  });
});

describe('a session', () => {
  it('reaches the gateway as the identity of the process, and carries bytes both ways', async () => {
    const { socket, received } = open();
    socket.write('hello');
    await h.until(() => received().toString() === 'hello');
    expect(gateway.links).toEqual([{ id: 'spiffe://example.org/web', target: 'orders' }]);
    const { pid } = h.processes.at(-1) ?? {};
    expect(gateway.callers).toMatchObject([
      {
        entryId: 'e1',
        nodeId: expect.stringMatching(/^spiffe:\/\/example\.org\/./),
        process: { pid, uid: 1000, gid: 1000, executable: '/usr/bin/psql' },
        ...{ selectors: ['unix:uid:1000'], selectorsLeftOut: 0 },
      },
    ]);
    expect(h.agent().counters.targetSessions).toBe(1);
  });

  it('passes on the end of one side while the other still speaks', async () => {
    gateway.serve = (link) => {
      link.on('end', () => link.end('last words'));
      link.resume();
    };
    const { socket, received, ended } = open();
    socket.end('done');
    await h.until(() => ended());
    expect(received().toString()).toBe('last words');
  });

  it('slows a fast writer down to a slow reader instead of filling memory', async () => {
    let link: { resume(): unknown } | undefined;
    gateway.serve = (opened) => {
      opened.pause();
      link = opened;
    };
    const { socket } = open();
    const megabyte = Buffer.alloc(1024 * 1024);
    let accepted = 0;
    const writeOn = () => {
      while (socket.write(megabyte, () => accepted++)) if (accepted > 60) return;
    };
    socket.on('drain', writeOn);
    writeOn();
    await h.pass(3_000);
    expect(accepted).toBeLessThan(30);
    link?.resume();
    await h.until(() => accepted > 30);
  });

  it('ends for the client when the gateway breaks off, and lets go of the process', async () => {
    gateway.serve = (link) => link.destroy();
    const { socket } = open();
    await h.until(() => socket.readableEnded || socket.destroyed);
    socket.destroy(); // What every client does then.
    await h.until(() => h.processes.every((process) => process.closed));
  });

  it('goes to the next gateway when one can not be reached, is another, or speaks something else', async () => {
    const impostor = await startFakeGateway(h.server.authority, { path: '/web' });
    const foreign = await startFakeGateway(h.server.authority, { alpn: 'h2' });
    offer('orders', '127.0.0.1:1', impostor.address, foreign.address, gateway.address);
    const syncs = h.agent().counters.syncs;
    await h.until(() => h.agent().counters.syncs > syncs);
    const { socket, received } = open();
    socket.write('x');
    await h.until(() => received().toString() === 'x');
    expect(impostor.links).toEqual([]);
    expect(foreign.links).toEqual([]);
    await Promise.all([impostor.close(), foreign.close()]);
  });

  it('is not opened for a process that ended while it was attested', async () => {
    h.whileAttesting = async (process) => {
      process.dead = true;
    };
    const error = await connectionError();
    expect(error.code).toBe('28000');
    expect(gateway.links).toEqual([]);
  });

  it('does not carry a byte for a process that ended while the link was made', async () => {
    const carried: Buffer[] = [];
    gateway.serve = (link) => {
      // The agent has not read yet that its link was taken.
      const process = h.processes.at(-1);
      if (process) process.dead = true;
      link.on('data', (chunk) => carried.push(chunk));
    };
    const { socket } = open();
    socket.write('secret');
    await h.until(() => h.agent().counters.targetRefusals === 1);
    expect(carried).toEqual([]);
  });
});

describe('when the agent stops', () => {
  const READY = Buffer.from('Z\0\0\0\x05I', 'latin1');
  const IN_TRANSACTION = Buffer.from('Z\0\0\0\x05T', 'latin1');
  const row = (text: string) => Buffer.from(`D\0\0\0${String.fromCharCode(text.length + 4)}${text}`, 'latin1');

  it('a client that waits for nothing is told 57P01, and the door is closed', async () => {
    gateway.serve = (link) =>
      void link.on('data', () => link.write(Buffer.concat([row('rows'), READY]))).on('end', () => link.end());
    const { socket, received, ended } = open();
    socket.write('query');
    await h.until(() => received().includes(READY));
    await h.run(h.agent().stop());
    await h.until(() => ended());
    expect(received().toString('latin1')).toMatch(
      /^D\0\0\0\x08rowsZ\0\0\0\x05IE.*C57P01\0Mthe agent is shutting down/s,
    );
    expect(existsSync(pathOf('orders'))).toBe(false);
  });

  it('an answer on its way arrives whole, also in small pieces, and the session ends behind it', async () => {
    const asked: { write(bytes: Buffer): unknown }[] = [];
    gateway.serve = (link) => void link.on('data', () => asked.push(link)).on('end', () => link.end());
    const { socket, received, ended } = open();
    socket.write('query');
    await h.until(() => asked.length === 1);
    const stopped = h.agent().stop();
    await h.until(() => !existsSync(pathOf('orders')));
    const answer = row('first half, second half');
    for (const piece of [answer.subarray(0, 17), answer.subarray(17), ...READY]) {
      expect(ended()).toBe(false);
      const before = received().length;
      asked[0]?.write(typeof piece === 'number' ? Buffer.from([piece]) : piece);
      await h.until(() => received().length > before);
    }
    await h.run(stopped);
    await h.until(() => ended());
    expect(received().toString('latin1')).toMatch(/^D\0\0\0\x1bfirst half, second halfZ\0\0\0\x05IE/);
  });

  it('a transaction that stays open is cut off when the grace is over', async () => {
    gateway.serve = (link) => void link.on('data', () => link.write(IN_TRANSACTION));
    const { socket, received } = open();
    let closed = false;
    socket.once('close', () => {
      closed = true;
    });
    socket.write('begin');
    await h.until(() => received().equals(IN_TRANSACTION));
    let stopped = false;
    const stopping = h
      .agent()
      .stop()
      .then(() => {
        stopped = true;
      });
    await h.until(() => !existsSync(pathOf('orders')));
    expect(stopped).toBe(false);
    await h.pass(10_000);
    await h.run(stopping);
    socket.end();
    await h.until(() => closed);
    expect(received().equals(IN_TRANSACTION)).toBe(true);
  });

  // The clock stands still in these: whoever waits for a session hears of the end without any time limit.
  it.each([
    ['is made', async () => {}],
    ['waits for what attests the process', (signal: AbortSignal) => untilAborted(signal)],
  ])('a client whose session %s at that moment is told 57P01', async (_, attest) => {
    const stopping: Promise<void>[] = [];
    h.whileAttesting = async (_process, signal) => {
      stopping.push(h.agent().stop());
      await attest(signal);
    };
    expect(await rejection()).toMatchObject({ code: '57P01' });
    expect(gateway.links).toEqual([]);
    await h.run(Promise.all(stopping));
  });

  it('a client whose link is made at that moment is told 57P01', async () => {
    const stopping: Promise<void>[] = [];
    gateway.serve = () => void stopping.push(h.agent().stop());
    expect(await rejection()).toMatchObject({ code: '57P01' });
    await h.run(Promise.all(stopping));
  });

  it('a client that says nothing is hung up on', async () => {
    let attesting: () => void = () => {};
    const begun = new Promise<void>((resolve) => {
      attesting = resolve;
    });
    h.whileAttesting = async (_process, signal) => {
      attesting();
      await untilAborted(signal);
    };
    const { socket, received } = open();
    await begun;
    const stopping = h.agent().stop();
    await once(socket, 'end');
    expect(received().toString('latin1')).toMatch(/^E.*C57P01/s);
    socket.end();
    await stopping;
  });
});

describe('a refusal is said in the words of PostgreSQL', () => {
  it('28000 when the process has no identity', async () => {
    h.selectors = ['unix:uid:4000'];
    const error = await connectionError();
    expect(error.code).toBe('28000');
    expect(error.message).toContain('no identity issued');
    expect(error.hint).toContain('countersign entry create');
  });

  it('08006 when no gateway can be reached, naming what was wrong with each', async () => {
    await gateway.close();
    const error = await connectionError();
    expect(error.code).toBe('08006');
    expect(error.message).toContain(gateway.address);
  });

  it("08006 with the gateway's own reason when it refuses", async () => {
    gateway.refuse = 'quarantined';
    const error = await connectionError();
    expect(error).toMatchObject({ code: '08006' });
    expect(error.message).toContain('quarantined');
  });

  it('57P03 when the identity has expired and the server is away', async () => {
    await h.run(h.server.stop());
    await h.pass(3_600_000 / 100);
    h.clock.step(3_600_000);
    const error = await connectionError();
    expect(error.code).toBe('57P03');
  });

  it('after TLS and GSS encryption were declined, and not at all to a cancel request', async () => {
    h.selectors = ['unix:uid:4000'];
    const asking = open();
    const request = (code: number) =>
      Buffer.from([0, 0, 0, 8, code >>> 24, (code >> 16) & 255, (code >> 8) & 255, code & 255]);
    asking.socket.write(request(80877103));
    await h.until(() => asking.received().toString('latin1') === 'N');
    asking.socket.write(request(80877104));
    asking.socket.write(Buffer.from([0, 0, 0, 9, 0, 3, 0, 0, 0]));
    await h.until(() => asking.ended());
    expect(asking.received().toString('latin1')).toMatch(/^NNE.*C28000/s);
    const cancelling = open();
    cancelling.socket.write(
      Buffer.concat([Buffer.from([0, 0, 0, 16]), request(80877102).subarray(4), Buffer.alloc(8)]),
    );
    await h.until(() => cancelling.socket.destroyed || cancelling.ended());
    expect(cancelling.received()).toHaveLength(0);
  });
});
