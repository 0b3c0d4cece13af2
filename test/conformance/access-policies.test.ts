/**
 * What changes of access promise, over each engine that is registered: of several servers that change it at once one does, all hold the same
 * afterwards, and each goes by it in a moment.
 */
import { parseTrustDomain } from '@countersign/sdk/identity';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AccessPolicies, accessMigrations, createAccessPolicies } from '../../src/api/index.ts';
import { accessForms } from '../../src/app/access-forms.generated.ts';
import { endpoints } from '../../src/app/endpoint-registry.generated.ts';
import type { Principal } from '../../src/endpoint/index.ts';
import { createSilentLog, createSystemClock, type Service } from '../../src/std/index.ts';
import { storeEngines } from '../../src/store/engines/registry.generated.ts';
import type { Store } from '../../src/store/index.ts';
import { eventually } from '../support/eventually.ts';
import { type Database, type Databases, openDatabases, openStore } from './store-databases.ts';

const operator: Principal = { kind: 'operator', uid: 0, text: undefined };
const by = { principal: operator, allowsLockOut: false, signal: new AbortController().signal };
const text = (n: number) => [{ name: 'p', text: `@id("p${n}") permit(principal is Identity, action, resource);` }];

describe.each(storeEngines.map(({ id }) => id))('access on %s', (engine) => {
  let databases: Databases;
  let database: Database;
  let stores: (Store & Service)[];
  let servers: AccessPolicies[];
  beforeAll(async () => {
    databases = await openDatabases(engine);
  });
  afterAll(() => databases.close());
  beforeEach(async () => {
    database = await databases.createDatabase();
    const first = await openStore(engine, database, accessMigrations);
    // One process alone has a file open.
    stores = first.isShared ? [first, await openStore(engine, database, accessMigrations)] : [first];
    servers = [0, 1, 2].map((n) =>
      createAccessPolicies({
        ...{ clock: createSystemClock(), log: createSilentLog(), trustDomain: parseTrustDomain('example.org') },
        ...{ store: stores[n % stores.length] ?? first, endpoints, takesLinks: true, forms: accessForms },
      }),
    );
    for (const server of servers) await server.start(new AbortController().signal);
  });
  afterEach(async () => {
    for (const server of servers) await server.stop();
    for (const store of stores) await store.stop();
    await database.remove();
  });

  it('is changed by one of those who change it at once, and the others are told so', async () => {
    for (let round = 1; round <= 5; round++) {
      const tried = await Promise.allSettled(servers.map((server, n) => server.apply(text(round * 10 + n), by)));
      const lost = tried.filter((one) => one.status === 'rejected');
      for (const { reason } of lost) expect(reason).toMatchObject({ code: 'ERR_ENDPOINT_CHANGED' });
      const made = tried.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      // Whoever came after the first had been told of it may have done it over again.
      expect(made.length).toBeGreaterThan(0);
      expect(new Set(made.map(({ revision }) => revision)).size).toBe(made.length);
      const last = made.toSorted((a, b) => b.revision - a.revision)[0];
      await eventually('all hold the last', () => servers.every((server) => server.current().digest === last?.digest));
    }
  });

  it('holds at every server in a moment', async () => {
    const [one, ...others] = servers;
    const { digest } = (await one?.apply(text(1), by)) ?? {};
    const beganMs = performance.now();
    await eventually('the others go by it', () => others.every((server) => server.current().digest === digest), {
      everyMs: 5,
    });
    // Within a second on a machine that has nothing else to do.
    expect(performance.now() - beganMs).toBeLessThan(5_000);
  });
});
