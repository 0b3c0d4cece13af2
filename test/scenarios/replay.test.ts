/** What was done is judged again by other policies, and the least policies are made of it, from the ledger of a real gateway alone. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { mayLackPsql } from '../support/psql.ts';
import { type Stack, startStack } from '../support/stack.ts';

const IN_FORCE = `
@id("connects") permit(principal, action == Action::"postgres:connect", resource);
@id("reads") @mask("public.people.ssn:last4") @limit("rows=100")
permit(principal, action == Action::"postgres:select", resource is Postgres::Table);
@id("writes") permit(principal, action in Action::"postgres:write", resource is Postgres::Table)
when { resource.name == "items" };
`;
const SEED = `
create table items (id int primary key, name text, cost int); insert into items values (1, 'pen', 3), (2, 'ink', 5);
create table people (id int primary key, name text, ssn text); insert into people values (1, 'Ann', 'x-1234567890');
create table other (id int); create view names as select name from people;
grant all on all tables in schema public to shop_app;`;
/** As an application's day is: read, masked, by a view, written, prepared, in a transaction, and refused. */
const DAY = `
select id, name from items where id = 1;
select name from items;
select id, ssn from people;
select name from names;
insert into items values (3, 'cap', 7);
update items set cost = cost + 1 where id = 3;
begin; delete from items where id = 3; commit;
prepare one as select cost from items where id = $1; execute one(1); execute one(2);
set application_name = 'a day';
\\set ON_ERROR_STOP 0
delete from people where id = 1;
select nothing from items;
selec;
`;

let stack: Stack;
let folder: string;
beforeAll(async () => {
  if (mayLackPsql()) return;
  stack = await startStack({ store: 'sqlite', policies: { 'in-force': IN_FORCE }, seed: SEED });
  folder = path.join(stack.folder.path, 'candidates');
  fs.mkdirSync(folder, { mode: 0o755 });
  for (let time = 0; time < 2; time++) expect(await stack.psql(DAY)).toMatchObject({ code: 0 });
});
afterAll(() => stack?.stop());

const test = it.skipIf(mayLackPsql());

/** The answer of a command about the gateway's ledger. */
async function ask<T>(...args: readonly string[]): Promise<{ code: number; value: T; said: string }> {
  const { code, stdout, stderr } = await stack.cli([...args, '--json'], { user: stack.users.gateway });
  return { code, value: stdout === '' ? (undefined as T) : JSON.parse(stdout), said: stderr };
}

function candidate(name: string, text: string): string {
  const file = path.join(folder, `${name}.cedar`);
  fs.writeFileSync(file, text, { mode: 0o644 });
  return file;
}

interface Difference {
  readonly kind: string;
  readonly identity: string;
  readonly question: { readonly action: string; readonly resource: string };
  readonly count: number;
  readonly policies: readonly string[];
  readonly after: readonly string[];
}
interface Replayed {
  readonly judged: number;
  readonly cut: number;
  readonly differences: readonly Difference[];
}

test('the same policies answer as they did', async () => {
  const { code, value, said } = await ask<Replayed>('policy', 'replay', candidate('same', IN_FORCE));
  expect([code, value?.differences, value?.cut], said).toEqual([0, [], 0]);
  expect(value.judged).toBeGreaterThan(20);
});

test('others differ by what was changed in them, and by nothing else', async () => {
  const changed = IN_FORCE.replace('ssn:last4', 'ssn:redact').replace('"items"', '"other"');
  const file = candidate(
    'changed',
    `${changed} @id("no-names") forbid(principal, action, resource == Postgres::Table::"shop/shop/public/names");
    @id("people-deleted") permit(principal, action == Action::"postgres:delete", resource == Postgres::Table::"shop/shop/public/people");`,
  );
  const { code, value } = await ask<Replayed>('policy', 'replay', file);
  expect(code).toBe(1);
  const found = value.differences.map(({ kind, identity, question: { action, resource }, count }) =>
    [kind, identity, action, resource, count].join(' '),
  );
  const web = 'spiffe://example.org/web';
  expect(found.toSorted()).toEqual([
    `allowed ${web} postgres:delete shop/shop/public/people 2`,
    `denied ${web} postgres:delete shop/shop/public/items 2`,
    `denied ${web} postgres:insert shop/shop/public/items 2`,
    `denied ${web} postgres:select shop/shop/public/names 2`,
    `denied ${web} postgres:update shop/shop/public/items 2`,
    `obligations ${web} postgres:select shop/shop/public/people 2`,
  ]);
});

test('the least permits replay without a difference, and serve the same day and nothing more', async () => {
  const made = await stack.cli(['policy', 'tighten'], { user: stack.users.gateway, env: { COLUMNS: '80' } });
  expect(made.code, made.stderr).toBe(0);
  const tight = candidate('tight', made.stdout);
  const { code, value } = await ask<Replayed>('policy', 'replay', tight);
  expect([code, value.differences], made.stdout).toEqual([0, []]);
  await stack.apply({ 'in-force.cedar': made.stdout });
  const day = await stack.psql(DAY);
  expect(day.code, day.stderr).toBe(0);
  expect(day.stdout).toContain('********7890');
  for (const more of ['select id from other', 'select cost from people', 'update items set cost = 0', 'truncate items'])
    expect((await stack.psql(more)).stderr, more).toMatch(/no policy permits|policy does not allow|does not exist/);
});

test('says in words what would be answered otherwise', async () => {
  const { code, stdout } = await stack.cli(['policy', 'replay', candidate('none', '')], {
    user: stack.users.gateway,
    env: { COLUMNS: '80' },
  });
  expect(code).toBe(1);
  expect(stdout).toMatch(/^\d+ operations were judged again; \d+ were refused whatever policy says\.\n\nNewly denied:/);
  expect(stdout).toContain('nothing permits it');
});
