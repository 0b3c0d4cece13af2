/** pgjdbc's tests: its source archive, as Maven's registry has it, built and run by Maven. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { command, mustRun } from '../command.ts';
import { mavenSource, once } from '../sources.ts';
import type { Outcome, Suite } from '../suite.ts';
import { readJunit } from './pytest.ts';

export const pgjdbc: Suite = {
  name: 'pgjdbc',
  judge: 'passes',
  databases: [
    { name: 'test', seed: 'create extension hstore; create extension citext; create role test superuser login;' },
  ],
  serverArgs: ['-c', 'max_prepared_transactions=64'],
  async fetch(cache) {
    const source = await mavenSource(cache, 'org.postgresql:postgresql:42.7.4:tar.gz:jdbc-src');
    return once(cache, 'pgjdbc-built', async () => {
      await mustRun('mvn', ['-q', '-B', 'test-compile'], { cwd: source });
      // What runs the tests is fetched when it first runs one, and later runs ask no registry.
      const first = ['-Dtest=IntListTest', '-DfailIfNoTests=false'];
      await mustRun('mvn', ['-q', '-B', 'surefire:test', ...first], { cwd: source });
      return source;
    });
  },
  async units(source) {
    const files = fs.readdirSync(path.join(source, 'src/test/java'), { recursive: true, encoding: 'utf8' });
    return files
      .filter((file) => /Test\w*\.java$/.test(file) && !/TestUtil|Abstract|Base|Replication/.test(file))
      .toSorted();
  },
  async run({ source, units, place }) {
    const properties = {
      ...{
        server: '127.0.0.1',
        port: place.port,
        database: place.env.PGDATABASE,
        username: 'test',
        password: 'unused',
      },
      ...{ privilegedUser: 'postgres', privilegedPassword: 'unused', preparethreshold: 5, protocolVersion: 0 },
    };
    const lines = Object.entries(properties).map(([name, value]) => `${name}=${value}\n`);
    fs.writeFileSync(path.join(source, 'build.local.properties'), lines.join(''));
    const reports = path.join(source, 'target/surefire-reports');
    fs.rmSync(reports, { recursive: true, force: true });
    const names = units.map((unit) => path.basename(unit, '.java')).join(',');
    const goals = [
      '-q',
      '-B',
      '-o',
      'surefire:test',
      `-Dtest=${names}`,
      '-Dmaven.test.failure.ignore=true',
      '-DfailIfNoTests=false',
    ];
    const { stdout } = await command('mvn', goals, { cwd: source, withinMs: RUN_MS_MAX });
    if (!fs.existsSync(reports)) throw new Error(`Maven left no reports:\n${stdout.slice(-4000)}`);
    const outcomes = new Map<string, Outcome>();
    for (const file of fs.readdirSync(reports).filter((name) => name.endsWith('.xml')))
      for (const [name, outcome] of readJunit(fs.readFileSync(path.join(reports, file), 'utf8')))
        outcomes.set(name, outcome);
    return outcomes;
  },
};

/** Tests of metadata define much, and each definition is followed by a look at the catalog. */
const RUN_MS_MAX = 90 * 60_000;
