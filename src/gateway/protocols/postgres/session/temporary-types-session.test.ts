// Goal: a type that a session has made for itself, under the name of one of PostgreSQL's, tells nothing that is masked by now. Its check runs in whatever
// names it, and calls what was made before anything was masked.
import { parseSpiffeId } from '@countersign/sdk/identity';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { composeSchema, loadPolicies } from '../../../../policy/index.ts';
import { createSystemClock } from '../../../../std/index.ts';
import { createCurrentPolicies, createSessionPolicy } from '../../../sessions/current-policies.ts';
import { policySchema } from '../sql/index.ts';
import { type AppDatabase, startAppDatabase } from '../testing/app-database.ts';
import { type Step, startAttacks } from '../testing/attacks.ts';
import { startTarget } from '../testing/harness.ts';

const schema = composeSchema([policySchema]);
const ALL = '@id("all") permit (principal, action, resource);';
const MASK =
  '@id("mask") @mask("people.ssn:redact") permit (principal, action == Action::"postgres:select", resource);';

const SEED = `
  alter schema public owner to gate; grant create on database app to gate; set role gate;
  create table people (id int primary key, ssn text); insert into people values (1, 'CANARY-1');
  create function told(it text) returns boolean language plpgsql as
    $$ begin raise exception 'said %', (select ssn from public.people); end $$;
  create domain public.teller as pg_catalog.text check (told(value::pg_catalog.text));`;

describe("a type of the name of one of PostgreSQL's", () => {
  let server: AppDatabase;
  let gate: Awaited<ReturnType<typeof startTarget>>;
  const policies = createCurrentPolicies(createSystemClock());
  const replace = (text: string) => policies.replace(loadPolicies([{ name: 'p', text }], schema));
  beforeAll(async () => {
    server = await startAppDatabase(SEED);
    replace(ALL);
    const sessionPolicy = createSessionPolicy(policies, parseSpiffeId('spiffe://example.org/web'));
    gate = await startTarget({ ...server.target, sessionPolicy });
  });
  afterAll(async () => {
    await gate?.close();
    await server?.stop();
  });
  beforeEach(() => replace(ALL));

  /** What comes back of `asked` once the column is masked, to a session that has said `made` before. */
  async function seen(made: readonly string[], asked: string): Promise<string> {
    const client = new pg.Client({ port: gate.port, host: '127.0.0.1', user: 'web', database: 'app' });
    await client.connect();
    for (const text of made) await client.query(text);
    replace(`${ALL} ${MASK}`);
    const answer = await client.query(asked).then(
      ({ rows }) => rows,
      (error: unknown) => [String(error), Object.entries(Object(error))],
    );
    await client.end();
    return JSON.stringify(answer);
  }

  it('that there is not tells as ever', async () => {
    expect(await seen([], "select 'x'::text::int")).toContain('invalid input syntax for type integer');
  });

  const domain = 'create domain pg_temp.text as pg_catalog.text check (public.told(value))';
  const renamed = 'create domain pg_temp.other as pg_catalog.text check (public.told(value))';
  it.each<[string, readonly string[], string]>([
    ['a domain', [domain], "select 'a'::text"],
    ['a domain that the open transaction has made', ['begin', domain], "select 'a'::text"],
    ['a domain that a block has made', ['begin', `do $$ begin ${domain}; end $$`], "select 'a'::text"],
    ['a domain of another name before', [renamed, 'alter domain pg_temp.other rename to text'], "select 'a'::text"],
    [
      'a domain renamed in the open transaction',
      ['begin', renamed, 'alter domain pg_temp.other rename to text'],
      "select 'a'::text",
    ],
    [
      'a domain of the schema in which names are looked up first',
      [
        'begin',
        'set search_path = pg_temp, pg_catalog, public',
        'create domain text as pg_catalog.text check (public.told(value))',
      ],
      "select 'a'::text",
    ],
    ['an array of it', [domain], "select array['a']::text[]"],
    ['a row type', ['create type pg_temp.text as (v public.teller)'], `select '("a")'::text`],
    [
      'a row type of the open transaction',
      ['begin', 'create type pg_temp.text as (v public.teller)'],
      `select '("a")'::text`,
    ],
    ['the row type of a table', ['create temp table text (v public.teller)'], `select '("a")'::text`],
    [
      'the row type of a table of the open transaction',
      ['begin', 'create temp table text (v public.teller)'],
      `select '("a")'::text`,
    ],
    ['the row type of a view', ['create temp view text as select null::public.teller as v'], `select '("a")'::text`],
    ['a parameter of a statement prepared in SQL', [domain, 'prepare p(text) as select $1'], "execute p('a')"],
  ])('%s', async (_, made, asked) => {
    // The attack is one: without a mask it tells.
    expect(await seenUnmasked(made, asked)).toContain('said CANARY');
    expect(await seen(made, asked)).not.toContain('CANARY');
  });

  async function seenUnmasked(made: readonly string[], asked: string): Promise<string> {
    const client = new pg.Client({ ...server.target.config, password: 'secret' } as pg.ClientConfig);
    await client.connect();
    await client.query('begin');
    let seen: unknown;
    try {
      for (const text of made.filter((one) => one !== 'begin')) await client.query(text);
      seen = await client.query(asked);
    } catch (error) {
      seen = [String(error)];
    }
    await client.query('rollback');
    await client.end();
    return JSON.stringify(seen);
  }
});

describe("a type that hides one of PostgreSQL's in the path", () => {
  let attacks: Awaited<ReturnType<typeof startAttacks>>;
  beforeAll(async () => {
    attacks = await startAttacks();
  });
  afterAll(() => attacks?.stop());

  it('is not taken for it in a row policy', async () => {
    const steps: readonly Step[] = [
      [
        'owner',
        `create table mine (id int); insert into mine values (1);
         create function told(it text) returns boolean language plpgsql as
           $$ begin raise exception 'said %', (select ssn from public.people limit 1); end $$;
         create schema odd; create domain odd.text as pg_catalog.text check (public.told(value))`,
      ],
      ['b', 'set search_path = odd, pg_catalog, public'],
      ['b', 'begin; lock table mine'],
      ['a…', 'select * from mine'],
      ['b', 'alter table mine enable row level security; alter table mine force row level security'],
      ['b', "create policy p on mine using (id::text <> 'x'); commit"],
    ];
    expect(await attacks.seenWithout({ steps })).toContain('said CANARY');
    expect(await attacks.seenBy({ steps })).not.toContain('CANARY');
  });
});
