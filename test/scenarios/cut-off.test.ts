/** A gateway that is cut off from the record goes on for as long as it may, then executes nothing, and goes on by itself once all is shipped. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { listed } from '../support/listed.ts';
import { type Stack, startStack } from '../support/stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({
    seed: 'create table kept (id text); grant all on kept to shop_app;',
    settings: { gateway: { unshippedMax: '15s' } },
  });
});
afterAll(() => stack?.stop());

const write = (word: string) => stack.psql(`insert into kept values ('${word}')`);
const kept = async () => (await stack.psql('select count(*) from kept', { args: ['-At'] })).stdout.trim();

it('goes on, refuses what is new with what to do, and goes on again', async () => {
  await eventually('it is served', async () => (await write('first')).code === 0, { withinMs: 30_000 });
  await stack.roles.server.end('SIGTERM');
  expect(await write('cut off')).toMatchObject({ code: 0, stderr: '' });
  let taken = 2;
  await eventually(
    'it has had its time',
    async () => {
      const { code, stderr } = await write('cut off');
      if (code === 0) taken++;
      else expect(stderr).toMatch(/what the gateway has recorded does not reach the servers, so nothing is executed/);
      return code !== 0;
    },
    { withinMs: 30_000 },
  );
  stack.roles.server.start();
  await stack.roles.server.ready();
  await eventually('it executes again', async () => (await write('back')).code === 0, { withinMs: 40_000 });
  expect(await kept()).toBe(`${taken + 1}`);
  const entries = await stack.ledger();
  const logs = () => listed(stack, ['record', 'logs']);
  await eventually('all is in the record', async () =>
    (await logs()).some((log) => `${log['origin']}`.includes('/gateway/') && Number(log['entries']) >= entries.length),
  );
});
