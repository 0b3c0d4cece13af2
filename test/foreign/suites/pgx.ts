/** pgx's tests: the module as the registry has it. Subtests count each. */

import { go } from '../../interop/go-toolchain.ts';
import { command, mustRun } from '../command.ts';
import { goModule } from '../sources.ts';
import type { Outcome, Suite } from '../suite.ts';

const VERSION = 'v5.12.0';
/** A name that is hard to read in an aclitem, which a test reads. */
const TRICKY = '" tricky, \' } "" \\ test user "';

export const pgx: Suite = {
  name: 'pgx',
  judge: 'passes',
  databases: [
    {
      name: 'pgx_test',
      // As its own testsetup makes it, but for roles that log in by ways of their own.
      seed: `create extension hstore; create extension ltree; create domain uint64 as numeric(20,0);
        create user ${TRICKY} superuser;`,
    },
  ],
  serverArgs: ['-c', 'max_prepared_transactions=5'],
  fetch: (cache) => goModule(cache, toolchain(), 'github.com/jackc/pgx/v5', VERSION),
  async units(source) {
    const packages = await mustRun(
      toolchain(),
      ['list', '-f', '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}', './...'],
      { cwd: source },
    );
    return packages.split('\n').filter((line) => line !== '');
  },
  async run({ source, units, place }) {
    const { PGHOST, PGPORT, PGUSER, PGDATABASE } = place.env;
    const url = `host=${PGHOST} port=${PGPORT} user=${PGUSER} database=${PGDATABASE} sslmode=disable`;
    const env = {
      PGX_TEST_DATABASE: url,
      PGX_TEST_TCP_CONN_STRING: `host=127.0.0.1 port=${place.port} user=${PGUSER} database=${PGDATABASE} sslmode=disable`,
      PGX_TEST_UNIX_SOCKET_CONN_STRING: url,
    };
    const args = ['test', '-json', '-count=1', '-p=1', '-timeout=6m', ...units];
    const { stdout, stderr } = await command(toolchain(), args, { cwd: source, env });
    const outcomes = readEvents(stdout);
    if (outcomes.size === 0) throw new Error(`go test ran nothing: ${stderr}`);
    return outcomes;
  },
};

function toolchain(): string {
  if (go === undefined) throw new Error('there is no go command: install Go 1.25 or later');
  return go;
}

/** One event a line, as `go test -json` writes. Tests that hold subtests count too, as Go counts them. */
function readEvents(text: string): Map<string, Outcome> {
  const outcomes = new Map<string, Outcome>();
  const printed = new Map<string, string>();
  for (const line of text.split('\n')) {
    if (!line.startsWith('{')) continue;
    const event: { Action: string; Package: string; Test?: string; Output?: string } = JSON.parse(line);
    if (event.Test === undefined) continue;
    const name = `${event.Package.replace(/^.*pgx\/v5/, 'pgx')}.${event.Test}`.replaceAll(TEMPORARY, '/tmp');
    if (event.Action === 'output') printed.set(name, `${printed.get(name) ?? ''}${event.Output ?? ''}`);
    const status = STATUSES[event.Action];
    if (status !== undefined) outcomes.set(name, { status, text: printed.get(name) ?? '' });
  }
  return outcomes;
}

/** A test's folder of its own, as Go makes it, in whatever folder there is for such. */
const TEMPORARY = /(?:\/[\w.-]+)+\/\d{3}(?=\/)/g;
const STATUSES: Readonly<Record<string, Outcome['status']>> = { pass: 'passed', fail: 'failed', skip: 'skipped' };
