/** A slice of those foreign suites whose sources are always to be had: what passes directly passes through the gateway, but for what the ratchet knows by name. */
import * as path from 'node:path';
import { describe, expect, it } from 'vitest';
import { debianPostgres } from '../interop/drivers/debian-postgres.ts';
import { mayLack } from '../interop/toolchain.ts';
import { knownByName } from './ratchet.ts';
import { runSuite } from './run-suite.ts';
import { SUITES } from './suites.ts';

const cache = path.join(import.meta.dirname, '../../.cache/foreign');
const SEED = 1;
/** Units, which are of a size of their own in each suite. The others are run by hand: they take long to install, or mirrors lack them at times. */
const SIZES: Readonly<Record<string, number>> = {
  ...{ 'libpq-pipeline': 11, regress: 12, isolation: 12, asyncpg: 6, pgx: 40 },
};

describe.skipIf(mayLack(debianPostgres()))('tests that nobody here wrote', () => {
  it.for(SUITES.filter(({ name }) => name in SIZES))('$name: a slice passes as it does directly', async (suite, {
    skip,
  }) => {
    await suite.fetch(cache).catch((error: unknown) => skip(`its source can not be had: ${error}`));
    const modes = (['all', 'mask'] as const).filter((mode) => knownByName(suite.name, mode) !== undefined);
    const slice = { size: SIZES[suite.name] ?? 0, seed: SEED };
    const report = await runSuite(suite, { cache, modes, slice });
    expect(report.directly.passed).toBeGreaterThan(0);
    for (const mode of modes) {
      const differing = report.modes[mode]?.kinds.flatMap(({ tests }) => tests) ?? [];
      const known = knownByName(suite.name, mode) ?? [];
      expect({ mode, fresh: differing.filter((name) => !known.includes(name)) }).toEqual({ mode, fresh: [] });
    }
  });
});
