/** PostgreSQL's isolation specs by its own isolationtester: several sessions in steps. Good when it prints the same as directly. */
import * as path from 'node:path';
import { command } from '../command.ts';
import type { Outcome, Suite } from '../suite.ts';
import { postgresSource, scheduled, steady } from './postgres-source.ts';

export const isolation: Suite = {
  name: 'isolation',
  judge: 'same',
  databases: [{ name: 'isolation_regression' }],
  serverArgs: ['-c', 'max_prepared_transactions=5'],
  fetch: postgresSource,
  units: async (source) => scheduled(path.join(source, 'src/test/isolation/isolation_schedule')),
  async run({ source, units, place, work }) {
    const folder = path.join(source, 'src/test/isolation');
    const env = { ...place.env, PGISOLATIONTIMEOUT: '10', LD_LIBRARY_PATH: path.join(source, 'src/interfaces/libpq') };
    const outcomes = new Map<string, Outcome>();
    for (const name of units) {
      const script = `exec "$0" "dbname=isolation_regression" <"specs/${name}.spec" 2>&1`;
      const ended = await command('/bin/sh', ['-c', script, path.join(folder, 'isolationtester')], {
        ...{ cwd: folder, env: { ...env, PGAPPNAME: `isolation/${name}` }, withinMs: SPEC_MS_MAX },
      });
      const text = `${steady(ended.stdout)}ended with ${ended.code}\n`.replaceAll(place.env.PGHOST, 'HOST');
      outcomes.set(name, { status: ended.code === 0 ? 'passed' : 'failed', text: text.replaceAll(work, '') });
    }
    return outcomes;
  },
};

const SPEC_MS_MAX = 3 * 60_000;
