// A database may end a connection at any moment, in any way, in one piece with whatever it was saying: no such goodbye may end the process, and
// the next statement is served by a new connection. Here: every byte of a connection's life by hand (GOODBYE=all), some of them always.
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Cut, type CuttingProxy, startCuttingProxy, TERMINATING } from '../../../../test/support/cutting-proxy.ts';
import { eventually } from '../../../../test/support/eventually.ts';
import { startPostgres, type TestPostgres } from '../../../../test/support/postgres.ts';
import { codeOf, createSilentLog, createSystemClock, type Service } from '../../../std/index.ts';
import type { Store } from '../../store.ts';
import { member } from './index.ts';

type Said = ReturnType<CuttingProxy['said']>;
type Way = Omit<Cut, 'afterBytes'>;
const WAYS: Readonly<Record<string, Way>> = {
  'an end after so many of its bytes': { from: 'server', how: 'end' },
  'a reset after so many of its bytes': { from: 'server', how: 'reset' },
  'a FATAL in one piece with its bytes': { from: 'server', how: 'end', lastWords: TERMINATING },
  'a FATAL in a piece of its own': { from: 'server', how: 'end', lastWords: TERMINATING, isSplit: true },
  'a FATAL and a reset in one piece with its bytes': { from: 'server', how: 'reset', lastWords: TERMINATING },
  'an end after so many of ours': { from: 'client', how: 'end' },
  'a FATAL after so many of ours': { from: 'client', how: 'end', lastWords: TERMINATING },
};

const isWhole = process.env['GOODBYE'] === 'all';
const URL_VARIABLE = 'CS_GOODBYE_TEST_URL';
const opened: Service[] = [];
let postgres: TestPostgres;
let proxy: CuttingProxy;
/** What is said on a connection that works, and on one that listens. */
let working: Said;
let listening: Said;

beforeAll(async () => {
  postgres = await startPostgres();
  proxy = await startCuttingProxy(() => ({ host: '127.0.0.1', port: postgres.port }));
  process.env[URL_VARIABLE] = postgres.url.replace(`:${postgres.port}/`, `:${proxy.port}/`);
  const store = await open();
  for (let n = 0; n < 2; n++) await work(store);
  working = proxy.said(0);
  listening = proxy.said(1);
  await store.stop();
});
afterAll(async () => {
  await proxy.close();
  await postgres.stop();
});
afterEach(async () => {
  proxy.plan = () => undefined;
  for (const service of opened.splice(0)) await service.stop();
});

async function open(): Promise<Store & Service> {
  const store = await create();
  await store.start(new AbortController().signal);
  return store;
}

async function create(): Promise<Store & Service> {
  const config = { url: `env:${URL_VARIABLE}`, connectionsMax: 2 };
  const store = await member.open(config, { clock: createSystemClock(), log: createSilentLog() });
  opened.push(store);
  return store;
}

/** A statement, and a transaction that notifies. */
async function work(store: Store): Promise<void> {
  await sql`select 'one' as name, 2 as number`.execute(store.db());
  await store.transaction(async (trx, effects) => {
    await sql`select 3 as number`.execute(trx);
    effects.notify('news', 'some');
  });
}

/** Every byte, or the ends of messages and a few bytes within them. */
function offsets(said: Said, { from }: Way): number[] {
  const bytes = said[from];
  const all = Array.from({ length: bytes.length + 1 }, (_, n) => n);
  if (isWhole) return all;
  const ends = from === 'server' ? messageEnds(bytes) : [];
  // Those of the settings, of which there are many, once.
  const chosen = new Set([0, 1, bytes.length, ...ends.filter((_, n) => bytes[ends[n - 1] ?? 0] !== PARAMETER_STATUS)]);
  return all.filter((n) => chosen.has(n) || n % 211 === 0);
}

function messageEnds(bytes: Buffer): number[] {
  const ends: number[] = [];
  for (let at = 0; at + 5 <= bytes.length; ) {
    at += 1 + bytes.readUInt32BE(at + 1);
    ends.push(at);
  }
  return ends;
}

const PARAMETER_STATUS = 0x53;
const READY_FOR_QUERY = 0x5a;
/** Where the login is over. */
function loginEnd(said: Said): number {
  const ends = messageEnds(said.server);
  return ends.find((_, n) => said.server[ends[n - 1] ?? 0] === READY_FOR_QUERY) ?? 0;
}

/** Ends the connections of the store but the one that listens. */
const ENDS_OTHERS = `select pg_terminate_backend(pid) from pg_stat_activity
  where application_name = 'countersign' and query not like 'listen %'`;

const failedAsItShould = (error: unknown) => expect(codeOf(error)).toMatch(/^ERR_STORE_(UNAVAILABLE|TIMEOUT)$/);

describe.each(Object.entries(WAYS))('a database that says goodbye by %s', (_name, way) => {
  it('costs the statements of that connection, at whatever byte, and the next are served', async () => {
    const store = await open();
    await postgres.query(ENDS_OTHERS);
    for (const afterBytes of offsets(working, way)) {
      // One after the other, so that each finds no connection there and makes one.
      const { cuts } = proxy;
      proxy.plan = () => ({ ...way, afterBytes });
      for (let tries = 0; proxy.cuts === cuts && tries < 5; tries++) await work(store).catch(failedAsItShould);
      expect(proxy.cuts).toBeGreaterThan(cuts);
    }
    proxy.plan = () => undefined;
    await eventually('the next is served', () => work(store).then(() => true));
  });

  it('while the store starts fails that start, or costs what was being listened to, and the next start works', async () => {
    for (const afterBytes of offsets(listening, way)) {
      const { connections } = proxy;
      proxy.plan = (n) => (n === connections + 1 ? { ...way, afterBytes } : undefined);
      const store = await create();
      await store.start(new AbortController().signal).then(() => work(store), failedAsItShould);
      await store.stop();
    }
    await work(await open());
  });
});

describe('a store that is stopped', () => {
  it('while its listener connects again ends at once', async () => {
    const store = await open();
    const { connections } = proxy;
    // Connected, and never answered.
    proxy.plan = (n) => (n >= connections ? { from: 'client', afterBytes: 1, how: 'silence' } : undefined);
    await postgres.query(`select pg_terminate_backend(pid) from pg_stat_activity where query like 'listen %'`);
    await eventually('the listener connects', () => proxy.connections > connections);
    await store.stop();
  });

  it('while its database is silent ends all the same', async () => {
    proxy.plan = () => ({ from: 'client', afterBytes: working.client.length, how: 'silence' });
    const store = await open();
    await work(store);
    await store.stop();
  });
});

describe('bytes that are no message', () => {
  it.each([
    ['a length below its own', Buffer.from([0x5a, 0, 0, 0, 3, 0x49])],
    ['a length beyond all bounds', Buffer.from([0x44, 0xff, 0xff, 0xff, 0xff])],
    ['fields longer than their message', Buffer.from([0x54, 0, 0, 0, 6, 0x7f, 0xff])],
    ['an error without an end', Buffer.from([0x45, 0, 0, 0, 6, 0x53, 0x46])],
    ['an error whose last field has no end', Buffer.from([0x45, 0, 0, 0, 7, 0x53, 0x46, 0])],
    ['a notice without an end', Buffer.from([0x4e, 0, 0, 0, 5, 0x53])],
    ['an unknown type', Buffer.from([0x01, 0, 0, 0, 4])],
  ])('end the connection, and no more: %s', async (_name, lastWords) => {
    const store = await open();
    await postgres.query(ENDS_OTHERS);
    for (const afterBytes of [0, loginEnd(working), loginEnd(working) + 30]) {
      const { cuts } = proxy;
      proxy.plan = () => ({ from: 'server', afterBytes, how: 'end', lastWords });
      for (let tries = 0; proxy.cuts === cuts && tries < 5; tries++) await work(store).catch(failedAsItShould);
    }
    proxy.plan = () => undefined;
    await eventually('the next is served', () => work(store).then(() => true));
  });
});
