// Goal: whoever may define relations, but not see masked values, catches none that others write or read by an unqualified name.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Step, startAttacks } from '../testing/attacks.ts';

let attacks: Awaited<ReturnType<typeof startAttacks>>;
beforeAll(async () => {
  attacks = await startAttacks();
});
afterAll(() => attacks?.stop());

/** The name of the login, so the first in the path of all. */
const gate: Step = ['a', 'create schema gate'];
const writes: readonly Step[] = [
  ['other', "insert into people values (3, 'Cy', 'CANARY-3', 1)"],
  ['b', 'select id, x from gate.people'],
];
const table = '(id int, name text, x text, ssn text)';

it.each<[string, readonly Step[]]>([
  ['a table', [gate, ['a', `create table gate.people ${table}`], ...writes]],
  ['a table made with its schema', [['a', `create schema gate create table people ${table}`], ...writes]],
  [
    'a table that is renamed',
    [gate, ['a', `create table gate.other ${table}`], ['a', 'alter table gate.other rename to people'], ...writes],
  ],
  [
    'a table that is moved',
    [
      gate,
      ['a', 'create schema aside'],
      ['a', `create table aside.people ${table}`],
      ['a', 'alter table aside.people set schema gate'],
      ...writes,
    ],
  ],
  [
    'a table whose schema is renamed',
    [
      ['a', 'create schema aside'],
      ['a', `create table aside.people ${table}`],
      ['a', 'alter schema aside rename to gate'],
      ...writes,
    ],
  ],
  [
    'a view of a table of its own',
    [
      gate,
      ['a', 'create table gate.caught (id int, name text, x text, shop int)'],
      ['a', "insert into gate.caught values (1, 'Ann', '', 1)"],
      ['a', 'create view gate.people as select id, name, x as ssn, shop from gate.caught'],
      ['other', "update people set ssn = 'CANARY-4' where id = 1"],
      ['b', 'select id, x from gate.caught'],
    ],
  ],
  [
    'a table in the place of a view of the masked one',
    [
      ['owner', 'create view clients as select * from people'],
      gate,
      ['a', 'create table gate.clients (id int, name text, x text, ssn int)'],
      ['other', "insert into clients values (3, 'Cy', 'CANARY-3', 1)"],
      ['b', 'select id, x from gate.clients'],
    ],
  ],
  [
    'a table that code of others writes to',
    [
      [
        'owner',
        'create table log (x text); create function promote() returns void language sql as $$ insert into log select ssn from people $$',
      ],
      gate,
      ['a', 'create table gate.log (x text)'],
      ['other', 'select promote()'],
      ['b', 'select * from gate.log'],
    ],
  ],
])('%s in a schema before another catches nothing', async (_, steps) => {
  expect(await attacks.seenWithout({ steps })).toMatch(/CANARY-\d/);
  expect(await attacks.seenBy({ steps })).not.toMatch(/CANARY-\d/);
});

it('a name that leads to nothing masked may be used once more, where there is no code', async () => {
  const steps: readonly Step[] = [
    gate,
    ['a', 'create table gate.notes (x text)'],
    ['b', "select 'made', x from gate.notes"],
  ];
  expect(await attacks.seenBy({ steps })).not.toContain('countersign');
});
