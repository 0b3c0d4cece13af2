/** psycopg's tests, with its pure Python half and libpq: every message is made by them. Slow ones and those of typing are left out. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { debianSource, once } from '../sources.ts';
import type { Suite } from '../suite.ts';
import { pytest, pythonWith } from './pytest.ts';

const WANTED = ['psycopg', 'psycopg-pool', 'pytest', 'anyio', 'pproxy', 'dnspython', 'shapely', 'numpy'];

export const psycopg: Suite = {
  name: 'psycopg',
  judge: 'passes',
  databases: [{ name: 'psycopg_test' }],
  serverArgs: ['-c', 'max_prepared_transactions=10'],
  async fetch(cache, given) {
    const python = await pythonWith(cache, 'psycopg', WANTED);
    // The tests alone: the package is the registry's.
    return once(cache, 'psycopg-tests', async (folder) => {
      const source = given ?? (await debianSource(cache, 'psycopg3'));
      fs.cpSync(path.join(source, 'tests'), path.join(folder, 'tests'), { recursive: true });
      fs.copyFileSync(path.join(source, 'pyproject.toml'), path.join(folder, 'pyproject.toml'));
      fs.writeFileSync(path.join(folder, 'python'), python);
      return folder;
    });
  },
  async units(source) {
    const files = fs.readdirSync(path.join(source, 'tests'), { recursive: true, encoding: 'utf8' });
    return files.filter((file) => /(^|\/)test_\w+\.py$/.test(file) && !OTHERS.test(file)).toSorted();
  },
  async run({ source, units, place, work }) {
    const { PGHOST, PGPORT, PGUSER, PGDATABASE } = place.env;
    const dsn = `host=${PGHOST} port=${PGPORT} user=${PGUSER} dbname=${PGDATABASE} sslmode=disable`;
    const args = [
      '-m',
      'not slow and not timing and not flakey and not crdb',
      `--test-dsn=${dsn}`,
      ...units.map((unit) => path.join('tests', unit)),
    ];
    const python = fs.readFileSync(path.join(source, 'python'), 'utf8');
    return pytest(python, args, { cwd: source, work, env: { PSYCOPG_IMPL: 'python' } });
  },
};

/** Of other databases, of type checkers, of other systems. */
const OTHERS =
  /^(crdb|scripts)\/|test_(typing|typing_.*|windows|gevent|psycopg_dbapi20|module|tstring|tstring_async)\.py$/;
