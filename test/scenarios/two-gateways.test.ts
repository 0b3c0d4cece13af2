/**
 * Two gateways of one target, each with its own folder, ledger and secret: while one is restarted nobody notices who comes, nor who goes by
 * himself within `gateway.drainDelay`. One that is killed takes with it what it was at, says so where that can be said, and nothing else.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { encodeCancelRequest } from '../../src/wire/postgres/index.ts';
import { eventually } from '../support/eventually.ts';
import { openDoor, openRawSession, query, type RawSession } from '../support/raw-session.ts';
import { createSecondGateway } from '../support/second-gateway.ts';
import { type Stack, type StackRole, startStack } from '../support/stack.ts';
import { agentWay, type Way } from '../support/ways.ts';

let stack: Stack;
let gateways: readonly [StackRole, StackRole];
let way: Way;
let rounds = 0;

beforeAll(async () => {
  stack = await startStack({
    seed: 'create table kept (id text); grant all on kept to shop_app;',
    // Both are on one machine, where one port can't be that of both.
    target: { listen: undefined },
    settings: { gateway: { drainDelay: `${DRAIN_DELAY_MS}ms` } },
  });
  gateways = [stack.roles.gateway, await createSecondGateway(stack)];
  way = agentWay(stack);
});
afterAll(async () => {
  await gateways?.[1].end('SIGKILL');
  await stack?.stop();
});
beforeEach(async () => {
  stack.roles.server.start();
  for (const gateway of gateways) gateway.start(); // Nothing happens to those that run.
  for (const role of [stack.roles.server, ...gateways]) await role.ready(START_MS_MAX);
  await eventually('both are told to agents', async () => (await serving()) === 2, { withinMs: START_MS_MAX });
});

/** How many gateways agents are told of. */
async function serving(): Promise<number> {
  const { stdout } = await stack.cli(['target', 'list', '--json']);
  const list: unknown = JSON.parse(stdout);
  const all = typeof list === 'object' && list !== null && 'gateways' in list ? list.gateways : [];
  return Array.isArray(all) ? all.filter((one: { state?: unknown }) => one.state === 'connected').length : 0;
}

const opened = (gateway: StackRole) => gateway.logs().split('"gateway.session.opened"').length;

/** Opens a session, and tells which gateway has it, which has not, and how long it took. */
async function openSession() {
  const before = gateways.map(opened);
  const beganMs = performance.now();
  const session = await openRawSession(way.door, { database: 'shop' });
  const tookMs = performance.now() - beganMs;
  const [one, other] = gateways;
  const isFirst = opened(one) > (before[0] ?? 0);
  return { session, holder: isFirst ? one : other, other: isFirst ? other : one, tookMs };
}

/** A session at that gateway: on a busy machine an agent may have gone to the other one. */
async function openSessionAt(gateway: StackRole): Promise<RawSession> {
  for (;;) {
    const { session, holder } = await openSession();
    if (holder === gateway) return session;
    session.close();
  }
}

/** A gateway whose port is closed costs nothing; what the machine takes for a session that nothing holds up is on top. */
const atOnceMs = (tookMs: number) => HEDGE_MS_MAX + 4 * tookMs;

async function restart(gateway: StackRole): Promise<void> {
  expect(await gateway.end('SIGTERM')).toBe(0);
  gateway.start();
  await gateway.ready(START_MS_MAX);
}

describe('while each gateway is restarted twice', () => {
  it('not one transaction fails, be it of sessions that come for it or of those that stay for some', async () => {
    const round = ++rounds;
    const load = startLoad(`restart-${round}`);
    await eventually('a good number of transactions', () => load.acknowledged.length > 20, { withinMs: START_MS_MAX });
    for (let n = 0; n < 2; n++) for (const gateway of gateways) await restart(gateway);
    await load.stop();
    expect(load.errors).toEqual([]);
    const rows = await stack.dba(`select id from kept where id like 'restart-${round}-%'`);
    expect(rows.map(({ id }) => String(id)).toSorted()).toEqual(load.acknowledged.toSorted());
    for (const gateway of gateways) expect(opened(gateway)).toBeGreaterThan(1);
  });
});

describe('a gateway that is told to stop', () => {
  it('serves the sessions that it has as if nothing were, and ends them when their time is over', async () => {
    const { session, holder, other } = await openSession();
    const stopped = holder.end('SIGTERM');
    await eventually('it leaves', () => holder.runLogs().includes('app.gateway.leaving'));
    const next = await openSession();
    expect(next.holder).toBe(other);
    next.session.close();
    session.send(query('begin'), query('select 1'), query('commit'));
    for (const tag of ['BEGIN', 'SELECT 1', 'COMMIT']) expect((await session.ready()).at(-2)).toBe(`C:${tag}`);
    expect((await holder.readiness()).reasons.join()).toContain('the gateway is stopping; it has 1 session');
    expect((await session.end()).join(' ')).toMatch(/^E:57P01:/);
    expect(await stopped).toBe(0);
  });

  it('still cancels what they do when they ask for it, though whoever asks comes by the other one', async () => {
    const { session, holder } = await openSession();
    const [, pid = '', key = ''] = session.started.find((one) => one.startsWith('K:'))?.split(':') ?? [];
    session.send(query('select pg_sleep(60)'));
    await eventually('the statement runs', async () => {
      const active = `select 1 from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'`;
      return (await stack.dba(active)).length === 1;
    });
    const stopped = holder.end('SIGTERM');
    await eventually('it leaves', () => holder.runLogs().includes('app.gateway.leaving'));
    const cancelling = await openDoor(way.door);
    cancelling.send(encodeCancelRequest(Number(pid), Buffer.from(key, 'hex')));
    await cancelling.end();
    expect((await session.ready()).at(-2)).toMatch(/^E:57014/);
    session.close();
    expect(await stopped).toBe(0);
  });

  it('does not wait any more once it is told again', async () => {
    const { session, holder } = await openSession();
    const stopped = holder.end('SIGTERM');
    await eventually('it leaves', () => holder.runLogs().includes('app.gateway.leaving'));
    const beganMs = performance.now();
    holder.signal('SIGTERM'); // The same wish: a launcher hands on what its child is told as well.
    await eventually('another is one more', () => performance.now() - beganMs > 600);
    expect(holder.exitCode).toBeUndefined();
    holder.signal('SIGTERM');
    expect((await session.end()).join(' ')).toMatch(/^E:57P01:/);
    expect(await stopped).toBe(0);
    expect(performance.now() - beganMs).toBeLessThan(DRAIN_DELAY_MS);
  });

  it('does not wait while no other one is there', async () => {
    const [one, other] = gateways;
    expect(await other.end('SIGTERM')).toBe(0);
    // Its process may be gone before the server has seen its connection end, and until then it is one to wait for.
    await eventually('the server knows of one only', async () => (await serving()) === 1, { withinMs: START_MS_MAX });
    const { session } = await openSession();
    const beganMs = performance.now();
    const stopped = one.end('SIGTERM');
    expect((await session.end()).join(' ')).toMatch(/^E:57P01:/);
    expect(performance.now() - beganMs).toBeLessThan(DRAIN_DELAY_MS);
    expect(await stopped).toBe(0);
  });

  it('does so while the server is away as well, and is passed over until that is back', async () => {
    expect(await stack.roles.server.end('SIGTERM')).toBe(0);
    const load = startLoad('without-server');
    const { session, holder, other } = await openSession();
    session.close();
    expect(await holder.end('SIGTERM')).toBe(0);
    holder.start();
    await eventually('it listens', async () => (await holder.readiness()).status === 503, { withinMs: START_MS_MAX });
    for (let n = 0; n < 3; n++) {
      const next = await openSession();
      expect(next.holder).toBe(other);
      next.session.close();
    }
    stack.roles.server.start();
    await holder.ready(START_MS_MAX);
    expect(await other.end('SIGTERM')).toBe(0);
    const last = await openSession();
    expect(last.holder).toBe(holder);
    last.session.close();
    await load.stop();
    expect(load.errors).toEqual([]);
  });
});

describe('when both are told to stop at once', () => {
  it('whoever comes meanwhile waits, and is served by the first that is back', async () => {
    const stopped = await Promise.all(gateways.map((gateway) => gateway.end('SIGTERM')));
    expect(stopped).toEqual([0, 0]);
    const waiting = way.connect();
    gateways[1].start();
    // On a busy machine a start takes longer than a client is made to wait: it connects again, as it is told to.
    const again = () => eventually('it is served', () => way.connect(), { withinMs: START_MS_MAX });
    const client = await waiting.catch(again);
    await client.end();
  });

  it('and stay away, he is told what to do', async () => {
    await Promise.all(gateways.map((gateway) => gateway.end('SIGTERM')));
    const error = await way.connect().catch((caught: pg.DatabaseError) => caught);
    expect(error).toMatchObject({ code: '08006', hint: expect.stringContaining('Connect again in a moment') });
  });
});

it('a gateway that hangs holds up the session that finds it so, for some seconds, and no other', async () => {
  const { session, holder, other, tookMs } = await openSession();
  session.close();
  holder.signal('SIGSTOP');
  try {
    const first = await openSession();
    expect(first.holder).toBe(other);
    first.session.close();
    for (let n = 0; n < 3; n++) {
      const next = await openSession();
      expect(next.holder).toBe(other);
      next.session.close();
      expect(next.tookMs).toBeLessThan(atOnceMs(tookMs));
    }
  } finally {
    holder.signal('SIGCONT');
  }
});

describe('a gateway that is killed', () => {
  it('ends its sessions with an error that says so, and whoever comes then is served by the other at once', async () => {
    const { session, holder, other, tookMs } = await openSession();
    const busy = await openSessionAt(holder);
    busy.send(query('begin'));
    await busy.ready();
    busy.send(query(`insert into kept values ('killed')`), query('select pg_sleep(60)'));
    await busy.ready();
    await holder.end('SIGKILL');
    expect((await session.end()).join(' ')).toMatch(/^E:08006:the gateway of this session is gone/);
    expect((await busy.end()).join(' ')).toMatch(/^E:08006:the gateway of this session is gone/);
    const next = await openSession();
    expect(next.holder).toBe(other);
    next.session.close();
    expect(next.tookMs).toBeLessThan(atOnceMs(tookMs));
    expect(await stack.dba(`select id from kept where id = 'killed'`)).toEqual([]);
  });

  it('fails each client once at most, and what was acknowledged is there', async () => {
    const load = startLoad('killed');
    for (const gateway of gateways) {
      await eventually('transactions', () => load.acknowledged.length > 20, { withinMs: START_MS_MAX });
      const before = load.errors.length;
      await gateway.end('SIGKILL');
      gateway.start();
      await gateway.ready(START_MS_MAX);
      expect(load.errors.length - before).toBeLessThanOrEqual(load.clients);
    }
    await load.stop();
    for (const error of load.errors)
      expect(error).toMatch(/08006|terminated unexpectedly|not queryable|ECONNRESET|EPIPE/);
    const rows = await stack.dba(`select id from kept where id like 'killed-%'`);
    expect(rows.map(({ id }) => String(id))).toEqual(expect.arrayContaining(load.acknowledged));
  });
});

/** Clients that come for one transaction, and clients that stay for some, each until it is told to stop. */
function startLoad(name: string) {
  const acknowledged: string[] = [];
  const errors: string[] = [];
  let stopped = false;
  let made = 0;
  const work = async (stayMs: number) => {
    while (!stopped) {
      try {
        const client = await way.connect();
        const untilMs = performance.now() + stayMs;
        do {
          const id = `${name}-${made++}`;
          await client.query('begin');
          await client.query('insert into kept values ($1)', [id]);
          await client.query('commit');
          acknowledged.push(id);
          await pause(BETWEEN_MS);
        } while (performance.now() < untilMs && !stopped);
        await client.end();
      } catch (error) {
        errors.push(error instanceof Error ? `${'code' in error ? error.code : ''} ${error.message}` : String(error));
      }
    }
  };
  const working = [...Array.from({ length: 3 }, () => work(0)), ...Array.from({ length: 3 }, () => work(STAY_MS))];
  return {
    ...{ acknowledged, errors, clients: working.length },
    async stop() {
      stopped = true;
      await Promise.all(working);
    },
  };
}

const START_MS_MAX = 60_000;
const DRAIN_DELAY_MS = 5_000;
/** Clients that hammer would take the machine from what they wait for. */
const BETWEEN_MS = 20;
/** Of those that stay: less than they are given by a gateway that stops. */
const STAY_MS = 1_500;
/** Less than a gateway that hangs holds up a session. */
const HEDGE_MS_MAX = 5_000;
