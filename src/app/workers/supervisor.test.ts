import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Value } from 'typebox/value';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configSchema, type GatewayConfig } from '../../config/index.ts';
import { createManualClock, createSilentLog, createSystemRandom, type ManualClock } from '../../std/index.ts';
import type { Role } from '../role.ts';
import type { ToParent, ToWorker } from './messages.ts';
import { createGatewaySupervisor } from './supervisor.ts';

// Goal: the parent tells each worker what it is, and has them act as one; what can't be one gateway is refused before it begins.

let dataDir: string;
let clock: ManualClock;
let workers: { sent: ToWorker[]; say(message: ToParent): void; end(): void }[];
let port: number;
const roles: Role[] = [];

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'cs-workers-'));
  clock = createManualClock(0);
  workers = [];
  const server = await listen(0);
  const address = server.address();
  port = typeof address === 'object' && address !== null ? address.port : 0;
  await new Promise((resolve) => server.close(resolve));
});
afterEach(async () => {
  const stopped = Promise.all(roles.splice(0).map((role) => role.stop()));
  for (const worker of workers) worker.end();
  await stopped;
  rmSync(dataDir, { recursive: true, force: true });
});

function listen(at: number): Promise<Server> {
  const server = createServer();
  return new Promise((resolve) => server.listen(at, '127.0.0.1', () => resolve(server)));
}

function supervisor(settings: object = {}, platform = 'linux'): Role {
  const given = { listen: `127.0.0.1:${port}`, workers: 3, dataDir, ...settings };
  const filled: unknown = Value.Default(configSchema({}), { trustDomain: 'example.org', gateway: given });
  const { gateway } = filled as { gateway: GatewayConfig }; // The schema's own shape.
  const role = createGatewaySupervisor({
    ...{ trustDomain: 'example.org', config: gateway, env: {}, clock, log: createSilentLog(), platform },
    ...{ random: createSystemRandom(), logLevel: 'info' },
    startWorker() {
      let [say, end]: [(message: ToParent) => void, (how: string) => void] = [() => {}, () => {}];
      const worker = { sent: [] as ToWorker[], say: (message: ToParent) => say(message), end: () => end('it ended') };
      workers.push(worker);
      return {
        pid: 7,
        send(message) {
          worker.sent.push(message);
          if (message.kind === 'begin') queueMicrotask(() => say({ kind: 'running' }));
        },
        hear(listener) {
          say = listener;
        },
        ended(listener) {
          end = listener;
        },
        look: () => undefined,
        kill() {},
      };
    },
  });
  roles.push(role);
  return role;
}

const never = new AbortController().signal;
const sentTo = (kind: ToWorker['kind']) =>
  workers.map(({ sent }) => sent.filter((message) => message.kind === kind).length);

describe('what can not be one gateway is refused', () => {
  it('where each worker would get a port of its own', () => {
    expect(() => supervisor({ listen: '127.0.0.1:0' })).toThrow(/workers is 3.*give gateway.listen a port/);
  });

  it('where no door can be shared', () => {
    expect(() => supervisor({}, 'darwin')).toThrow(/on Linux alone: set it to 1/);
  });

  it('where somebody has the port already', async () => {
    const other = await listen(port);
    await expect(supervisor().start(never)).rejects.toMatchObject({ code: 'ERR_GATEWAY_LISTEN' });
    expect(workers).toEqual([]);
    await new Promise((resolve) => other.close(resolve));
  });
});

describe('of two that start at once', () => {
  /** Each is `supervisor`, of its own data folder and port. */
  const both = (one: object, two: object) =>
    Promise.allSettled([supervisor(one), supervisor(two)].map((role) => role.start(never)));

  it('at one port the second is refused, also while no worker listens yet, and has started none', async () => {
    const elsewhere = join(dataDir, 'other');
    mkdirSync(elsewhere, { mode: 0o700 });
    const [one, two] = await both({}, { dataDir: elsewhere });
    expect([one?.status, two]).toMatchObject([
      'fulfilled',
      {
        reason: {
          code: 'ERR_GATEWAY_LISTEN',
          message: expect.stringMatching(/in use; .*by a gateway for its workers/),
        },
      },
    ]);
    expect(workers).toHaveLength(3);
    // None of these listens.
    await expect(supervisor({ dataDir: elsewhere }).start(never)).rejects.toMatchObject({ code: 'ERR_GATEWAY_LISTEN' });
  });

  it('with one data folder the second is refused, and has started none', async () => {
    const [one, two] = await both({}, { listen: '127.0.0.1:1' });
    expect([one?.status, two]).toMatchObject([
      'fulfilled',
      { reason: { code: 'ERR_LEDGER_LOCKED', message: expect.stringContaining(`data folder ${dataDir}; stop it`) } },
    ]);
    expect(workers).toHaveLength(3);
  });

  it('the next has both once the first has stopped', async () => {
    const first = supervisor();
    await first.start(never);
    const stopped = first.stop();
    for (const worker of workers) worker.end();
    await stopped;
    await supervisor().start(never);
    expect(workers).toHaveLength(6);
  });
});

describe('workers', () => {
  it('are told which they are, and once that a key is new', async () => {
    const role = supervisor();
    await role.start(never);
    const parts = () =>
      workers.flatMap(({ sent }) =>
        sent.flatMap((message) =>
          message.kind === 'begin' ? [[message.part.number, message.part.of, message.part.digestKeyIsNew]] : [],
        ),
      );
    expect(parts()).toEqual([
      [1, 3, true],
      [2, 3, true],
      [3, 3, true],
    ]);
    workers[1]?.end();
    expect(role.notReady()).toEqual(['worker 2 is not there: it ended']);
    await clock.advance(500);
    expect(parts().at(-1)).toEqual([2, 3, false]);
    expect(role.notReady()).toEqual([]);
  });

  it('hear each other’s words, and not their own', async () => {
    await supervisor().start(never);
    const word = { target: 'shop', identity: 'spiffe://example.org/web', bytes: 'AA==' };
    workers[1]?.say({ kind: 'word', word });
    expect(sentTo('word')).toEqual([1, 0, 1]);
  });

  it('that say nothing are sent no words, which would pile up, until they say something', async () => {
    await supervisor().start(never);
    const word = { target: 'shop', identity: 'spiffe://example.org/web', bytes: 'AA==' };
    await clock.advance(10_000);
    workers[0]?.say({ kind: 'health', findings: [] });
    workers[1]?.say({ kind: 'word', word });
    expect(sentTo('word')).toEqual([1, 0, 0]);
    workers[2]?.say({ kind: 'health', findings: [] });
    workers[1]?.say({ kind: 'word', word });
    expect(sentTo('word')).toEqual([2, 0, 1]);
  });

  it('count together', async () => {
    await supervisor({ sessionsMax: 2 }).start(never);
    const replies = () =>
      workers.flatMap(({ sent }) => sent.flatMap((one) => (one.kind === 'reply' ? [one.reply] : [])));
    const ask = (at: number, id: number, identity: string) =>
      workers[at]?.say({ kind: 'ask', id, ask: { what: 'session', identity } });
    for (const at of [0, 1, 2]) ask(at, 1, `spiffe://example.org/${at}`);
    expect(replies()).toMatchObject([{ entered: true }, { entered: true }, { refused: { code: 'limit' } }]);
    workers[0]?.end();
    ask(2, 2, 'spiffe://example.org/2');
    expect(replies().at(-1)).toEqual({ entered: true });
  });

  it('that leave are told how many others serve once the last has heard, or one has not', async () => {
    const role = supervisor();
    await role.start(never);
    const others = () => workers.map(({ sent }) => sent.flatMap((one) => (one.kind === 'others' ? [one.others] : [])));
    workers[0]?.say({ kind: 'left', others: 2 });
    workers[1]?.say({ kind: 'left', others: 1 });
    expect(others()).toEqual([[], [], []]);
    workers[2]?.say({ kind: 'left', others: 2 });
    expect(others()).toEqual([[1], [1], [1]]);
    workers[2]?.say({ kind: 'left', others: null });
    expect(others().at(0)?.at(-1)).toBeNull();
  });

  it('are all asked to stop, and waited for', async () => {
    const role = supervisor();
    await role.start(never);
    const stopped = role.stop();
    await Promise.resolve();
    expect(sentTo('stop')).toEqual([1, 1, 1]);
    let isOver = false;
    void stopped.then(() => {
      isOver = true;
    });
    for (const worker of workers.slice(1)) worker.end();
    await clock.advance(1);
    expect(isOver).toBe(false);
    workers[0]?.end();
    await stopped;
  });
});
