// Goal: what is said of a migration for releases that do not know it is so, on every engine, on the schema that all of them make together.
import { describe, expect, it } from 'vitest';
import { useBothStores } from '../../test/support/both-stores.ts';
import type { RevocationTables } from '../revocation/migrations.ts';
import { newerMigrations } from '../store/index.ts';
import { migrationsOf } from './server.ts';

const stores = useBothStores();

describe.each(['openSqlite', 'openPostgres'] as const)('the migrations of a server, %s', (open) => {
  it('leave a release room that does not know the additive ones, and say what it is of those it must know', async () => {
    const store = await stores[open]();
    const all = migrationsOf();
    await store.migrate(all, { release: '7.1.0' });
    for (const one of all) {
      const found = await newerMigrations(
        store,
        all.filter((other) => other !== one),
      );
      const hindrance =
        one.additive === undefined ? expect.stringContaining('only a release that knows it') : undefined;
      expect(found).toEqual([{ name: one.name, release: '7.1.0', hindrance }]);
    }
  });

  it('end that with the first write that such a release would pass over', async () => {
    const store = await stores[open]();
    const older = migrationsOf().filter(({ name }) => name !== '0001-revocations');
    await store.migrate(migrationsOf(), { release: '7.1.0' });
    await store.migrate(older, { release: '7.0.0' });
    const row = { id: 'r1', subject_key: 'k', mode: 'revoke', sequence: 1, at_ms: 1, latest_expiry_ms: 1, told: '{}' };
    await store.db<RevocationTables>().insertInto('revocation_standing').values(row).execute();
    await expect(store.migrate(older)).rejects.toMatchObject({
      code: 'ERR_STORE_NEWER',
      message: expect.stringContaining('0001-revocations of release 7.1.0: a newer release has written to'),
    });
  });
});
