import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startPostgres } from '../../../test/support/postgres.ts';
import { openTestStore } from '../../../test/support/store.ts';
import { createManualClock, createSilentLog, createSystemClock } from '../../std/index.ts';
import { member as postgresEngine } from '../../store/engines/postgres/index.ts';
import { createIdempotency, type KeptAnswer, restMigrations } from './idempotency.ts';

// Goal: with one key an act is done once, by whichever server of one store, also where one of them ends in the middle.

let opened: Awaited<ReturnType<typeof openTestStore>>;
const clock = createManualClock(1_800_000_000_000);
beforeEach(async () => {
  opened = await openTestStore(restMigrations, { clock, log: createSilentLog() });
});
afterEach(() => opened.close());

class Refused extends Error {}
const server = () => createIdempotency({ store: opened.store, clock, isRefusal: (error) => error instanceof Refused });
const request = { caller: 'unix:uid:0', key: 'k', asked: 'apply a' };
const answer = (body = 'done'): KeptAnswer => ({ status: 200, tag: 'r1', body });

describe('of two servers', () => {
  it('one does it, and the other says so, until it knows the answer', async () => {
    const [one, two] = [server(), server()];
    let finish = (_: KeptAnswer) => {};
    const act = () => new Promise<KeptAnswer>((resolve) => (finish = resolve));
    const first = one.once(request, act);
    await expect
      .poll(() => two.once(request, fail).catch((error: { code: string }) => error.code))
      .toBe('ERR_REST_KEY_IN_USE');
    finish(answer());
    expect(await first).toEqual({ ...answer(), isRepeated: false });
    expect(await two.once(request, fail)).toEqual({ ...answer(), isRepeated: true });
  });

  it('one that ends in the middle leaves the key taken: nobody knows what it did', async () => {
    void server().once(request, () => new Promise(() => {}));
    const [two] = [server()];
    await expect
      .poll(() => two.once(request, fail).catch((error: { code: string }) => error.code))
      .toBe('ERR_REST_KEY_IN_USE');
    clock.step(23 * 3_600_000);
    await expect(two.once(request, fail)).rejects.toMatchObject({ code: 'ERR_REST_KEY_IN_USE' });
    clock.step(2 * 3_600_000);
    expect(await two.once(request, async () => answer())).toMatchObject({ isRepeated: false });
  });
});

describe('a key', () => {
  it('is a caller’s own', async () => {
    await server().once(request, async () => answer('mine'));
    const other = { ...request, caller: 'spiffe://example.org/ops', asked: 'apply b' };
    expect(await server().once(other, async () => answer('theirs'))).toMatchObject({
      body: 'theirs',
      isRepeated: false,
    });
  });

  it('goes with one request, whose words are not kept', async () => {
    await server().once({ ...request, asked: 'hunter2' }, async () => answer());
    await expect(server().once(request, fail)).rejects.toMatchObject({ code: 'ERR_REST_KEY_REUSED' });
    const rows = await opened.store.db<{ rest_keys: object }>().selectFrom('rest_keys').selectAll().execute();
    expect(JSON.stringify(rows)).not.toContain('hunter2');
    expect(rows).toHaveLength(1);
  });

  it('is free again after a refusal, and not after a failure', async () => {
    const refuse = () => Promise.reject(new Refused('no'));
    await expect(server().once(request, refuse)).rejects.toThrow('no');
    const broken = () => Promise.reject(new Error('the connection was lost at the commit'));
    await expect(server().once(request, broken)).rejects.toThrow('lost');
    await expect(server().once(request, fail)).rejects.toMatchObject({ code: 'ERR_REST_KEY_IN_USE' });
  });

  it('keeps of a long answer what tells whether another one is the same', async () => {
    const long = answer('x'.repeat(65_537));
    await server().once(request, async () => long);
    const again = await server().once(request, fail);
    expect(again).toMatchObject({ status: 200, tag: 'r1', isRepeated: true });
    expect(JSON.parse(again.body)).toEqual({ answerSha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
    const exact = answer('x'.repeat(65_536));
    await server().once({ ...request, key: 'k2' }, async () => exact);
    expect((await server().once({ ...request, key: 'k2' }, fail)).body).toBe(exact.body);
  });
});

it('holds over two servers on one PostgreSQL, of which many are asked at once', async () => {
  const postgres = await startPostgres();
  process.env['CS_REST_TEST_URL'] = postgres.url;
  const log = createSilentLog();
  const open = () => postgresEngine.open({ url: 'env:CS_REST_TEST_URL' }, { clock: createSystemClock(), log });
  const stores = await Promise.all([open(), open()]);
  try {
    for (const store of stores) await store.start(new AbortController().signal);
    for (const store of stores) await store.migrate(restMigrations);
    const servers = stores.map((store) => createIdempotency({ store, clock, isRefusal: () => false }));
    let done = 0;
    const act = async () => answer(`done ${++done}`);
    const asked = Array.from({ length: 20 }, (_, n) => servers[n % 2]?.once(request, act));
    const ended = await Promise.allSettled(asked);
    expect(done).toBe(1);
    for (const one of ended)
      if (one.status === 'fulfilled') expect(one.value?.body).toBe('done 1');
      else expect(one.reason).toMatchObject({ code: 'ERR_REST_KEY_IN_USE' });
    for (const one of servers)
      expect(await one.once(request, fail)).toMatchObject({ body: 'done 1', isRepeated: true });
  } finally {
    for (const store of stores) await store.stop();
    await postgres.stop();
  }
});

function fail(): Promise<KeptAnswer> {
  throw new Error('it was done before');
}
