/**
 * PostgreSQL's regression files, in the order of its schedule, by psql as pg_regress runs them. A file is good when it prints the same as directly:
 * what is expected of another build, locale or server is no matter. Files build on one another, so a slice brings those that all need.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { command } from '../command.ts';
import type { Place } from '../place.ts';
import type { Outcome, Suite } from '../suite.ts';
import { postgresSource, scheduled, steady } from './postgres-source.ts';

const SETTINGS = ['lc_messages', 'lc_monetary', 'lc_numeric', 'lc_time'].map(
  (name) => `alter database regression set ${name} to 'C';`,
);

export const regress: Suite = {
  name: 'regress',
  judge: 'same',
  databases: [
    {
      name: 'regression',
      seed: `${SETTINGS.join(' ')} alter database regression set timezone_abbreviations to 'Default';
        alter database regression set bytea_output to 'hex';`,
    },
  ],
  serverArgs: ['-c', 'max_prepared_transactions=2', '-c', 'timezone=PST8PDT', '-c', 'datestyle=Postgres, MDY'],
  fetch: postgresSource,
  units: async (source) => scheduled(path.join(source, 'src/test/regress/parallel_schedule')),
  async run({ source, units, place, work }) {
    const sources = path.join(source, 'src/test/regress');
    const libraries = gatherLibraries(sources, work, place);
    const outcomes = new Map<string, Outcome>();
    for (const name of [...BASE.filter((base) => !units.includes(base)), ...units]) {
      const env = {
        ...{
          ...place.env,
          PGTZ: 'PST8PDT',
          PGDATESTYLE: 'Postgres, MDY',
          PGOPTIONS: '-c intervalstyle=postgres_verbose',
        },
        ...{ PG_ABS_SRCDIR: sources, PG_ABS_BUILDDIR: work, PG_LIBDIR: libraries, PG_DLSUFFIX: '.so' },
        ...{ LC_MESSAGES: 'C', LANG: 'C', PGAPPNAME: `pg_regress/${name}` },
      };
      const args = ['-X', '-a', '-q', '-v', 'HIDE_TABLEAM=on', '-v', 'HIDE_TOAST_COMPRESSION=on', '-d', 'regression'];
      const stdin = fs.readFileSync(path.join(sources, 'sql', `${name}.sql`), 'latin1');
      const ended = await command(
        '/bin/sh',
        ['-c', `exec "$0" "$@" 2>&1 <"${sources}/sql/${name}.sql"`, path.join(place.bin, 'psql'), ...args],
        {
          ...{ cwd: work, env, withinMs: FILE_MS_MAX },
        },
      );
      const text = `${steady(ended.stdout)}ended with ${ended.code}\n`.replaceAll(place.env.PGHOST, 'HOST');
      outcomes.set(name, { status: stdin.length > 0 && ended.code !== 128 ? 'passed' : 'failed', text });
    }
    for (const base of BASE) if (!units.includes(base)) outcomes.delete(base);
    return outcomes;
  },
};

/** One folder with the libraries that the files load: their own, and two of Debian's. */
function gatherLibraries(sources: string, work: string, place: Place): string {
  const folder = path.join(work, 'lib');
  fs.mkdirSync(folder);
  for (const made of ['results', 'sql', 'testtablespace']) fs.mkdirSync(path.join(work, made));
  fs.chmodSync(path.join(work, 'results'), 0o777);
  fs.copyFileSync(path.join(sources, 'regress.so'), path.join(folder, 'regress.so'));
  for (const name of ['autoinc.so', 'refint.so'])
    fs.copyFileSync(path.join(place.bin, '../lib', name), path.join(folder, name));
  return folder;
}

/** Make the tables that other files use. */
const BASE = [
  'test_setup',
  'copy',
  'create_function_c',
  'create_misc',
  'create_operator',
  'create_procedure',
  'create_table',
  'create_type',
  'create_index',
  'create_view',
];
const FILE_MS_MAX = 5 * 60_000;
