// Goal: an identity with masks that may define whatever it likes learns no masked value by what a name comes to mean. Each attack goes through
// the gateway to a real server, step by step, and nothing that comes back to it may hold a canary.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Step, startAttacks } from '../testing/attacks.ts';

const POLICIES = `
  @id("all") permit (principal, action, resource);
  @id("mask") @mask("people.ssn:redact") permit (principal, action == Action::"postgres:select", resource);
  @id("log") forbid (principal, action, resource) when { resource == Postgres::Table::"db/app/public/log" };`;

/** `shops` and `names` show nothing masked, and lead to `people`: by its key, which changes with theirs, and by being a view of it. */
const SEED = `
  alter schema public owner to gate; grant create on database app to gate; set role gate;
  create table shops (id int primary key, name text); insert into shops values (1, 'one');
  create table people (id int primary key, name text not null, ssn varchar(20),
    shop int references shops on update cascade check (shop < 100));
  insert into people values (1, 'Ann', 'CANARY-1', 1), (2, 'Bob', 'CANARY-2', 1);
  create view names as select id, name from people;
  create table notes (id int, note text); create table mine (id int primary key); insert into mine values (1);
  create function leak() returns text language sql as 'select ssn from public.people where id = 1';
  create function leaky() returns boolean language plpgsql as 'begin return (select ssn::int from public.people where id = 1) > 0; end';
  create domain told as int check (leaky()); create type pair as (v told);
  create table defaulted (id int, x text default leak());
  create function trap() returns trigger language plpgsql as $$ begin raise exception '%', leak(); end $$;
  create table trapped (id int, x text); create trigger trap before insert on trapped for each row execute function trap();
  create type mood as enum ('sad'); create function mood_text(mood) returns text language sql as 'select leak()';
  create table moods (m mood); insert into moods values ('sad');
  reset role; create cast (mood as text) with function mood_text(mood) as assignment; set role gate;`;

const CAUGHT = 'get stacked diagnostics d = pg_exception_detail;';
const catching = (sql: string, then: string) =>
  `declare d text; begin ${sql}; exception when others then ${CAUGHT} ${then} end`;
const block = (sql: string) =>
  `do $b$ ${catching(sql, "insert into notes values (9, sqlerrm || coalesce(d, ''));")} $b$`;
const teller = (name: string, sql: string) =>
  `create function ${name}() returns text language plpgsql as $b$ ${catching(sql, "return sqlerrm || coalesce(d, '');")} $b$`;
const trigger = (name: string, body: string) =>
  `create function ${name}() returns trigger language plpgsql as $b$ begin ${body} return new; end $b$`;
const audit = (body: string): readonly Step[] => [
  ['owner', trigger('audit', body)],
  ['owner', 'create trigger audit before update on people for each row execute function audit()'],
];
const touch: Step = ['b', 'update people set name = name'];

let attacks: Awaited<ReturnType<typeof startAttacks>>;
beforeAll(async () => {
  attacks = await startAttacks({ seed: SEED });
});
afterAll(() => attacks?.stop());

const seenBy = (steps: readonly Step[]) => attacks.seenBy({ steps, policies: POLICIES });

describe('what leads to masked rows gets no name that a verdict took for something else', () => {
  const over = 'create view later as select * from shops';
  it.each<[string, readonly Step[]]>([
    [
      'a temporary view',
      [
        ['a', 'create temp view tv as select * from shops'],
        ['a', block('update tv set id = 500')],
        ['a', 'select * from notes'],
      ],
    ],
    [
      'a temporary view of a view',
      [
        ['a', 'create temp view tv as select * from names'],
        ['a', block('update tv set id = null')],
        ['a', 'select * from notes'],
      ],
    ],
    [
      'a table renamed in the transaction',
      [
        ['a', 'begin'],
        ['a', 'alter table shops rename to fresh'],
        ['a', block('update fresh set id = 500')],
        ['a', 'select * from notes'],
      ],
    ],
    [
      'a view renamed in the transaction',
      [
        ['a', 'begin'],
        ['a', 'alter view names rename to fresh'],
        ['a', block('update fresh set id = null')],
        ['a', 'select * from notes'],
      ],
    ],
    [
      'a view made while the function sleeps',
      [
        ['a', teller('f', 'perform pg_sleep(3); update later set id = 500')],
        ['b', 'select 1'],
        ['a…', 'select f()'],
        ['b', over],
      ],
    ],
    [
      'a key made while the function sleeps',
      [
        ['a', teller('f', 'perform pg_sleep(3); update mine set id = 500')],
        ['b', 'select 1'],
        ['a…', 'select f()'],
        ['b', 'alter table shops add foreign key (id) references mine on update cascade'],
      ],
    ],
    [
      'a view made for a default',
      [
        ['a', teller('f', 'update later set id = 500')],
        ['a', 'create table t (x text default f())'],
        ['a', over],
        ['a', 'insert into t default values returning x'],
      ],
    ],
    [
      'a view made for a trigger',
      [
        [
          'a',
          trigger(
            'f',
            `declare d text; begin update later set id = 500; exception when others then ${CAUGHT} insert into notes values (9, d); end;`,
          ),
        ],
        ['a', 'create trigger f after insert on mine for each row execute function f()'],
        ['a', over],
        ['a', 'insert into mine values (2)'],
        ['a', 'select * from notes'],
      ],
    ],
    [
      'a view made before a deferred trigger runs',
      [
        [
          'a',
          trigger(
            'f',
            `declare d text; begin update later set id = 500; exception when others then ${CAUGHT} insert into notes values (9, d); end;`,
          ),
        ],
        [
          'a',
          'create constraint trigger f after insert on mine deferrable initially deferred for each row execute function f()',
        ],
        ['a', 'begin; insert into mine values (2)'],
        ['a', over],
        ['a', 'commit'],
        ['a', 'select * from notes'],
      ],
    ],
    [
      'a table that takes the name while a statement waits for a lock',
      [
        ['b', 'create table later (id int, name text)'],
        ['b', 'begin; lock table later'],
        ['a…', 'update later set id = 500'],
        ['b', 'alter table later rename to before; alter table shops rename to later; commit'],
      ],
    ],
    ...(['index', 'sequence', 'materialized view'] as const).map((kind): [string, readonly Step[]] => [
      `a table that takes the name as if it were of another kind: ${kind}`,
      [
        ['b', 'create table later (id int, name text)'],
        ['b', 'begin; lock table later'],
        ['a…', 'update later set id = 500'],
        ['b', `alter table later rename to before; alter ${kind} shops rename to later; commit`],
      ],
    ]),
    [
      'a key that a new column brings while a statement waits for a lock',
      [
        [
          'owner',
          `alter table people drop constraint people_shop_fkey, alter shop set not null,
            add foreign key (shop) references shops on delete set null`,
        ],
        ['b', 'begin; lock table mine'],
        ['a…', 'delete from mine'],
        ['b', 'alter table shops add m int default 1 references mine on delete cascade; commit'],
      ],
    ],
    [
      'a view that takes the name while a statement waits for a lock',
      [
        ['b', 'create table later (id int, name text)'],
        ['b', 'begin; lock table later'],
        ['a…', 'update later set id = null'],
        ['b', 'drop table later; create view later as select * from names; commit'],
      ],
    ],
  ])('%s', async (_, steps) => {
    expect(await seenBy(steps)).not.toContain('CANARY');
  });
});

describe('nor does what runs code that nobody here can read', () => {
  it.each<[string, readonly Step[]]>([
    [
      'a table with a domain',
      [
        ['a', 'create temp table t (v told)'],
        ['a', block('insert into t values (1)')],
        ['a', 'select * from notes'],
      ],
    ],
    [
      'a table with the defaults of another',
      [
        ['a', 'create temp table t (like defaulted including defaults)'],
        ['a', 'do $$ declare d text; begin insert into t (id) values (1); end $$'],
        ['a', 'select * from t'],
      ],
    ],
    [
      'a view with the defaults of a table',
      [
        ['a', 'create temp view t as select * from defaulted'],
        ['a', 'do $$ begin insert into t (id) values (1); end $$'],
        ['a', 'select * from t'],
      ],
    ],
    [
      'a renamed table with a trigger',
      [
        ['a', 'begin; alter table trapped rename to t'],
        ['a', block('insert into t values (1)')],
        ['a', 'select * from notes'],
      ],
    ],
    [
      'a partition with a trigger',
      [
        ['a', 'create table parts (id int, x text) partition by list (id)'],
        ['a', 'begin; alter table parts attach partition trapped default'],
        ['a', block('insert into parts values (1)')],
        ['a', 'select * from notes'],
      ],
    ],
    [
      'a partition with a trigger, while a statement waits for a lock',
      [
        ['b', 'create table parts (id int, x text) partition by list (id)'],
        ['b', 'begin; lock table parts'],
        ['a…', 'insert into parts values (1)'],
        ['b', 'alter table parts attach partition trapped default; commit'],
      ],
    ],
  ])('%s', async (_, steps) => {
    expect(await seenBy(steps)).not.toContain('CANARY');
  });
});

describe('no relation or type takes the place of one that code finds for masked rows', () => {
  const hash = 'insert into notes values (new.id, md5(new.ssn));';
  const log = 'insert into log values (new.name, new.ssn);';
  const logged: Step = ['owner', 'create table log (who text, ssn text)'];
  it.each<[string, readonly Step[]]>([
    [
      'a domain, that of a function',
      [...audit(hash), ['a', 'create domain md5 as text'], touch, ['b', 'select * from notes']],
    ],
    [
      'a domain, that of a function for any type',
      [
        ['owner', 'create function coded(anyelement) returns text language sql as $$ select md5($1::text) $$'],
        ...audit('insert into notes values (new.id, coded(new.ssn));'),
        ['a', 'create domain coded as text'],
        touch,
        ['b', 'select * from notes'],
      ],
    ],
    [
      'a table of another schema',
      [
        logged,
        ...audit(log),
        ['a', 'create schema other; create table other.log (who text, y text)'],
        ['b', 'set search_path = other, public'],
        touch,
        ['b', 'select * from other.log'],
      ],
    ],
    [
      'a table of another schema, renamed as if it were an index',
      [
        logged,
        ...audit(log),
        ['a', 'create schema other; create table other.before (who text, y text)'],
        ['a', 'alter index other.before rename to log'],
        ['b', 'set search_path = other, public'],
        touch,
        ['b', 'select * from other.log'],
      ],
    ],
    [
      'a temporary table',
      [
        logged,
        ...audit(log),
        ['b', 'create schema other; set search_path = other'],
        ['b', 'create temp table log (who text, y text)'],
        ['b', 'update public.people set name = name'],
        ['b', 'select * from pg_temp.log'],
      ],
    ],
    [
      'a table of another schema, for code on other rows that reads masked ones',
      [
        logged,
        ['owner', trigger('audit', 'insert into log select name, ssn from people;')],
        ['owner', 'create trigger audit after insert on mine for each row execute function audit()'],
        ['a', 'create schema other; create table other.log (who text, y text)'],
        ['b', 'set search_path = other, public'],
        ['b', 'insert into mine values (7)'],
        ['b', 'select * from other.log'],
      ],
    ],
    [
      'a domain, that of a function, for code on other rows that reads masked ones',
      [
        ['owner', trigger('audit', 'insert into notes select id, md5(ssn) from people;')],
        ['owner', 'create trigger audit after insert on mine for each row execute function audit()'],
        ['a', 'create domain md5 as text'],
        ['b', 'insert into mine values (7)'],
        ['b', 'select * from notes'],
      ],
    ],
    [
      'a trigger on what such code writes to',
      [
        ['owner', 'create table hashes (id int, v text)'],
        ['owner', trigger('hash', 'new.v := md5(new.v);')],
        ['owner', 'create trigger hash before insert on hashes for each row execute function hash()'],
        ...audit('insert into hashes values (new.id, new.ssn);'),
        ['a', trigger('first', 'insert into notes values (9, new.v);')],
        ['a', 'create trigger first before insert on hashes for each row execute function first()'],
        touch,
        ['b', 'select * from notes'],
      ],
    ],
    [
      'another function of a trigger on what such code writes to',
      [
        ['owner', 'create table hashes (id int, v text)'],
        ['owner', trigger('hash', 'new.v := md5(new.v);')],
        ['owner', 'create trigger hash before insert on hashes for each row execute function hash()'],
        ...audit('insert into hashes values (new.id, new.ssn);'),
        ['a', trigger('hash', 'null;').replace('create', 'create or replace')],
        touch,
        ['b', 'select * from hashes'],
      ],
    ],
  ])('%s', async (_, steps) => {
    expect(await seenBy(steps)).not.toContain('CANARY');
  });

  it.each<[string, string, readonly string[]]>([
    [
      'a type, in a materialized view',
      'declare c text := x; begin return md5(c); end',
      [
        "create domain pg_temp.text as pg_catalog.text check (value not like 'CANARY-1%')",
        'refresh materialized view hashed_people',
      ],
    ],
    [
      'a table, in a materialized view',
      'begin insert into kept values (x); return md5(x); end',
      [
        'set search_path = pg_catalog; create temp table kept (v text); set search_path = public',
        'refresh materialized view hashed_people',
        'select * from pg_temp.kept',
      ],
    ],
  ])('nor of what a view calls: %s', async (_, body, said) => {
    const seen = await seenBy([
      [
        'owner',
        `drop table defaulted, trapped, moods; create table kept (v text);
         create function hashed(x text) returns text language plpgsql set search_path = public as $$ ${body} $$;
         create materialized view hashed_people as select id, hashed(ssn) as h from people`,
      ],
      ...said.map((sql): Step => ['a', sql]),
    ]);
    expect(seen).not.toMatch(/CANARY|23514/);
  });

  it('but an enumeration under a name that nothing has is made, where code runs on other rows alone', async () => {
    const seen = await seenBy([
      ['a', "create type grade as enum ('low', 'high'); create table graded (grade grade)"],
      ['a', "insert into graded values ('low')"],
      ['a', 'select grade from graded'],
    ]);
    expect(seen).toContain('[[{"grade":"low"}]]');
  });

  it.each(['code', 'text'])('nor tells by an error which values a type has: %s', async (type) => {
    const steps = (guess: string): readonly Step[] => [
      ['owner', 'create domain code as text'],
      ...audit(`declare c ${type} := new.ssn; begin null; end;`),
      ['b', `create domain pg_temp.${type} as pg_catalog.text check (value = '${guess}')`],
      ['b', 'update people set name = name where id = 1'],
    ];
    const [right, wrong] = [await seenBy(steps('CANARY-1')), await seenBy(steps('CANARY-2'))];
    expect(right.replaceAll('CANARY-1', '')).toBe(wrong.replaceAll('CANARY-2', ''));
  });

  it('nor a function that of a policy which reads masked rows', async () => {
    const seen = await seenBy([
      ['owner', "create function seen(text) returns boolean language sql as 'select true'"],
      ['owner', 'create policy p on mine using (seen((select ssn from people where people.id = mine.id)))'],
      ['owner', 'alter table mine enable row level security; alter table mine force row level security'],
      [
        'a',
        'create or replace function seen(text) returns boolean language plpgsql as $$ begin insert into notes values (9, $1); return true; end $$',
      ],
      ['b', 'select * from mine'],
      ['b', 'select * from notes'],
    ]);
    expect(seen).not.toContain('CANARY');
  });
});

describe('a function of an extension is not replaced', () => {
  it('by one that is given masked values', async () => {
    const seen = await seenBy([
      ['owner', 'reset role; create extension pgcrypto; alter role gate superuser'],
      ['owner', "alter table people add check (length(digest(ssn, 'sha256')) > 1)"],
      [
        'a',
        "create or replace function digest(text, text) returns bytea language plpgsql as $$ begin insert into public.notes values (5, $1); return 'ab'; end $$",
      ],
      touch,
      ['b', 'select * from notes'],
    ]);
    expect(seen).not.toContain('CANARY');
  });

  it('by one that nobody looks at again', async () => {
    const seen = await seenBy([
      ['owner', 'reset role; create extension unaccent; alter role gate superuser'],
      [
        'a',
        teller('unaccent', 'update later set id = 500').replace('create', 'create or replace').replace('()', '(text)'),
      ],
      ['a', 'create view later as select * from shops'],
      ['a', "select unaccent('x')"],
    ]);
    expect(seen).not.toContain('CANARY');
  });
});

describe("PostgreSQL's own relations", () => {
  it('are not written by a block', async () => {
    const rewritten =
      "update pg_proc set prosrc = 'select ss' || 'n::text from peo' || 'ple limit 1' where proname = 'f'";
    const seen = await seenBy([
      ['owner', 'reset role; alter role gate superuser'],
      ['a', "create function f() returns text language sql as 'select null::text'"],
      ['a', `do $b$ begin ${rewritten}; insert into notes values (9, f()); end $b$`],
      ['a', 'select * from notes'],
    ]);
    expect(seen).not.toContain('CANARY');
  });
});

describe('code that no name leads to', () => {
  it.each<[string, readonly Step[]]>([
    ['the check of a domain, by its OID', [['a', "select domain_in('1', 'told'::regtype, -1)"]]],
    ['the check of a domain, in a row', [['a', "select record_in('(1)', 'pair'::regtype, -1)"]]],
    ['the check of a domain, in an array', [['a', "select array_in('{1}', 'told'::regtype, -1)"]]],
    [
      'the check of a domain, in a block',
      [
        ['a', block("perform domain_in('1', (select oid from pg_type where typname = 'to' || 'ld'), -1)")],
        ['a', 'select * from notes'],
      ],
    ],
    ['a cast of an enumeration', [['a', 'select m::text from moods']]],
    ['a cast of an enumeration by assignment', [['a', 'insert into notes select 1, m from moods returning note']]],
    [
      'a cast of an enumeration in a block',
      [
        ['a', "do $$ begin insert into notes values (1, 'sad'::mood); end $$"],
        ['a', 'select * from notes'],
      ],
    ],
    ...['in (json $$2$$)', 'is distinct from json $$2$$'].map((rest): [string, readonly Step[]] => [
      `an operator that no token names: ${rest}`,
      [
        ['owner', "create function json_eq(json, json) returns boolean language sql as 'select leaky()'"],
        ['owner', 'create operator = (leftarg = json, rightarg = json, function = json_eq)'],
        ['a', `do $b$ begin perform json $$1$$ ${rest}; end $b$`],
      ],
    ]),
  ])('%s', async (_, steps) => {
    expect(await seenBy(steps)).not.toContain('CANARY');
  });
});

describe('a row policy runs nothing that reads masked rows, in whatever statement has waited for it', () => {
  const secured = 'alter table mine enable row level security; alter table mine force row level security';
  it.each([
    'leaky()',
    'public.leaky()',
    'leak() is null',
    "current_setting('app.x' || leak(), true) is null",
    'id::told is null',
    'cast(id as public.told) is null',
    'mine.odd',
    '(mine).odd',
    '(select ssn::int from people where people.id = 1) > 0',
    'id = any (select ssn::int from people)',
    'exists (select from people where ssn::int = mine.id)',
    'id ### 1',
    'id operator(public.###) 1',
  ])('%s', async (expression) => {
    const steps: readonly Step[] = [
      [
        'owner',
        "create function odd(mine) returns boolean language plpgsql as 'begin return (select ssn::int from people where id = 1) > 0; end'",
      ],
      ['owner', "create function differ(int, int) returns boolean language sql as 'select leaky()'"],
      ['owner', 'create operator ### (leftarg = int, rightarg = int, function = differ)'],
      ['b', 'begin; lock table mine'],
      ['a…', 'select * from mine'],
      ['b', `${secured}; create policy p on mine using (${expression}); commit`],
      ['b', `rollback; create policy p on mine using (true); ${secured}`],
      ['b', 'begin; lock table mine'],
      ['a…', 'select * from mine'],
      ['b', `alter policy p on mine using (${expression}); commit`],
    ];
    expect(await seenBy(steps)).not.toContain('CANARY');
  });

  it('and one that computes holds', async () => {
    const seen = await seenBy([
      ['a', `insert into mine values (2); create policy p on mine using (id = current_setting('hnsw.me')::int)`],
      ['a', `${secured}; set hnsw.me = '2'`],
      ['a', 'select id from mine'],
    ]);
    expect(seen).toContain('[[{"id":2}]]');
  });

  it('nor keeps what code on masked rows writes', async () => {
    const seen = await seenBy([
      ['owner', 'create table staged (id int, v text)'],
      ...audit('insert into staged values (new.id, new.ssn); delete from staged;'),
      ['a', 'alter table staged enable row level security'],
      ['a', 'alter table staged force row level security'],
      ['a', "create policy p on staged using (true) with check (set_config('hnsw.seen', v, false) is not null)"],
      touch,
      ['b', "select current_setting('hnsw.seen', true)"],
    ]);
    expect(seen).not.toContain('CANARY');
  });

  it('nor does a check', async () => {
    const seen = await seenBy([
      ['owner', 'create table staged (id int, v text)'],
      ...audit('insert into staged values (new.id, new.ssn); delete from staged;'),
      ['a', "alter table staged add check (set_config('hnsw.seen', v, false) is not null)"],
      touch,
      ['b', "select current_setting('hnsw.seen', true)"],
    ]);
    expect(seen).not.toContain('CANARY');
  });

  it.each([
    'leaky()',
    'exists (select from people where ssn::int = mine.id)',
  ])('nor shows what one tells that is enabled meanwhile: %s', async (expression) => {
    const seen = await seenBy([
      ['owner', `create policy p on mine using (${expression})`],
      ['b', 'begin; lock table mine'],
      ['a…', 'select * from mine'],
      ['b', `${secured}; commit`],
    ]);
    expect(seen).not.toContain('CANARY');
  });

  it('nor a view that takes the place of what such code writes to', async () => {
    const kept = "set_config('hnsw.seen', v, false) is not null";
    const seen = await seenBy([
      ['owner', 'create table staged (id int, v text)'],
      ...audit('insert into staged values (new.id, new.ssn); delete from staged;'),
      ['a', 'alter table staged rename to before'],
      ['a', `create view staged as select * from before where ${kept} with check option`],
      touch,
      ['b', "select current_setting('hnsw.seen', true)"],
    ]);
    expect(seen).not.toContain('CANARY');
  });
});
