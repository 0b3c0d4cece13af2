/**
 * One gateway of two processes (`gateway.workers: 2`): whichever of them has a session, limits, cancellations, policies, stops and records are those of
 * one gateway; one that is killed takes its own sessions with it and nothing else, and is there again.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { encodeCancelRequest } from '../../src/wire/postgres/index.ts';
import { eventually } from '../support/eventually.ts';
import { type Door, openDoor, openRawSession, query, type RawSession } from '../support/raw-session.ts';
import { createSecondGateway } from '../support/second-gateway.ts';
import { ALLOW_ALL, type Stack, type StackRole, startStack } from '../support/stack.ts';
import { agentWay, directWay, startSvidFiles, type Way } from '../support/ways.ts';

let stack: Stack;
let gateway: StackRole;
let way: Way;
const sessions: RawSession[] = [];

beforeAll(async () => {
  stack = await startStack({
    seed: 'create table kept (id text); grant all on kept to shop_app;',
    settings: { gateway: { workers: 2, drainDelay: '2s' } },
  });
  gateway = stack.roles.gateway;
  way = agentWay(stack);
});
afterAll(() => stack?.stop());
beforeEach(async () => {
  for (const session of sessions.splice(0)) session.close();
  gateway.start(); // Nothing happens where it runs.
  await gateway.ready(START_MS_MAX);
});

/** Processes whose parent is that one. */
function childrenOf(pid: number | undefined): number[] {
  return fs.readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const stat = fs.readFileSync(`/proc/${name}/stat`, 'latin1');
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid ? [Number(name)] : [];
    } catch {
      return []; // It is gone.
    }
  });
}

/** The lines of the gateway's log with that event, since it was started last. */
function lines(event: string): Record<string, unknown>[] {
  return gateway
    .runLogs()
    .split('\n')
    .filter((line) => line.includes(`"${event}"`))
    .map((line) => JSON.parse(line));
}

/** Opens a session, and says which worker has it. */
async function openSession(door: Door = way.door) {
  const known = new Set(lines('gateway.session.opened').map(({ session }) => session));
  const session = await openRawSession(door, { database: 'shop' });
  sessions.push(session);
  const opened = lines('gateway.session.opened').filter((line) => !known.has(line['session']));
  expect(opened).toHaveLength(1);
  return { session, worker: Number(opened[0]?.['worker']) };
}

/** Opens sessions until each worker has some; one of each. */
async function oneOfEach(door?: Door) {
  const found = new Map<number, Awaited<ReturnType<typeof openSession>>>();
  for (let tries = 0; tries < TRIES_MAX && found.size < 2; tries++) {
    const opened = await openSession(door);
    found.set(opened.worker, opened);
  }
  const [one, two] = [found.get(1), found.get(2)];
  if (one === undefined || two === undefined) throw new Error('the system gave one worker nothing');
  return [one, two] as const;
}

/** The process of a worker, as the gateway's log last had it. */
const processOf = (worker: number) =>
  Number(lines('app.worker.running').findLast((line) => line['worker'] === worker)?.['pid']);

const selects = async (session: RawSession, text = 'select 1') => {
  session.send(query(text));
  return (await session.ready()).at(-2);
};

const verified = async () => {
  const { code, stdout } = await stack.cli(['ledger', 'verify', '--json'], { user: stack.users.gateway });
  const report: unknown = JSON.parse(stdout);
  const all = typeof report === 'object' && report !== null && 'ledgers' in report ? report.ledgers : [report];
  return { code, ledgers: Array.isArray(all) ? all : [] };
};

describe('sessions', () => {
  it('land on both workers, and each of them serves', async () => {
    for (const { session } of await oneOfEach()) expect(await selects(session)).toBe('C:SELECT 1');
    expect(childrenOf(gateway.pid)).toEqual(expect.arrayContaining([processOf(1), processOf(2)]));
  });

  it('come to both by the door of clients without an agent as well, and are cancelled by it', async () => {
    const { folder, daemon } = await startSvidFiles(stack);
    try {
      const { door } = directWay(stack, folder, 'postgres');
      for (const { session } of await oneOfEach(door)) {
        await sleeping(session);
        const { pid, key } = keyOf(session);
        await say(encodeCancelRequest(pid, key), door);
        expect((await session.ready()).at(-2)).toMatch(/^E:57014/);
      }
    } finally {
      await daemon.end('SIGTERM');
    }
  });

  it('are cancelled by whichever worker the request comes to, by their own key alone', async () => {
    for (const { session } of await oneOfEach()) {
      const { pid, key } = keyOf(session);
      await sleeping(session);
      const wrong = Buffer.from(key);
      wrong.writeUInt8((wrong[0] ?? 0) ^ 1);
      for (let n = 0; n < 4; n++) await say(encodeCancelRequest(pid, wrong));
      expect(session.received().includes('57014')).toBe(false);
      await say(encodeCancelRequest(pid, key));
      expect((await session.ready()).at(-2)).toMatch(/^E:57014/);
    }
  });

  it('of one identity are limited over both, exactly, and one that ends makes room for one', async () => {
    await limit('sessions=3');
    const held = [await openSession(), await openSession(), await openSession()];
    for (let n = 0; n < 6; n++) await expect(openSession()).rejects.toThrow(/53300|E:5/);
    held[0]?.session.close();
    const again = await eventually('there is room', () => openSession().catch(() => false as const));
    expect(again).not.toBe(false);
    await expect(openSession()).rejects.toThrow(/E:5/);
  });

  it('do together as many operations a minute as their permit says', async () => {
    await limit('rate=5/min');
    const both = await oneOfEach();
    const tags: (string | undefined)[] = [];
    for (let n = 0; n < 4; n++)
      for (const { session } of both) tags.push(await selects(session, 'select id from kept'));
    expect(tags.filter((tag) => tag === 'C:SELECT 0').length).toBe(5);
    expect(tags.filter((tag) => tag?.startsWith('E:53400')).length).toBe(3);
  });

  it('end on both when policy no longer allows them', async () => {
    await limit('sessions=100');
    const both = await oneOfEach();
    const other = ALLOW_ALL.replace('example.org/web', 'example.org/nobody');
    expect(await stack.apply({ 'web-all.cedar': other }, { wait: false })).toMatchObject({ code: 0 });
    for (const { session } of both) expect((await session.end()).join(' ')).toMatch(/E:/);
    await stack.apply({ 'web-all.cedar': ALLOW_ALL });
  });
});

describe('a worker that is killed', () => {
  it('takes its sessions with it, no others, is told of, and is there again', async () => {
    const [one, two] = await oneOfEach();
    const killed = processOf(2);
    process.kill(killed, 'SIGKILL');
    expect((await two.session.end()).join(' ')).toMatch(/^E:08006|^$/);
    expect(await selects(one.session)).toBe('C:SELECT 1');
    await eventually('it is told of', () => lines('app.worker.ended').some((line) => line['pid'] === killed));
    expect(lines('app.worker.ended').at(-1)).toMatchObject({ worker: 2, how: 'it was ended by SIGKILL' });
    await eventually('it runs again', () => processOf(2) !== killed, { withinMs: START_MS_MAX });
    await gateway.ready(START_MS_MAX);
    const [, again] = await oneOfEach();
    expect(await selects(again.session)).toBe('C:SELECT 1');
    expect(await selects(one.session)).toBe('C:SELECT 1');
  });

  it('is red meanwhile', async () => {
    process.kill(processOf(1), 'SIGKILL');
    const reasons = await eventually('it is red', async () => {
      const { status, reasons: told } = await gateway.readiness();
      return status === 503 && told;
    });
    expect(String(reasons)).toContain('worker 1 is not there: it was ended by SIGKILL');
  });
});

describe('a worker that hangs', () => {
  it('is ended, told of and there again; what it was at has the outcome unknown, and the others notice nothing', async () => {
    const [one, two] = await oneOfEach();
    await sleeping(two.session);
    const hung = processOf(2);
    process.kill(hung, 'SIGSTOP');
    await eventually('it is told of', () => lines('app.worker.ended').some((line) => line['pid'] === hung), {
      withinMs: 2 * START_MS_MAX,
    });
    expect(await selects(one.session)).toBe('C:SELECT 1');
    expect(lines('app.worker.hung').at(-1)).toMatchObject({ worker: 2, pid: hung, silentMs: 30_000 });
    expect(lines('app.worker.ended').at(-1)).toMatchObject({ how: 'it hung, and it was ended by SIGKILL' });
    expect((await two.session.end()).join(' ')).toMatch(/^E:08006|^$/);
    await eventually('it runs again', () => processOf(2) !== hung, { withinMs: START_MS_MAX });
    await gateway.ready(START_MS_MAX);
    expect(await selects(one.session)).toBe('C:SELECT 1');
    const user = stack.users.gateway;
    const told = await stack.cli(['ledger', 'tail', '-n', '20', '--worker', '2', '--json'], { user });
    const entries: { kind: string; operation?: string; detail: Record<string, unknown> }[] = told.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const unknown = entries.filter(({ detail }) => detail['status'] === 'unknown');
    expect(unknown, told.stdout).toHaveLength(1);
    expect(entries.findLast(({ kind }) => kind === 'ledger')?.detail).toMatchObject({ unknownOutcomes: 1 });
    expect(await verified()).toMatchObject({ code: 0, ledgers: [{ ok: true }, { ok: true }] });
  });
});

it('/metrics has the figures of each, by its name', async () => {
  await oneOfEach();
  const text = await (await fetch(`http://${stack.folder.http.gateway}/metrics`)).text();
  for (const worker of [1, 2])
    expect(text).toMatch(new RegExp(`^countersign_gateway_sessions\\{worker="${worker}"\\} [1-9]`, 'm'));
  expect(text).toMatch(/^countersign_gateway_workers\{worker="parent"\} 2$/m);
});

describe('another gateway of this user on this machine', () => {
  it('does not share a door for direct clients: its target is served to agents, and it says why', async () => {
    const second = await createSecondGateway(stack);
    second.start();
    try {
      const line = await eventually('it says so', () =>
        second
          .runLogs()
          .split('\n')
          .find((one) => one.includes('gateway.target.door_failed')),
      );
      expect(line).toContain(`port ${stack.folder.directPort}: address already in use; `);
      expect(line).toContain('by a gateway for its workers');
      await second.ready(START_MS_MAX);
    } finally {
      await second.end('SIGTERM');
    }
  });

  it('that starts at the same moment on the same port does not start', async () => {
    const { listen } = parse(fs.readFileSync(stack.folder.config, 'utf8')).gateway;
    const second = await createSecondGateway(stack, { name: 'gateway-3', settings: { listen } });
    await gateway.end('SIGTERM');
    const both = [gateway, second] as const;
    for (const one of both) one.start();
    const refused = await eventually('one is refused', () =>
      both.find((one) => one.runLogs().includes('ERR_GATEWAY_LISTEN')),
    );
    expect(refused.runLogs()).not.toContain('app.worker.running');
    await refused.end('SIGKILL');
    await (refused === gateway ? second : gateway).ready(START_MS_MAX);
    await second.end('SIGTERM');
  });
});

describe('the whole gateway', () => {
  it('that is told to stop lets both finish, ends both, and leaves no process', async () => {
    const pids = childrenOf(gateway.pid);
    expect(pids).toHaveLength(2);
    const both = await oneOfEach();
    for (const { session } of both) {
      session.send(query('begin'));
      await session.ready();
    }
    const stopped = gateway.end('SIGTERM');
    for (const { session } of both) {
      expect(await selects(session)).toBe('C:SELECT 1');
      session.send(query('commit'));
      await session.ready();
      expect((await session.end()).join(' ')).toMatch(/^E:57P01:/);
    }
    expect(await stopped).toBe(0);
    for (const pid of pids) expect(fs.existsSync(`/proc/${pid}`)).toBe(false);
  });

  it('that is killed leaves no process either', async () => {
    const pids = childrenOf(gateway.pid);
    await gateway.end('SIGKILL');
    await eventually('they are gone', () => pids.every((pid) => !fs.existsSync(`/proc/${pid}`)));
  });

  it('has a ledger for each, and all of them are whole, also as one process and as two again', async () => {
    await oneOfEach();
    expect(await verified()).toMatchObject({ code: 0, ledgers: [{ ok: true }, { ok: true }] });
    const settings = fs.readFileSync(stack.folder.config, 'utf8');
    for (const [workers, ledgers] of [
      ['1', 2],
      ['2', 2],
    ] as const) {
      await gateway.end('SIGTERM');
      fs.writeFileSync(stack.folder.config, settings.replace(/workers: \d/, `workers: ${workers}`));
      gateway.start();
      await gateway.ready(START_MS_MAX);
      expect(await selects(await eventually('it serves', () => openRawSession(way.door, { database: 'shop' })))).toBe(
        'C:SELECT 1',
      );
      const report = await verified();
      expect(report).toMatchObject({ code: 0 });
      expect(report.ledgers.map(({ ok }) => ok)).toEqual(Array.from({ length: ledgers }, () => true));
    }
    const { stdout } = await stack.cli(['ledger', 'search', '--kind', 'open', '--json'], { user: stack.users.gateway });
    const workers = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)['worker']);
    expect(new Set(workers)).toEqual(new Set([1, 2]));
    const user = stack.users.gateway;
    const newest = (await stack.cli(['ledger', 'tail', '-n', '5', '--json'], { user })).stdout.trim().split('\n');
    const times = newest.map((line) => JSON.parse(line)['timeMs']);
    expect(times).toHaveLength(5);
    expect(times).toEqual(times.toSorted());
    const copy = path.join(stack.folder.privateFolder('copies', user), 'copy');
    expect(await stack.cli(['ledger', 'backup', copy], { user })).toMatchObject({ code: 0 });
    const checked = await stack.cli(['ledger', 'verify', '--dir', copy], { user });
    expect(checked).toMatchObject({ code: 0, stdout: expect.stringMatching(/gateway-1 is whole.*worker-2 is whole/s) });
    const shown = await stack.cli(['ledger', 'show', '0', '--worker', '2', '--json'], { user });
    expect(JSON.parse(shown.stdout)).toMatchObject({ seq: 0, kind: 'ledger' });
    expect(fs.existsSync(path.join(stack.folder.data.gateway, 'workers/2/ledger.vkey'))).toBe(true);
  });
});

/** Lets `web` do all that it may within that limit. */
async function limit(text: string): Promise<void> {
  await stack.apply({ 'web-all.cedar': ALLOW_ALL.replace('permit', `@limit("${text}")\npermit`) });
  const revision = () => lines('app.gateway.updated').map((line) => line['revision']);
  await eventually('both have it', () => {
    const newest = Math.max(...revision().map(Number));
    return lines('app.gateway.updated').filter((line) => line['revision'] === newest).length >= 2;
  });
}

function keyOf(session: RawSession): { pid: number; key: Buffer } {
  const started = 'started' in session && Array.isArray(session.started) ? session.started.map(String) : [];
  const [, pid = '', key = ''] = started.find((one) => one.startsWith('K:'))?.split(':') ?? [];
  return { pid: Number(pid), key: Buffer.from(key, 'hex') };
}

/** Has it do something that does not end by itself, and waits until it is at it. */
async function sleeping(session: RawSession): Promise<void> {
  session.send(query('select pg_sleep(60)'));
  await eventually('the statement runs', async () => {
    const active = `select 1 from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'`;
    return (await stack.dba(active)).length === 1;
  });
}

async function say(bytes: Buffer, to: Door = way.door): Promise<void> {
  const door = await openDoor(to);
  door.send(bytes);
  await door.end();
}

const START_MS_MAX = 120_000;
/** Each lands on one or the other by chance. */
const TRIES_MAX = 30;
