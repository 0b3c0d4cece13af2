/** asyncpg's tests, as its source distribution has them. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { pythonSource } from '../sources.ts';
import type { Suite } from '../suite.ts';
import { pytest, pythonWith } from './pytest.ts';

const VERSION = '0.32.0';

export const asyncpg: Suite = {
  name: 'asyncpg',
  judge: 'passes',
  databases: [{ name: 'asyncpg' }],
  creates: ['asyncpg_intro_test'],
  races: {
    'tests.test_execute.TestExecuteMany::test_executemany_server_failure_during_writes':
      'wants an error back before 4 MiB are written; through the gateway it comes once it is in the ledger',
  },
  async fetch(cache) {
    const source = await pythonSource(cache, 'asyncpg', VERSION);
    const python = await pythonWith(cache, 'asyncpg', [`asyncpg==${VERSION}`, 'pytest', 'uvloop', 'distro']);
    // The tests alone: beside them the package would be found without its compiled half.
    const tests = path.join(path.dirname(python), '../tests-alone');
    fs.cpSync(path.join(source, 'tests'), path.join(tests, 'tests'), { recursive: true });
    return tests;
  },
  async units(source) {
    const files = fs.readdirSync(path.join(source, 'tests'));
    return files.filter((file) => /^test_(?!_).*\.py$/.test(file)).toSorted();
  },
  async run({ source, units, place, work }) {
    const python = path.join(source, '../bin/python');
    const files = units.map((unit) => path.join('tests', unit));
    return pytest(python, files, { cwd: source, work, env: place.env });
  },
};
