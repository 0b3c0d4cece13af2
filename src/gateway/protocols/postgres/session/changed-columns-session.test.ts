// Goal: an identity with masks that may define tables holds its own statement up by a lock, and changes what the statement's names mean meanwhile: nothing
// masked comes out. Each attack is also carried out where no gateway stands, to see that it would show one.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Step, startAttacks } from '../testing/attacks.ts';

let attacks: Awaited<ReturnType<typeof startAttacks>>;
beforeAll(async () => {
  attacks = await startAttacks();
});
afterAll(() => attacks?.stop());

async function holds(steps: readonly Step[]) {
  expect(await attacks.seenWithout({ steps })).toContain('CANARY-1');
  expect(await attacks.seenBy({ steps })).not.toContain('CANARY');
}

const own = (shape: string): Step => [
  'a',
  `create type pair as (ssn text); create table own ${shape}; insert into own values (1)`,
];
/** Behind the statement of the same session that waits. */
const then: Step = ['a', 'select * from notes'];

describe('a name that means a column of one table does not come to mean a masked one while the statement waits', () => {
  it.each<[string, string, string, string]>([
    ['of the query around', '(id int, ssn text)', 'alter table own drop column ssn', '(select ssn from own limit 1)'],
    ['by another name', '(id int, ssn text)', 'alter table own rename ssn to x', '(select ssn from own limit 1)'],
    [
      'by another table',
      '(id int, ssn text)',
      'drop table own; create table own (id int); insert into own values (1)',
      '(select ssn from own limit 1)',
    ],
    ['by its whole row', '(id int, n text)', 'alter table own drop column n', '(select n::text from own limit 1)'],
    ['by a field', '(id int, n pair)', 'alter table own drop column n', '(select (n).ssn from own limit 1)'],
    [
      'through a star',
      '(id int, ssn text)',
      'alter table own drop column ssn',
      '(with x as (select * from own) select ssn from x limit 1)',
    ],
    [
      'in a condition',
      '(id int, ssn text)',
      'alter table own drop column ssn',
      "(select 'CANARY-1' where exists (select from own where ssn like '%1'))",
    ],
  ])('%s', async (_, shape, change, expression) => {
    await holds([
      own(shape),
      ['b', 'begin; lock table own in access exclusive mode'],
      ['a…', `insert into notes select n.id, ${expression} from people n`],
      ['b', change],
      ['b', 'commit'],
      then,
    ]);
  });

  it.each<[string, string, string]>([
    ['as rows', '(id int, ssn text)', 'select n.id, (select ssn from own limit 1) as s from people n'],
    ['by its whole row in the same query', '(id int, n text)', 'select n::text from own, people n'],
    ['in a copy', '(id int, n text)', 'insert into notes select n.id, to_json(n)::text from own, people n'],
    [
      'in a change of the row itself',
      '(id int, ssn text)',
      'update people set name = coalesce((select ssn from own limit 1), name) where id = 1',
    ],
    ['by what an update had', '(id int, old text)', 'update people set name = name from own returning old::text'],
    ['prepared', '(id int, ssn text)', 'execute s'],
  ])('%s', async (_, shape, sql) => {
    const column = /(\w+) text\)/.exec(shape)?.[1];
    const prepared = 'prepare s as insert into notes select n.id, (select ssn from own limit 1) from people n';
    await holds([
      own(shape),
      ...(sql === 'execute s' ? [['a', prepared] as const] : []),
      ['b', `begin; alter table own drop column ${column}`],
      ['a…', sql],
      ['b', 'commit'],
      ['a', 'select name from people'],
      then,
    ]);
  });

  it.each([
    ['x', "select d || '' as d from (own cross join people) as j(a, b, c, d)"],
    ['x', "select j.d || '' as d from (select own.*, p.id, p.name, p.ssn from own, people p) as j(a, b, c, d)"],
    ['x', "with j(a, b, c, d) as (select * from own, people) select j.d || '' as d from j"],
    ['x', 'update notes set note = j.d from (own cross join people) as j(a, b, c, d)'],
    ['people', 'update own set id = length(people::text) from people returning people::text'],
    [
      'ssn',
      'begin; declare c cursor with hold for select (select ssn from own limit 1) as s from people n; commit; fetch all from c',
    ],
  ])('by its place among columns, and by other ways: %s, %s', async (column, sql) => {
    await holds([
      own(`(id int, ${column} text)`),
      ['b', `begin; alter table own drop column ${column}`],
      ['a…', sql],
      ['b', 'commit'],
      then,
    ]);
  });
});
