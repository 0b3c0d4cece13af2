// Goal: what a statement reads is what it was judged to read, however long it waits behind another session of the same identity, which may define whatever
// it likes. PostgreSQL looks at a view when it gets to it, which is when the lock is gone, or when what stands before it in the text is over.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Step, startAttacks } from '../testing/attacks.ts';

/** `names` shows nothing masked, `shown` does, and `later` reads what is nobody's secret. */
const SEED = `
  alter schema public owner to gate; grant create on database app to gate; set role gate;
  create table people (id int primary key, name varchar(20) not null, ssn varchar(20));
  insert into people values (1, 'Ann', 'CANARY-1'), (2, 'Bob', 'CANARY-2');
  create table notes (id int, note varchar(20)); insert into notes values (1, 'one');
  create view names as select id, name as note from people;
  create view shown as select id, ssn as note from people;
  create view later as select id, note from notes;
  create table parts (id int, note varchar(20)) partition by list (id);
  create table mine (id int, note varchar(20));
  create schema other; create view other.later as select id, note from notes;`;

let attacks: Awaited<ReturnType<typeof startAttacks>>;
beforeAll(async () => {
  attacks = await startAttacks({ seed: SEED });
});
afterAll(() => attacks?.stop());

const READ = 'select id, note from later';
const replacing = 'create or replace view later as select id, ssn as note from people';
const behind = (asked: string, done: string): readonly Step[] => [
  ['b', 'begin; lock table notes, later'],
  ['a…', asked],
  ['b', `${done}; commit`],
  ['a', 'select note from mine'],
];
const meanwhile = (asked: string, ...done: readonly string[]): readonly Step[] => [
  ['a…', `select pg_sleep(2); ${asked}`],
  ...done.map((sql): Step => ['b', sql]),
  ['a', 'select note from mine'],
];

it.each<[string, readonly Step[]]>([
  ['a view', behind(READ, replacing)],
  ['a view whose rows are stored', behind('insert into mine select id, note from later', replacing)],
  ['a view of that view', behind('select id, note from over', replacing)],
  ['a view, while the text sleeps', meanwhile(READ, replacing)],
  [
    'a view whose rows are stored, while the text sleeps',
    meanwhile('insert into mine select id, note from later', replacing),
  ],
  [
    'a view that is dropped and made anew',
    meanwhile(READ, 'drop view over, later', replacing.replace('or replace ', '')),
  ],
  [
    'a view in the place of a table',
    meanwhile('select id, note from notes', 'drop table notes cascade', replacing.replace('view later', 'view notes')),
  ],
  [
    'the view of masked columns, renamed',
    meanwhile(
      READ,
      'alter view over rename to o; alter view later rename to before',
      'alter view shown rename to later',
    ),
  ],
  [
    'the view of masked columns, renamed as if it were a table',
    meanwhile(READ, 'alter view later rename to before', 'alter table shown rename to later'),
  ],
  [
    'the view of masked columns, renamed by a block',
    meanwhile(READ, 'do $$ begin alter view later rename to before; alter view shown rename to later; end $$'),
  ],
  ['a view of the view of masked columns', behind(READ, 'create or replace view later as select id, note from shown')],
  [
    'a view of a query that names them elsewhere',
    behind(
      READ,
      'create or replace view later as with x as (select * from people) select id, note from notes union all select id, ssn from x',
    ),
  ],
  [
    'a view with a subquery',
    behind(
      READ,
      'create or replace view later as select id, (select ssn from people where id = 1)::varchar(20) as note from notes',
    ),
  ],
  [
    'a view of whole rows',
    behind(READ, 'create or replace view later as select id, cast(p::text as varchar(20)) as note from people p'),
  ],
  ['a recursive view', behind(READ, 'create or replace recursive view later (id, note) as select id, ssn from people')],
  ['a temporary view', meanwhile(READ, 'create temp view later as select id, ssn as note from people')],
  [
    'the rule of a view',
    behind(
      READ,
      'create or replace rule "_RETURN" as on select to later do instead select id, ssn as note from people',
    ),
  ],
  [
    'a schema that takes the name of another',
    meanwhile(
      'select id, note from other.later',
      'create schema third; create view third.later as select id, ssn as note from people',
      'alter schema other rename to fourth',
      'alter schema third rename to other',
    ),
  ],
  [
    'the first schema of the path',
    [
      ['a', 'set search_path = other, public'],
      ...meanwhile(
        READ,
        'drop view other.later',
        'create or replace view public.later as select id, ssn as note from people',
      ),
    ],
  ],
  ['a partition', behind('select id, note from parts', 'alter table parts attach partition people default')],
  ['a parent', behind('select id, note from mine', 'alter table people inherit mine')],
  [
    'a materialized view',
    meanwhile(READ, 'drop view over, later', 'create materialized view later as select id, ssn as note from people'),
  ],
])('behind a lock or a sleep: %s', async (_, steps) => {
  const over: Step = ['b', 'create view over as select id, note from later'];
  expect(await attacks.seenBy({ steps: [over, ...steps] })).not.toContain('CANARY');
});

it('is an attack: where nothing is masked, the rows are those of the new view', async () => {
  expect(await attacks.seenWithout({ steps: behind(READ, replacing) })).toContain('CANARY');
  expect(await attacks.seenWithout({ steps: meanwhile(READ, replacing) })).toContain('CANARY');
});

it('a view of what is not masked is replaced', async () => {
  const steps = behind(
    READ,
    "create or replace view later as select id, cast('new' as varchar(20)) as note from notes",
  );
  expect(await attacks.seenBy({ steps })).toContain('[{"id":1,"note":"new"}]');
});
