import { generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { openTestStore, type TestStore } from '../../../test/support/store.ts';
import { createManualClock, createSilentLog, createSystemRandom, type ManualClock } from '../../std/index.ts';
import {
  createRecords,
  createWitness,
  type RecordFilter,
  type Records,
  recordsLaterMigrations,
  recordsMigrations,
  retentionMigrations,
} from '../index.ts';
import type { RecordsTables } from '../migrations.ts';
import { testEntry } from '../testing/log-fixture.ts';
import { readMark } from './marks.ts';

// Goal: whoever follows is told of each entry once, however many logs there are, whichever server they come to and however many follow beside them.

const LOGS = 5000;
let test: TestStore;
let clock: ManualClock;
beforeEach(async () => {
  test = await openTestStore([...recordsMigrations, ...recordsLaterMigrations, ...retentionMigrations]);
  clock = createManualClock(1_700_000_000_000);
});
afterEach(() => test.close());

/** A server on the store. */
function serverOn(): Records {
  const witness = createWitness('w', generateKeyPairSync('ed25519').privateKey);
  const deps = { store: test.store, clock, random: createSystemRandom(), log: createSilentLog(), witness };
  return createRecords({ ...deps, write: async () => {}, silenceMs: 1 });
}

const db = () => test.store.db<RecordsTables>();

/** Logs as their shippers leave them, with so many entries each. */
async function fill(logs: number, entries: number): Promise<void> {
  for (let first = 1; first <= logs; first += 500) {
    const ids = Array.from({ length: 500 }, (_, n) => first + n).filter((id) => id <= logs);
    await db()
      .insertInto('records_logs')
      .values(ids.map(logRow))
      .onConflict((one) => one.doNothing())
      .execute();
    for (let position = 0; position < entries; position++)
      await db()
        .insertInto('records_entries')
        .values(ids.map((log) => ({ log, position, entry: testEntry(position, { target: `t${log}` }) })))
        .onConflict((one) => one.doNothing())
        .execute();
    await db().updateTable('records_logs').set({ signed_size: entries }).where('id', 'in', ids).execute();
  }
}

const logRow = (id: number) => ({
  ...{ id, origin: `gateway-${id}`, generation: 1, owner: 'spiffe://x/g', verifier_key: '', size: 0 },
  ...{ edge: Buffer.alloc(0), signed_size: 0, signed_edge: Buffer.alloc(0), checkpoint: null },
  ...{ begun_ms: 0, heard_ms: 0, ended: 0, closed: 0, notices: 0 },
  ...{ alarm: null, alarm_found: null, alarm_position: null, alarm_ms: null, evidence: null },
});

/** Somebody who follows, and what they were told. */
async function follower(server: Records, filter: RecordFilter = {}, after?: string) {
  const leaving = new AbortController();
  const stands: string[] = [];
  const told: { id: string; cursor: string; record: object }[] = [];
  const entries = await server.follow(filter, { after, signal: leaving.signal });
  const done = (async () => {
    for await (const { record, cursor } of entries) {
      stands.push(cursor);
      if (record !== undefined) told.push({ id: `${record.log}/${record.position}`, cursor, record });
    }
  })();
  return {
    ...{ told, stands },
    ids: () => told.map(({ id }) => id),
    leave: async () => {
      leaving.abort();
      await done;
    },
    /** Until so many were told, while time goes on. */
    until: (count: number) =>
      eventually(`${count} are told`, async () => {
        await clock.advance(500);
        return told.length >= count;
      }),
  };
}

describe('a cursor over 5,000 logs', () => {
  it('is a header’s worth, and leads on at another server from any entry, also when it is cut off on the way', async () => {
    await fill(LOGS, 1);
    const one = await follower(serverOn());
    await fill(LOGS, 2);
    await one.until(LOGS);
    await one.leave();
    expect(new Set(one.ids()).size).toBe(LOGS);
    expect(Math.max(...one.told.map(({ cursor }) => cursor.length))).toBeLessThanOrEqual(128);

    const all = Array.from({ length: LOGS }, (_, n) => [`${n + 1}/1`, `${n + 1}/2`]).flat();
    await fill(LOGS, 3);
    let seen = one.ids().slice(0, 2345);
    let cursor = one.told[2344]?.cursor;
    for (const count of [1000, 3000, 2 * LOGS - 2345 - 4000]) {
      const next = await follower(serverOn(), {}, cursor);
      await next.until(count);
      await next.leave();
      seen = [...seen, ...next.ids().slice(0, count)];
      cursor = next.told[count - 1]?.cursor;
    }
    expect(seen.toSorted()).toEqual(all.toSorted());
  });
});

describe('those who follow', () => {
  it('are told from one reading, each what its filter says', async () => {
    await fill(20, 1);
    const server = serverOn();
    const all = await Promise.all(Array.from({ length: 10 }, () => follower(server)));
    const one = await follower(server, { target: 't7' });
    const ofLog = await follower(server, { log: 9 });
    await fill(20, 5);
    await all[0]?.until(80);
    await eventually('all are told', () => all.every(({ told }) => told.length === 80) && ofLog.told.length === 4);
    expect(one.ids()).toEqual(['7/1', '7/2', '7/3', '7/4']);
    expect(ofLog.ids()).toEqual(['9/1', '9/2', '9/3', '9/4']);
    // The very same object: its text is made once for all of them.
    for (const other of all) expect(other.told[0]?.record).toBe(all[0]?.told[0]?.record);
    for (const each of [...all, one, ofLog]) await each.leave();
    const marks = await db().selectFrom('records_marks').selectAll().execute();
    await clock.advance(10_000);
    await fill(20, 6);
    await clock.advance(10_000);
    expect(await db().selectFrom('records_marks').selectAll().execute()).toHaveLength(marks.length);
  });

  it('are refused with a cursor that nobody was given, one that was changed, and one that is over a day old', async () => {
    await fill(2, 1);
    const server = serverOn();
    const one = await follower(server);
    await fill(2, 3);
    await one.until(4);
    await one.leave();
    const [first] = one.told;
    const cursor = first?.cursor ?? '';
    const { signal } = new AbortController();
    for (const wrong of ['', '1.3', cursor.replace(/\.\d+$/, '.9'), cursor.replace(/\.\d+$/, '.0'), `${cursor}0`])
      await expect(server.follow({}, { after: wrong, signal }), wrong).rejects.toMatchObject({
        code: 'ERR_RECORDS_REQUEST',
      });
    await clock.advance(25 * 3_600_000);
    const later = await follower(serverOn());
    await later.leave();
    await expect(server.follow({}, { after: cursor, signal })).rejects.toMatchObject({ code: 'ERR_RECORDS_REQUEST' });
  });

  it('lose nothing where they are cut off before anything came, and know where they stand when nothing comes for a day', async () => {
    await fill(2, 1);
    const one = await follower(serverOn());
    const quiet = await follower(serverOn(), { target: 'none' });
    await eventually('they know where they stand', () => one.stands.length === 1 && quiet.stands.length === 1);
    await one.leave();
    await fill(2, 2);
    const again = await follower(serverOn(), {}, one.stands[0]);
    await again.until(2);
    expect(again.ids()).toEqual(['1/1', '2/1']);
    await again.leave();
    await clock.advance(700_000);
    await fill(2, 3);
    await eventually('it is told how far', async () => {
      await clock.advance(500);
      return quiet.stands.length > 1;
    });
    expect(quiet.told).toEqual([]);
    await quiet.leave();
  });

  it('have marks that are read as they were written, over hundreds of them', async () => {
    await fill(3, 1);
    const server = serverOn();
    const one = await follower(server);
    for (let n = 2; n < 130; n++) {
      await fill(3, n);
      await one.until(3 * (n - 1));
    }
    const last = one.told.at(-1)?.cursor.split('-')[1] ?? '';
    expect((await readMark(test.store, last)).sizes).toEqual(new Map([1, 2, 3].map((log) => [log, 129])));
    await one.leave();
  });
});
