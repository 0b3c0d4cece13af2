// Goal: an agent takes over from another without anybody being cut off, and where it can not, or comes to nothing at any step, the other goes on
// as if nobody had asked. Two whole agents on one folder; where the steps count, the test itself speaks to one of them.
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { parseTrustDomain } from '@countersign/sdk/identity';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Code } from '../../rpc/index.ts';
import type { Service } from '../../std/index.ts';
import { encodeStartup } from '../../wire/postgres/index.ts';
import type { Agent, AgentConfig, AgentDeps } from '../index.ts';
import { type FakeGateway, startFakeGateway } from '../testing/fake-gateway.ts';
import { createHarness, type Harness, type X509Stream } from '../testing/harness.ts';
import { type Channel, createChannel, openChannel } from './channel.ts';
import { encodeMessage, type Message } from './messages.ts';
import { handoverPath } from './take-over.ts';

let h: Harness;
let gateway: FakeGateway;
let path: string;
const sockets: Socket[] = [];
const others: Agent[] = [];
const never = new AbortController().signal;

beforeEach(async () => {
  h = await createHarness();
  path = handoverPath(h.config.dataDir);
  gateway = await startFakeGateway(h.server.authority);
  h.server.entries.set('e1', { id: 'e1', path: '/web', selectors: ['unix:uid:1000'] });
  const gateways = [{ address: gateway.address, spiffeId: 'spiffe://example.org/countersign/gateway' }];
  h.server.targets = [{ name: 'orders', protocol: 'postgres', gateways }];
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const agent of others.splice(0)) await h.run(agent.stop());
  await h.close();
  await gateway.close();
});

/** An agent that serves, and has kept what it has. */
async function startFirst(): Promise<Agent> {
  const agent = await h.startAgent();
  await h.until(() => agent.status().ready && agent.status().targets.includes('orders'));
  await h.pass(6_000);
  return agent;
}

async function startNext(more: Partial<AgentDeps> = {}): Promise<Agent> {
  const agent = h.another(more);
  others.push(agent);
  await h.run(agent.start(never));
  return agent;
}

/** A session through the socket of the target, which answers what it is sent. */
async function openSession(): Promise<{
  say: (text: string) => Promise<void>;
  socket: Socket;
  received: () => string;
}> {
  const socket = connect({ path: doorOfTarget(), allowHalfOpen: true });
  sockets.push(socket);
  let received = '';
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  const say = async (text: string) => {
    socket.write(text);
    await h.until(() => received.endsWith(text));
  };
  await say('hello');
  return { say, socket, received: () => received };
}

async function openStream(): Promise<X509Stream> {
  const stream = h.watchX509(h.connect());
  await h.until(() => stream.messages.length > 0 || stream.ended);
  return stream;
}

const doorOfTarget = () => join(h.targetsDir, 'orders', '.s.PGSQL.5432');
/** Everything but what sockets are for. */
const filesLeft = () =>
  [h.config.dataDir, join(h.folder, 'api'), join(h.targetsDir, 'orders')].map((folder) =>
    readdirSync(folder).toSorted(),
  );
const FILES = [['cache.sealed', 'handover.sock', 'node.sealed', 'seal.key'], ['agent.sock'], ['.s.PGSQL.5432']];

/** A successor that says what the test has it say. */
async function speak(): Promise<{ channel: Channel; next: () => Promise<Message | undefined> }> {
  const opening = openChannel(path, h.clock);
  const channel = await h.run(opening);
  if (channel === undefined) throw new Error('no agent is there');
  return { channel, next: () => h.run(channel.next()) };
}

/** A file may be in the middle of being written. */
async function expectNothingLeft(): Promise<void> {
  await h.until(() =>
    filesLeft()
      .flat()
      .every((name) => !name.endsWith('.unfinished')),
  );
  expect(filesLeft()).toEqual(FILES);
}

const WANT: Message = { say: 'want', version: 1, pid: 4711, release: 'test', trustDomain: 'example.org' };

describe('an agent that takes over', () => {
  it('has the doors, the identity and the cache of the one before, which cuts nobody and then ends by itself', async () => {
    const first = await startFirst();
    const session = await openSession();
    const stream = await openStream();
    const attested = h.server.calls['attestAgent'];
    const next = await startNext();
    expect(next.status()).toMatchObject({ stage: 'serving', ready: true, targets: ['orders'] });
    await h.until(() => first.status().stage === 'leaving');
    await session.say('still here');
    await h.until(() => stream.ended);
    expect(stream.error).toMatchObject({ code: Code.UNAVAILABLE });
    const again = await openStream();
    expect(again.messages[0]?.svids[0]?.spiffeId).toBe('spiffe://example.org/web');
    const other = await openSession();
    await h.pass(600_000, 10_000);
    await session.say('and still');
    expect(first.status().stage).toBe('leaving');
    session.socket.destroy();
    await h.until(() => first.status().stage === 'over');
    await other.say('not of the first one');
    expect(h.server.calls['attestAgent']).toBe(attested);
    await expectNothingLeft();
  });

  it('does so ten times in a row, and leaves nothing behind', async () => {
    let last = await startFirst();
    const session = await openSession();
    for (let round = 0; round < 10; round++) {
      const next = await startNext();
      await (await openSession()).say('new');
      await session.say('old');
      await h.until(() => last.status().stage === 'leaving');
      last = next;
    }
    for (const socket of sockets) socket.destroy();
    await h.until(() => others.slice(0, -1).every((agent) => agent.status().stage === 'over'));
    await expectNothingLeft();
  });

  it('just starts where none runs, also beside what one that was killed has left', async () => {
    mkdirSync(h.config.dataDir, { mode: 0o700 });
    writeFileSync(join(h.config.dataDir, 'stale'), '');
    await leaveSocket(path);
    const agent = await startNext();
    expect(agent.status().stage).toBe('serving');
    await h.until(() => agent.status().ready);
  });

  it('is refused without the flag, and told what to do', async () => {
    await startFirst();
    const other = h.another({ replace: false });
    await expect(h.run(other.start(never))).rejects.toMatchObject({
      code: 'ERR_AGENT_RUNNING',
      message: expect.stringMatching(
        /another agent \(process \d+\) runs on .*start with --replace to take over from it/,
      ),
    });
    await h.run(other.stop());
    await (await openSession()).say('served');
  });

  it('finds nobody any more who listens elsewhere than it does', async () => {
    await startFirst();
    const before = h.socketPath;
    const config = { ...h.config, socketPath: join(h.folder, 'elsewhere', 'agent.sock') };
    await startNext({ config });
    expect(existsSync(config.socketPath)).toBe(true);
    await h.until(() => !existsSync(before));
    await (await openSession()).say('served');
  });

  it('writes its process ID once it serves, and nobody else removes it', async () => {
    const pidFile = join(h.folder, 'agent.pid');
    h.config = { ...h.config, pidFile };
    const first = await startFirst();
    expect(readFileSync(pidFile, 'latin1')).toBe(`${process.pid}\n`);
    writeFileSync(pidFile, '1\n');
    await h.run(first.stop());
    expect(readFileSync(pidFile, 'latin1')).toBe('1\n');
    rmSync(pidFile);
    const next = await startNext();
    expect(statSync(pidFile).mode & 0o777).toBe(0o644);
    await h.run(next.stop());
    expect(existsSync(pidFile)).toBe(false);
  });
});

describe('sessions of an agent that has handed over', () => {
  const READY = 'Z\0\0\0\x05I';
  const ROW = 'D\0\0\0\x08rows';

  /** Whoever follows them has to read PostgreSQL. */
  async function openAnswered(answer: string): Promise<{ received: () => string }> {
    const serve = gateway.serve;
    gateway.serve = (link) => void link.on('data', () => link.write(answer, 'latin1')).on('end', () => link.end());
    const socket = connect({ path: doorOfTarget(), allowHalfOpen: true });
    sockets.push(socket);
    let received = '';
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.write(encodeStartup(0, [['user', 'web']]));
    await h.until(() => received === answer);
    gateway.serve = serve;
    return { received: () => received };
  }

  it('go on for the time that was set, and then end as at a stop', async () => {
    h.config = { ...h.config, lingerMs: 60_000 };
    const first = await startFirst();
    const [resting, busy] = [await openAnswered(READY), await openAnswered(ROW)];
    await startNext();
    await h.pass(58_000, 1_000);
    expect(resting.received()).not.toContain('shutting down');
    await h.until(() => resting.received().includes('shutting down'));
    expect(busy.received()).not.toContain('shutting down');
    await h.until(() => first.status().stage === 'over');
    expect(busy.received()).not.toContain('shutting down');
    expect(h.logged('agent.target.sessions_cut')).toEqual([{ sessions: 1 }]);
  });

  it('end as at a stop when it is stopped before', async () => {
    const first = await startFirst();
    const resting = await openAnswered(READY);
    await startNext();
    await h.pass(5_000);
    await h.run(first.stop());
    await h.until(() => resting.received().includes('shutting down'));
    await (await openSession()).say('served');
    await expectNothingLeft();
  });
});

describe('a successor that comes to nothing', () => {
  /** All that the one that runs does besides serving goes on. */
  async function expectAsBefore(first: Agent): Promise<void> {
    await h.until(() => first.status().stage === 'serving');
    h.server.entries.set('e2', { id: 'e2', path: '/second', selectors: ['unix:uid:1000'] });
    // Twice: the first to end may have been under way.
    for (let round = 0; round < 2; round++) {
      const { syncs } = first.counters;
      h.server.changed();
      await h.until(() => first.counters.syncs > syncs);
    }
    await (await openSession()).say('served');
    expect((await openStream()).messages[0]?.svids.length).toBe(2);
    await h.pass(6_000);
    await startNext(); // It has kept all that it knows.
    expect((await openStream()).messages[0]?.svids.length).toBe(2);
    await expectNothingLeft();
  }

  it.each<[when: string, said: readonly Message[]]>([
    ['before it said what it wants', []],
    ['while the other one pauses', [WANT]],
    ['before it was ready', [WANT, { say: 'failed', why: 'no' }]],
    ['once it was ready', [WANT, { say: 'ready' }]],
  ])('%s, by its end', async (_when, said) => {
    const first = await startFirst();
    const { channel, next } = await speak();
    expect(await next()).toMatchObject({ say: 'hello', version: 1, pid: process.pid, release: 'test' });
    for (const message of said) {
      channel.send(message);
      if (message !== said.at(-1)) await next();
    }
    channel.close();
    await expectAsBefore(first);
  });

  it('while it takes the doors: those that it had are taken back', async () => {
    const first = await startFirst();
    const { channel, next } = await speak();
    expect(await next()).toMatchObject({ say: 'hello' });
    channel.send(WANT);
    expect(await next()).toMatchObject({ say: 'paused', isReady: true });
    channel.send({ say: 'ready' });
    expect(await next()).toEqual({ say: 'go' });
    const thief = await listenAt(doorOfTarget());
    thief.close();
    channel.close();
    await expectAsBefore(first);
  });

  it('by its silence when it may take the doors: none but it may then, and what it takes when it wakes up is taken back', async () => {
    const first = await startFirst();
    const { channel, next } = await speak();
    await next();
    channel.send(WANT);
    await next();
    channel.send({ say: 'ready' });
    expect(await next()).toEqual({ say: 'go' });
    await h.pass(9_000);
    expect(first.status().stage).toBe('paused');
    await h.until(() => first.status().stage === 'serving');
    expect(await next()).toMatchObject({ say: 'refused', why: expect.stringContaining('nothing for 10000 ms') });
    await (await openSession()).say('served');
    await expect(startNext()).rejects.toThrow(/process 4711 was to take over from it and is silent: end that process/);
    const thief = await listenAt(doorOfTarget());
    channel.send({ say: 'taken' });
    await h.pass(1_000);
    expect(first.status().stage).toBe('serving');
    thief.close();
    channel.close();
    await h.until(() => existsSync(doorOfTarget()));
    await expectAsBefore(first);
  });

  it('by what it says when it may take the doors: what it takes all the same is taken back', async () => {
    const first = await startFirst();
    const { channel, next } = await speak();
    for (const message of [WANT, { say: 'ready' }, { say: 'ready' }] as const) {
      await next();
      channel.send(message);
    }
    expect(await next()).toMatchObject({ say: 'refused' });
    await h.until(() => first.status().stage === 'serving');
    (await listenAt(doorOfTarget())).close();
    channel.close();
    await h.until(() => existsSync(doorOfTarget()));
    await expectAsBefore(first);
  });

  it('by its silence, and the other one is stopped meanwhile: nothing is left of it', async () => {
    const first = await startFirst();
    const { channel, next } = await speak();
    for (const message of [WANT, { say: 'ready' }] as const) {
      await next();
      channel.send(message);
    }
    await h.until(() => first.status().stage === 'serving');
    await h.run(first.stop());
    expect([await next(), await next()]).toMatchObject([{ say: 'go' }, { say: 'refused' }]);
    expect(await next()).toBeUndefined();
    expect(existsSync(doorOfTarget())).toBe(false);
  });

  it('by its time: it is told that the other one goes on', async () => {
    const first = await startFirst();
    const { channel, next } = await speak();
    await next();
    channel.send(WANT);
    expect(await next()).toMatchObject({ say: 'paused' });
    expect(await h.run(channel.next())).toMatchObject({ say: 'refused', why: expect.stringContaining('60000 ms') });
    expect(await next()).toBeUndefined();
    await expectAsBefore(first);
  });

  it('by what it says', async () => {
    const first = await startFirst();
    for (const bytes of ['no JSON\n', '{"say":"want"}\n', `${'x'.repeat(300_000)}`, 'null\n[]\n']) {
      const socket = connect(path);
      socket.on('error', () => {});
      socket.write(bytes);
      await new Promise((resolve) => socket.resume().once('close', resolve));
    }
    expect(h.logged('agent.handover.refused').length).toBeGreaterThan(0);
    await expectAsBefore(first);
  });

  it.each<[what: string, config: (own: AgentConfig) => AgentConfig, why: RegExp]>([
    [
      'of another trust domain',
      (own) => ({ ...own, trustDomain: parseTrustDomain('other.org') }),
      /of trust domain example.org/,
    ],
    [
      'that can not open what is kept',
      (own) => ({ ...own, sealPassphrase: 'env:PATH' }),
      /there is no .*seal.key.wrapped/,
    ],
    [
      'whose socket is somebody else’s',
      (own) => ({ ...own, socketPath: join(h.folder, 'theirs.sock') }),
      /another process listens on/,
    ],
    [
      'whose folder others may write',
      (own) => ({ ...own, socketPath: join(h.folder, 'open', 'agent.sock') }),
      /may be written by others/,
    ],
    [
      'whose process ID can not be written',
      (own) => ({ ...own, pidFile: join(h.folder, 'api') }),
      /agent.pidFile .* can not be written/,
    ],
  ])('%s', async (_what, change, why) => {
    mkdirSync(join(h.folder, 'open'));
    chmodSync(join(h.folder, 'open'), 0o777);
    const theirs = await listenAt(join(h.folder, 'theirs.sock'));
    const first = await startFirst();
    await expect(startNext({ config: change(h.config) })).rejects.toThrow(why);
    await expectAsBefore(first);
    theirs.close();
  });

  it('with what was kept gone: it could serve nobody for a while', async () => {
    const first = await startFirst();
    const alone = onStart(() => rmSync(join(h.config.dataDir, 'cache.sealed')));
    await expect(startNext({ alone })).rejects.toMatchObject({
      code: 'ERR_AGENT_HANDOVER',
      message: expect.stringContaining('could serve nobody yet'),
    });
    await h.until(() => first.status().stage === 'serving');
    await (await openSession()).say('served');
  });

  it('that can not write its process ID when it has the doors', async () => {
    const pidFile = join(h.folder, 'agent.pid');
    const first = await startFirst();
    const config = { ...h.config, pidFile };
    const alone = onStart(() => mkdirSync(pidFile));
    await expect(startNext({ config, alone })).rejects.toThrow(/agent.pidFile .* can not be written/);
    await expectAsBefore(first);
  });

  it('that can not listen where the one that runs does', async () => {
    const first = await startFirst();
    const alone = onStart(() => {
      rmSync(doorOfTarget());
      writeFileSync(doorOfTarget(), 'in the way');
    });
    await expect(startNext({ alone })).rejects.toThrow(/can not listen on .*orders.*, and the one that runs does/);
    rmSync(doorOfTarget());
    await h.until(() => first.status().stage === 'serving');
  });
});

describe('two successors at once', () => {
  it('one takes over, the other is told of it', async () => {
    await startFirst();
    const late = Promise.withResolvers<void>();
    const winner = h.another({ alone: { start: () => late.promise, stop: async () => {} } });
    others.push(winner);
    const winning = winner.start(never);
    await h.until(() => h.agent().status().stage === 'paused');
    const loser = h.another();
    await expect(h.run(loser.start(never))).rejects.toMatchObject({
      code: 'ERR_AGENT_HANDOVER',
      message: expect.stringContaining('is taking over from it already'),
    });
    await h.run(loser.stop());
    late.resolve();
    await h.run(winning);
    expect(winner.status().stage).toBe('serving');
    await (await openSession()).say('served');
  });
});

describe('what can be there once on a machine', () => {
  it('runs in the one that serves, and is back when a successor came to nothing, however long its place is taken', async () => {
    const turns: string[] = [];
    let isFree = true;
    const named = (name: string): Service => ({
      async start() {
        if (!isFree) throw new Error('the port is taken');
        turns.push(`${name} on`);
      },
      stop: async () => void turns.push(`${name} off`),
    });
    const first = h.another({ alone: named('first') });
    others.push(first);
    await h.run(first.start(never));
    await h.until(() => first.status().ready);
    const { channel, next } = await speak();
    await next();
    channel.send(WANT);
    await next();
    isFree = false;
    channel.close();
    await h.until(() => first.status().stage === 'serving');
    await h.pass(3_000);
    isFree = true;
    await h.pass(2_000);
    expect(turns).toEqual(['first on', 'first off', 'first on']);
    await startNext({ alone: named('next') });
    expect(turns.slice(3)).toEqual(['first off', 'next on']);
    await h.run(first.stop());
    expect(turns).toHaveLength(5);
  });
});

describe('the one before', () => {
  it.each(['at once', 'while its successor starts'])('that ends %s leaves all to its successor', async (when) => {
    const first = await startFirst();
    const session = await openSession();
    const late = Promise.withResolvers<void>();
    const successor = h.another({ alone: { start: () => late.promise, stop: async () => {} } });
    others.push(successor);
    const started = successor.start(never);
    await h.until(() => first.status().stage === 'paused');
    const stopped = first.stop();
    if (when === 'at once') await h.pass(1_000);
    late.resolve();
    await h.run(started);
    expect(successor.status()).toMatchObject({ stage: 'serving', targets: ['orders'] });
    await (await openSession()).say('served');
    session.socket.destroy();
    await h.run(stopped);
    await (await openSession()).say('still');
    await expectNothingLeft();
  });

  it('that is no agent, is silent, or of another version is left alone, and its successor told what to do', async () => {
    mkdirSync(h.config.dataDir, { mode: 0o700 });
    const hello = { say: 'hello', version: 1, pid: 42, release: '9.9' };
    for (const [says, why] of [
      ['', /says nothing for 5000 ms; stop it, then start this one/],
      ['HTTP/1.1 400\r\n\r\n', /not understood; stop it, then start this one/],
      [
        `${JSON.stringify({ ...hello, version: 2 })}\n`,
        /release 9.9\) speaks another version of the handover; stop it/,
      ],
      [`${JSON.stringify(hello)}\n`, /\(process 42, release 9.9\) does not hand over: it says nothing for 45000 ms/],
      [`${JSON.stringify(hello)}\n{"say":"go"}\n`, /not understood; stop it/],
    ] as const) {
      const other = await listenAt(path, (socket) => socket.write(says));
      await expect(startNext()).rejects.toThrow(why);
      expect(existsSync(path)).toBe(true);
      other.close();
    }
  });
});

describe('a successor that was held up when it was to take the doors', () => {
  /** An agent that does as it is scripted; what it has at the door of the Workload API answers `old`. Resolves to what it hears. */
  async function scripted(answers: Readonly<Partial<Record<Message['say'], readonly Message[]>>>): Promise<string[]> {
    await h.run((await startFirst()).stop());
    await listenAt(h.socketPath, (socket) => socket.end('old'));
    const heard: string[] = [];
    const hello: Message = { say: 'hello', version: 1, pid: 42, release: 'test' };
    const paused: Message = { say: 'paused', isReady: false, doors: [path, h.socketPath] };
    const said = { want: [paused], ...answers };
    await listenAt(path, (socket) => {
      const channel = createChannel(socket, h.clock);
      channel.send(hello);
      const hear = async () => {
        for (;;) {
          const message = await channel.next();
          if (message === undefined) return;
          heard.push(message.say);
          // Of one write each is read with the one before it.
          socket.write((said[message.say as keyof typeof said] ?? []).map(encodeMessage).join(''));
        }
      };
      void hear();
    });
    return heard;
  }
  const whoAnswers = () =>
    new Promise<string>((resolve) => {
      const socket = connect(h.socketPath);
      socket.on('data', (chunk) => resolve(chunk.toString()));
      socket.on('error', (error) => resolve(error.message));
    });
  const refused: Message = { say: 'refused', why: 'this agent goes on: it says nothing for 10000 ms' };

  it('touches none of them when the other one has gone on by then', async () => {
    const heard = await scripted({ ready: [{ say: 'go' }, refused] });
    await expect(startNext()).rejects.toThrow(/process 42.* does not hand over: this agent goes on/);
    expect(await whoAnswers()).toBe('old');
    expect(heard).toEqual(['want', 'ready', 'failed']);
  });

  it('ends, and writes nothing, when it finds out after it took them', async () => {
    const heard = await scripted({ ready: [{ say: 'go' }], taken: [refused] });
    const filesKept = () =>
      readdirSync(h.config.dataDir).flatMap((name) =>
        name.endsWith('.sock') ? [] : [[name, statSync(join(h.config.dataDir, name)).mtimeMs]],
      );
    const kept = filesKept();
    await h.pass(2_000);
    await expect(startNext()).rejects.toThrow(/process 42.* does not hand over: this agent goes on/);
    expect(heard).toEqual(['want', 'ready', 'taken']);
    expect(others.at(-1)?.status().stage).not.toBe('serving');
    expect(filesKept()).toEqual(kept);
  });

  it('serves when the other one is held up in its turn, since that will hear of it first', async () => {
    const heard = await scripted({ ready: [{ say: 'go' }] });
    const next = await startNext();
    expect(next.status().stage).toBe('serving');
    expect(heard).toEqual(['want', 'ready', 'taken']);
  });
});

describe('the private socket', () => {
  it('is the user’s alone, in a folder that is the user’s alone', async () => {
    await startFirst();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(h.config.dataDir).mode & 0o777).toBe(0o700);
    chmodSync(h.config.dataDir, 0o755);
    await expect(startNext()).rejects.toMatchObject({ code: 'ERR_PRIVATE_FILE_UNSAFE' });
    chmodSync(h.config.dataDir, 0o700);
  });

  it('that can not be had costs the handover, and nothing else', async () => {
    h.config = { ...h.config, dataDir: join(h.folder, 'd'.repeat(100)) };
    await startFirst();
    expect(h.logged('agent.handover.unavailable')).toHaveLength(1);
    await (await openSession()).say('served');
    await expect(startNext()).rejects.toMatchObject({
      code: 'ERR_AGENT_HANDOVER',
      message: expect.stringMatching(
        /another process listens on .*, and no agent on .* is there to hand over; stop it, then start/,
      ),
    });
    await (await openSession()).say('served');
  });
});

function onStart(act: () => void): Service {
  return { start: async () => act(), stop: async () => {} };
}

function listenAt(at: string, greet: (socket: Socket) => void = () => {}): Promise<Server> {
  rmSync(at, { force: true });
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    greet(socket);
  });
  return new Promise((resolve) => server.listen(at, () => resolve(server)));
}

/** What an agent leaves that was killed. */
async function leaveSocket(at: string): Promise<void> {
  const { renameSync } = await import('node:fs');
  const server = await listenAt(`${at}~`);
  renameSync(`${at}~`, at);
  await new Promise((resolve) => server.close(resolve));
}
