import { parseSpiffeId, parseTrustDomain } from '@countersign/sdk/identity';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../../test/support/postgres.ts';
import { type Entry, formatSelector } from '../model/index.ts';
import { createSeededRandom, createSilentLog, createSystemClock, type Service } from '../std/index.ts';
import { member as postgresEngine } from '../store/engines/postgres/index.ts';
import type { Store } from '../store/index.ts';
import {
  createRegistration,
  type EntryInput,
  type EntryResult,
  type Registration,
  registrationMigrations,
} from './index.ts';
import type { RegistrationTables } from './migrations.ts';

const signal = new AbortController().signal;
const NODE = parseSpiffeId('spiffe://example.org/spire/agent/x509pop/1');

const input = (name: string): EntryInput => ({
  spiffeId: `spiffe://example.org/${name}`,
  parentId: NODE.uri,
  selectors: [{ type: 'unix', value: 'uid:1000' }],
});

function entryOf(result: EntryResult): Entry {
  if (result.status !== 'ok') throw new Error(`not ok: ${JSON.stringify(result)}`);
  return result.entry;
}

describe('several servers on one database', () => {
  let postgres: TestPostgres;
  const opened: Service[] = [];

  beforeAll(async () => {
    postgres = await startPostgres();
    process.env['CS_REGISTRATION_TEST_URL'] = postgres.url;
  });
  afterAll(() => postgres.stop());
  afterEach(async () => {
    for (const service of opened.splice(0).toReversed()) await service.stop();
    await postgres.query('drop schema public cascade; create schema public');
  });

  async function startServer(name: string): Promise<{ store: Store; registration: Registration }> {
    const deps = { clock: createSystemClock(), log: createSilentLog() };
    const store = await postgresEngine.open({ url: 'env:CS_REGISTRATION_TEST_URL' }, deps);
    await store.start(signal);
    opened.push(store);
    await store.migrate(registrationMigrations);
    const created = createRegistration({
      ...deps,
      store,
      random: createSeededRandom(name),
      trustDomain: parseTrustDomain('example.org'),
      knowsTrustDomain: () => false,
    });
    await created.start(signal);
    opened.push(created);
    return { store, registration: created };
  }
  const reaches = (server: Registration, revision: number) =>
    new Promise<void>((resolve) => {
      const check = () => server.revision() >= revision && resolve();
      server.onChange(check);
      check();
    });
  const shape = (server: Registration) =>
    server
      .authorizedEntries(NODE, [])
      .map(
        (entry) =>
          `${entry.id} ${entry.spiffeId.path} ${entry.revisionNumber} ${entry.selectors.map(formatSelector).join()}`,
      )
      .sort();

  it('show what was declared in transactions of another order, beside who writes entries, wholly and without a gap', async () => {
    const [a, b] = [await startServer('a'), await startServer('b')];
    const of = (hint: string) =>
      Array.from({ length: 30 }, (_, index) => ({ ...input(`d${index}`), id: `d${index}`, hint }));
    const declare = async ({ store, registration }: Awaited<ReturnType<typeof startServer>>, hint: string) => {
      const declaration = registration.declare(of(hint));
      const results = await store.transaction((trx, effects) => declaration.write(trx, effects), { order: 'other' });
      expect(results.map(({ status }) => status)).toEqual(Array.from(results, () => 'ok'));
      await declaration.committed();
      expect(registration.authorizedEntries(NODE, []).length).toBeGreaterThanOrEqual(30);
    };
    const churn = Array.from({ length: 20 }, (_, index) => b.registration.batchCreate([input(`c${index}`)]));
    await Promise.all([declare(a, 'first'), declare(b, 'second'), ...churn]);
    for (const { registration } of [a, b]) {
      const seen = () => registration.authorizedEntries(NODE, []);
      await expect.poll(() => seen().length).toBe(50);
      await expect.poll(() => registration.revision()).toBe(80);
      expect(new Set(seen().flatMap(({ id, hint }) => (id.startsWith('d') ? [hint] : []))).size).toBe(1);
    }
  });

  it('all show the same after any mix of writes on each of them', async () => {
    const [one, two] = await Promise.all([startServer('one'), startServer('two')]);
    await Promise.all(
      Array.from({ length: 30 }, async (_, n) => {
        const server = (n % 2 === 0 ? one : two).registration;
        const created = (await server.batchCreate([input(`w${n}`), input(`v${n}`)])).map(entryOf);
        const [first, second] = created;
        await server.batchUpdate([{ id: first?.id ?? '', entry: { hint: 'h' }, mask: new Set(['hint']) }]);
        if (n % 3 === 0) await server.batchDelete([second?.id ?? '']);
      }),
    );
    const revision = Math.max(one.registration.revision(), two.registration.revision());
    expect(revision).toBe(100);
    await Promise.all([reaches(one.registration, revision), reaches(two.registration, revision)]);
    expect(shape(one.registration)).toHaveLength(50);
    expect(shape(one.registration)).toEqual(shape(two.registration));
  });

  it('push a change to the watchers of the other', async () => {
    const [one, two] = await Promise.all([startServer('one'), startServer('two')]);
    const pushed = new Promise<number>((resolve) => two.registration.watchNode({ id: NODE, selectors: [] }, resolve));
    await one.registration.batchCreate([input('web')]);
    expect(await pushed).toBe(1);
    expect(shape(two.registration)).toHaveLength(1);
  });

  it('catch up on all they missed after the database was away', async () => {
    const [one, two] = await Promise.all([startServer('one'), startServer('two')]);
    await one.registration.batchCreate([input('before')]);
    await postgres.kill9();
    await expect(one.registration.batchCreate([input('lost')])).rejects.toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
    });
    // What is known stays in force meanwhile.
    expect(shape(one.registration)).toHaveLength(1);
    await postgres.restart();
    const { registration: third } = await startServer('three');
    await third.batchCreate([input('after')]);
    await Promise.all([reaches(one.registration, 2), reaches(two.registration, 2)]);
    expect(shape(one.registration)).toEqual(shape(third));
    expect(shape(two.registration)).toEqual(shape(third));
  });

  it('load everything anew when the changes they missed are forgotten', async () => {
    const [one, two] = await Promise.all([startServer('one'), startServer('two')]);
    await one.registration.batchCreate([input('a'), input('b')]);
    await reaches(two.registration, 2);
    // As a server does that wrote 100,000 changes while the other one heard nothing.
    await one.store.transaction<RegistrationTables, void>(async (trx, effects) => {
      await trx.deleteFrom('registration_entries').where('spiffe_id', 'like', '%/a').execute();
      await trx.deleteFrom('registration_changes').execute();
      await trx.updateTable('registration_state').set({ revision: 90, pruned_through: 90 }).execute();
      effects.notify('registration.changes', '90');
    });
    await Promise.all([reaches(one.registration, 90), reaches(two.registration, 90)]);
    expect(shape(one.registration)).toHaveLength(1);
    expect(shape(two.registration)).toEqual(shape(one.registration));
  });
});
