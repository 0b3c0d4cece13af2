/** A target that does not let the gateway in: the operator hears of it before any client does, and that it is well again without one. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Stack, startStack } from '../support/stack.ts';

let stack: Stack;

beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack?.stop());

/** What `/ready` of the gateway says is wrong with its targets. */
async function problems(): Promise<readonly string[]> {
  const response = await fetch(`http://${stack.folder.http.gateway}/ready`);
  expect(response.status).toBe(200); // Other targets are served.
  const body = (await response.json()) as { problems?: readonly { what: string; found: string }[] }; // As the gateway writes it.
  // On a machine with much else to do, other checks have something to say at times.
  const told = (body.problems ?? []).filter(({ what }) => what.startsWith('target '));
  return told.map(({ what, found }) => `${what}: ${found}`);
}

async function restartGateway() {
  expect(await stack.roles.gateway.end('SIGTERM')).toBe(0);
  stack.roles.gateway.start();
  await stack.roles.gateway.ready();
}

it('is told by /ready and doctor though nobody has connected, and is told no more once it lets the gateway in', async () => {
  expect(await problems()).toEqual([]);
  await stack.dba('alter role shop_app nologin');
  await restartGateway();
  const refused = `target shop: 127.0.0.1:${stack.postgres.port} refuses the gateway’s credential (28000)`;
  await eventually('the problem of the target', async () => (await problems()).includes(refused));
  const doctor = await stack.cli(['doctor', '--json']);
  expect(doctor.code).not.toBe(0);
  expect(doctor.stdout).toContain(`127.0.0.1:${stack.postgres.port} refuses the gateway’s credential (28000)`);
  expect(doctor.stdout).toContain('pg_hba.conf');
  await stack.dba('alter role shop_app login');
  await eventually('the target to be well', async () => (await problems()).length === 0, { withinMs: 90_000 });
});

it('of which a client is the first to hear is told from then on', async () => {
  await stack.dba('alter role shop_app connection limit 0');
  try {
    expect((await stack.psql('select 1')).code).not.toBe(0);
    expect(await problems()).toEqual([
      `target shop: 127.0.0.1:${stack.postgres.port} has no room for more connections (53300)`,
    ]);
  } finally {
    await stack.dba('alter role shop_app connection limit -1');
  }
  expect((await stack.psql('select 1')).stdout).toBe('1\n');
  expect(await problems()).toEqual([]);
});
