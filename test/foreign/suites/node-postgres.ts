/** The integration files of node-postgres, each a program of its own. They are laid into the package as npm has it. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { command, mustRun } from '../command.ts';
import { debianSource, once } from '../sources.ts';
import type { Outcome, Suite } from '../suite.ts';

/** What the tests want besides. */
const BESIDES = ['async@2.6.4', 'bluebird@3.7.2', 'co@4.6.0', 'pg-copy-streams@0.3.0'];

export const nodePostgres: Suite = {
  name: 'node-postgres',
  judge: 'passes',
  databases: [{ name: 'pg_tests' }],
  // A test connects there.
  creates: ['template1'],
  fetch: (cache, given) =>
    once(cache, 'node-postgres-project', async (project) => {
      const source = path.join(given ?? (await debianSource(cache, 'node-postgres')), 'packages/pg');
      const { version }: { version: string } = JSON.parse(fs.readFileSync(path.join(source, 'package.json'), 'utf8'));
      fs.writeFileSync(path.join(project, 'package.json'), '{ "private": true }');
      const install = ['install', '--no-audit', '--no-fund', '--silent', `pg@${version}`, ...BESIDES];
      await mustRun('npm', install, { cwd: project });
      const laid = path.join(project, 'node_modules/pg');
      fs.cpSync(path.join(source, 'test'), path.join(laid, 'test'), { recursive: true });
      return laid;
    }),
  async units(source) {
    const files = fs.readdirSync(path.join(source, 'test/integration'), { recursive: true, encoding: 'utf8' });
    return files.filter((file) => file.endsWith('-tests.js')).toSorted();
  },
  async run({ source, units, place }) {
    const outcomes = new Map<string, Outcome>();
    // As many of them read addresses as read variables.
    const { PGUSER, PGDATABASE } = place.env;
    const address = `postgres://${PGUSER}:unused@127.0.0.1:${place.port}/${PGDATABASE}`;
    const env = {
      ...place.env,
      PGHOST: '127.0.0.1',
      PGPORT: String(place.port),
      PGPASSWORD: 'unused',
      PGTESTNOSSL: 'true',
    };
    for (const file of units) {
      const ended = await command(process.execPath, [path.join('test/integration', file), address], {
        ...{ cwd: source, env, withinMs: FILE_MS_MAX },
      });
      outcomes.set(file, { status: ended.code === 0 ? 'passed' : 'failed', text: `${ended.stdout}${ended.stderr}` });
    }
    return outcomes;
  },
};

const FILE_MS_MAX = 60_000;
