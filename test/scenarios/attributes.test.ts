/** What entries say of identities decides at a running gateway, from the moment on when it is said, and what was judged by it can be judged again. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { mayLackPsql } from '../support/psql.ts';
import { type Stack, startStack } from '../support/stack.ts';

const POLICIES = `
@id("connects") permit(principal, action == Action::"postgres:connect", resource);
@id("reads") permit(principal, action == Action::"postgres:select", resource is Postgres::Table)
when {
  principal has environment && principal.environment == "production" &&
  principal.hasTag("team") && principal.getTag("team") == "payments"
};
`;
const WEB = 'spiffe://example.org/web';
const PAYMENTS = { environment: 'production', labels: { team: 'payments', tier: '1' }, owner: 'ann@example.org' };
const READ = 'select count(*) from items';

let stack: Stack;
beforeAll(async () => {
  if (mayLackPsql()) return;
  const seed = 'create table items (id int); insert into items values (1), (2); grant all on items to shop_app;';
  stack = await startStack({ policies: { mine: POLICIES }, seed });
});
afterAll(() => stack?.stop());

const test = it.skipIf(mayLackPsql());

/** Declares anew, with those attributes, entries of psql's identity: all that there are, or that one. */
async function declare(attributes: Readonly<Record<string, unknown>>, only?: string) {
  const { stdout } = await stack.cli(['entry', 'list', '--spiffe-id', WEB, '--json']);
  const entries = JSON.parse(stdout) as { id: string; spiffeId: string; parentId: string; selectors: string[] }[];
  const files = entries
    .filter(({ id }) => only === undefined || id === only)
    .map(({ id, spiffeId, parentId, selectors }) => {
      const spec = { spiffeId, parentId, selectors, ...attributes };
      return [`${id}.yaml`, JSON.stringify({ kind: 'Entry', name: id, spec })] as const;
    });
  const applied = await stack.apply(Object.fromEntries(files), { prune: false });
  expect(applied.code, applied.stderr).toBe(0);
  return applied;
}

const isRefused = async () => (await stack.psql(READ)).stderr.includes('no policy permits postgres:select');
const isServed = async () => (await stack.psql(READ)).stdout === '2\n';

test('an identity of which nothing is said is refused what policy lets a team do', async () => {
  expect(await isRefused()).toBe(true);
});

test('it is served once its entry says of which team and environment it is, and not by one of the two', async () => {
  await declare({ environment: 'production', labels: { team: 'sales' } });
  expect(await isRefused()).toBe(true);
  await declare(PAYMENTS);
  await eventually('the new attributes are in force', isServed);
  const { stdout } = await declare({ environment: 'production', labels: { team: 'sales' } }, 'web');
  expect(stdout).toContain('entries web-tests, web differ in owner, labels.team, labels.tier');
  await eventually('entries that differ say nothing', isRefused);
  await declare(PAYMENTS);
  await eventually('they agree again', isServed);
});

test('a gateway that was started anew knows it', async () => {
  expect(await stack.roles.gateway.end('SIGTERM')).toBe(0);
  stack.roles.gateway.start();
  await stack.roles.gateway.ready();
  await eventually('it serves', isServed);
});

test('it is refused again once its entry says so no more', async () => {
  await declare({ environment: 'staging', labels: { team: 'payments' } });
  await eventually('it is refused', isRefused);
});

test('what was judged by attributes that are no longer so is judged again as it was', async () => {
  const file = path.join(stack.folder.path, 'same.cedar');
  fs.writeFileSync(file, POLICIES, { mode: 0o644 });
  const run = await stack.cli(['policy', 'replay', file, '--json'], { user: stack.users.gateway });
  const { judged, differences } = JSON.parse(run.stdout) as { judged: number; differences: readonly unknown[] };
  expect([run.code, differences], run.stderr).toEqual([0, []]);
  expect(judged).toBeGreaterThan(6);
});
