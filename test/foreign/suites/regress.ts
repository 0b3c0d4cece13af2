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
      const file = adapt(name, sources, work);
      const variables = { PG_ABS_SRCDIR: sources, PG_ABS_BUILDDIR: work, PG_LIBDIR: libraries, PG_DLSUFFIX: '.so' };
      const ended = await psql(file, { place, work, env: { ...variables, PGAPPNAME: `pg_regress/${name}` } });
      const text = `${steady(ended.stdout)}ended with ${ended.code}\n`.replaceAll(place.env.PGHOST, 'HOST');
      if (units.includes(name)) outcomes.set(name, { status: ended.code === 128 ? 'failed' : 'passed', text });
    }
    return outcomes;
  },
};

/** Runs a file as pg_regress does. */
function psql(
  file: string,
  { place, work, env }: { place: Place; work: string; env: Readonly<Record<string, string>> },
) {
  const args = ['-X', '-a', '-q', '-v', 'HIDE_TABLEAM=on', '-v', 'HIDE_TOAST_COMPRESSION=on', '-d', 'regression'];
  const script = `program=$1; shift; exec "$program" "$@" <"${file}" 2>&1`;
  const sessions = {
    ...{ PGTZ: 'PST8PDT', PGDATESTYLE: 'Postgres, MDY', PGOPTIONS: '-c intervalstyle=postgres_verbose' },
    ...{ LC_MESSAGES: 'C', LANG: 'C' },
  };
  return command('/bin/sh', ['-c', script, 'sh', path.join(place.bin, 'psql'), ...args], {
    ...{ cwd: work, env: { ...place.env, ...sessions, ...env }, withinMs: FILE_MS_MAX },
  });
}

/**
 * The file as psql gets it: rows that the server would read from its own files come by the connection instead, since nobody reads those through
 * the gateway and nearly all other files need the rows. Directly it is given the same.
 */
function adapt(name: string, sources: string, work: string): string {
  const given = fs.readFileSync(path.join(sources, 'sql', `${name}.sql`), 'latin1');
  const load = /^\\set filename :abs_srcdir '([^']+)'\s*\nCOPY ([^;]*?) FROM :'filename'([^;]*);/gim;
  const adapted = given.replaceAll(load, (_, data: string, table: string, options: string) =>
    `\\copy ${table} from '${sources}${data}'${options}`.replaceAll('\n', ' '),
  );
  const file = path.join(work, 'sql', `${name}.sql`);
  fs.writeFileSync(file, adapted, 'latin1');
  return file;
}

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
