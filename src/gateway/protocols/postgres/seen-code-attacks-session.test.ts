// Goal: where texts decide which code may run, an identity with masks that may define whatever it likes is shown no masked value by it, whatever its names come to mean
// meanwhile. Each attack is also carried out where no gateway stands, to see that it would show one.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { audit, block, type Step, startAttacks, teller, telling, trigger } from './testing/attacks.ts';

let attacks: Awaited<ReturnType<typeof startAttacks>>;
beforeAll(async () => {
  attacks = await startAttacks({ isAllProven: true });
});
afterAll(() => attacks?.stop());

const notes: Step = ['b', 'select * from notes'];
const HARMLESS = 'create function harmless() returns int language sql as $$ select 1 $$';
async function holds(steps: readonly Step[]) {
  expect(await attacks.seenWithout(steps)).toContain('CANARY-1');
  expect(await attacks.seenBy([...steps.slice(0, 1), ['b', HARMLESS], ...steps.slice(1)])).not.toContain('CANARY');
}

it('code is proven here', async () => {
  const seen = await attacks.seenBy([
    ['a', HARMLESS],
    ['a', telling('f', 'insert into notes values (7, null)')],
    ['a', 'create trigger f after insert on mine for each row execute function f()'],
    ['b', 'insert into mine values (2)'],
    ['b', 'select harmless() + count(*) as sum from notes'],
  ]);
  expect(seen).toContain('{"sum":"2"}');
});

describe('what leads to masked rows gets no name that proven code will look for', () => {
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
        ['a', telling('f', 'update later set id = 500')],
        ['a', 'create trigger f after insert on mine for each row execute function f()'],
        ['a', over],
        ['a', 'insert into mine values (2)'],
        ['a', 'select * from notes'],
      ],
    ],
    [
      'a view made before a deferred trigger runs',
      [
        ['a', telling('f', 'update later set id = 500')],
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
      'a table renamed as if it were an index',
      [
        ['a', 'create table later (id int, name text)'],
        ['a', telling('f', 'update later set id = 500')],
        ['a', 'create trigger f after insert on mine for each row execute function f()'],
        ['a', 'drop table later'],
        ['a', 'alter index shops rename to later'],
        ['a', 'insert into mine values (2)'],
        notes,
      ],
    ],
    [
      'a table renamed after a block has made it',
      [
        ['a', 'create table later (id int, name text)'],
        ['a', telling('f', 'update later set id = 500')],
        ['a', 'create trigger f after insert on mine for each row execute function f()'],
        ['a', 'do $$ begin drop table later; alter table shops rename to later; end $$'],
        ['a', 'insert into mine values (2)'],
        notes,
      ],
    ],
    [
      'a key that comes with a column',
      [
        [
          'owner',
          'alter table people drop constraint people_shop_fkey, add foreign key (shop) references shops on delete set null, alter shop set not null',
        ],
        ['a', telling('f', 'delete from mine')],
        ['a', 'create table own (id int)'],
        ['a', 'create trigger f after insert on own for each row execute function f()'],
        ['a', 'alter table shops add column m int default 1 references mine on delete cascade'],
        ['b', 'insert into own values (1)'],
        notes,
      ],
    ],
    [
      'a view of what a trigger in C leads from',
      [
        [
          'owner',
          `reset role; create extension refint; set role gate; create table depots (id int primary key); insert into depots values (1);
          create trigger r after update or delete on depots for each row execute function check_foreign_key(1, 'cascade', 'id', 'people', 'shop');
          alter table people drop constraint people_shop_fkey`,
        ],
        ['a', 'create table later (id int)'],
        ['a', telling('f', 'update later set id = 500')],
        ['a', 'create table own (id int)'],
        ['a', 'create trigger f after insert on own for each row execute function f()'],
        ['a', 'drop table later'],
        ['a', 'create view later as select * from depots'],
        ['b', 'insert into own values (1)'],
        notes,
      ],
    ],
    ...(
      [
        ['a key', 'alter table shops add foreign key (id) references mine on update cascade'],
        ['a key in the other direction', 'alter table people add foreign key (shop) references mine on update cascade'],
        ['a child', 'alter table mine add column name text; alter table shops inherit mine'],
        ['a rule', 'create rule r as on update to mine do also update shops set id = 500'],
      ] as const
    ).map(([name, link]): [string, readonly Step[]] => [
      `${name} that comes later`,
      [
        ['a', telling('f', 'update mine set id = 500')],
        ['a', 'create table own (id int)'],
        ['a', 'create trigger f after insert on own for each row execute function f()'],
        ['a', link],
        ['b', 'insert into own values (1)'],
        notes,
      ],
    ]),
  ])('%s', async (_, steps) => holds(steps));
});

describe('what is not followed', () => {
  it.each<[string, readonly Step[]]>([
    [
      'a function of an extension is not replaced',
      [
        ['owner', 'reset role; create extension unaccent; alter role gate superuser; set role gate'],
        [
          'a',
          "create or replace function unaccent(text) returns text language sql as 'select ssn from public.people limit 1'",
        ],
        ['a', "select unaccent('x')"],
      ],
    ],
    ...['(update mine) for update pg_proc', 'for update pg_proc update', 'for update pg_proc "update"'].map(
      (cursor): [string, readonly Step[]] => [
        `an update that is opened as a cursor: ${cursor}`,
        [
          ['owner', 'reset role; alter role gate superuser; set role gate'],
          ['a', "create function quiet() returns text language sql as $$ select 'x' $$"],
          [
            'a',
            `create function f() returns text language plpgsql as $b$ declare r record; c cursor ${cursor} set prosrc = 'select ss' || 'n::text from peo' || 'ple limit 1' where proname = 'quiet' returning pg_backend_pid() as p; begin for r in c${cursor.startsWith('(') ? '(null)' : ''} loop null; end loop; return 'done'; end $b$`,
          ],
          ['a', 'select f()'],
          ['b', 'select quiet()'],
        ],
      ],
    ),
    ['a view of masked rows', [['a', block('update names set id = null')], notes]],
    ['a table whose key changes masked rows', [['a', block('update shops set id = 500')], notes]],
  ])('%s', async (_, steps) => holds(steps));

  it.each([
    [
      'a trigger on a view of masked rows',
      'create trigger f instead of update on names for each row execute function f()',
    ],
    ['a view of it with a function', 'create view v as select harmless(), id from names group by id'],
    ['its shape, in a child', 'create table child () inherits (people)'],
    ['everything', 'do $$ begin analyze; end $$'],
  ])('%s is refused', async (_, sql) => {
    const seen = await attacks.seenBy([
      ['a', HARMLESS],
      ['a', trigger('f', 'null;')],
      ['b', sql],
    ]);
    expect(seen).toContain('42501');
  });
});

describe('where code works on masked rows, or runs without a name and is not proven, none is', () => {
  const fine = "create function fine(text) returns boolean language sql immutable as 'select true'";
  it.each<[string, string]>([
    [
      'a trigger',
      audit('null;')
        .map(([, sql]) => sql)
        .join(';'),
    ],
    [
      'a trigger of a view',
      `${trigger('f', 'null;')}; create trigger f instead of update on names for each row execute function f()`,
    ],
    ['a rule', 'create rule r as on update to people do also insert into notes values (1, new.ssn)'],
    ['a rule that reads them', 'create rule r as on insert to notes do also select ssn from people'],
    ['a check', `${fine}; alter table people add check (fine(ssn))`],
    [
      'a default',
      `create function one() returns int language sql as 'select 1'; alter table people alter id set default one()`,
    ],
    ['an index', `${fine}; create index on people (fine(ssn))`],
    [
      'a column that is made of others',
      `${fine}; alter table people add f boolean generated always as (fine(ssn)) stored`,
    ],
    ['a policy', `${fine}; create policy p on people using (fine(ssn))`],
    [
      'a policy that reads them',
      'create policy p on mine using (exists (select from people where people.id = mine.id))',
    ],
    ['a view', `${fine}; create view v as select id from people where fine(ssn)`],
    [
      'a trigger in C',
      "reset role; create extension refint; set role gate; create trigger r after delete on people for each row execute function check_foreign_key(1, 'cascade', 'ssn', 'notes', 'note')",
    ],
    [
      'a trigger of others that is not proven',
      `${trigger('f', 'perform leak();')}; create trigger f before insert on notes for each row execute function f()`,
    ],
    ['a default that is not proven', 'alter table notes alter note set default leak()'],
    ['a domain', 'create domain told as int check (leaky())'],
    [
      'an operator',
      "create function op(json, json) returns boolean language sql as 'select leaky()'; create operator = (leftarg = json, rightarg = json, function = op)",
    ],
    [
      'a cast',
      "create type mood as enum ('sad'); create function mood_text(mood) returns text language sql as 'select leak()'; reset role; create cast (mood as text) with function mood_text(mood) as assignment",
    ],
    [
      'an event trigger',
      "create function ev() returns event_trigger language plpgsql as 'begin perform leak(); end'; reset role; create event trigger ev on ddl_command_end execute function ev()",
    ],
    [
      'an operator that is proven',
      "create function op(json, json) returns boolean language sql as 'select true'; create operator = (leftarg = json, rightarg = json, function = op)",
    ],
    ['statistics', `${fine}; create statistics s on (fine(ssn)), name from people`],
    [
      'a domain that is proven',
      `${fine}; create domain mail as text check (fine(value)); create index on people ((ssn::mail))`,
    ],
  ])('%s', async (_, owner) => {
    const seen = await attacks.seenBy([
      ['owner', owner],
      ['a', HARMLESS],
      ['b', 'do $$ begin perform 1; end $$'],
    ]);
    expect(seen.match(/"42501"/g)?.length).toBe(2);
  });

  it.each([
    [
      'a trigger of others',
      `${trigger('f', 'null;')}; create trigger f before insert on notes for each row execute function f()`,
    ],
    ['a domain', "create domain small as int check (value < 10 and value::text ~ '^1'); create table smalls (x small)"],
    ['functions that nothing sets off', `${trigger('f', "execute 'select 1';")}`],
    [
      'triggers of PostgreSQL',
      "alter table people add t tsvector; create trigger t before update on people for each row execute function tsvector_update_trigger(t, 'pg_catalog.english', name)",
    ],
    [
      'extensions that only compute',
      'reset role; create extension citext; create extension pgcrypto; set role gate; alter table people add mail citext',
    ],
  ])('but not by %s', async (_, owner) => {
    const seen = await attacks.seenBy([
      ['owner', owner],
      ['a', HARMLESS],
      ['b', 'do $$ begin perform 1; end $$'],
    ]);
    expect(seen).not.toContain('42501');
  });
});

it.each([
  'create view v as select * from firms where id > 5',
  'create view v as select count(*) from names group by id',
])('ordinary views are made: %s', async (sql) => {
  const seen = await attacks.seenBy([
    ['owner', 'create table firms (id int primary key); alter table people add firm int references firms'],
    ['a', sql],
  ]);
  expect(seen).not.toContain('42501');
});
