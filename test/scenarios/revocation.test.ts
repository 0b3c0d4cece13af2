/**
 * Something is revoked on the real stack, and its server is killed before anybody could say that it is in effect: the revocation stands, nothing is signed
 * for it, and who has said so since is told by the server that was started again.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Stack, startStack } from '../support/stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(async () => stack?.stop());

const token = (audience: string) =>
  stack.cli(['svid', 'token', '--audience', audience, '--workload-api', stack.folder.workloadApi], {
    user: stack.users.web,
  });

it('a revocation outlives the server that took it, and is in effect for whatever is asked of the next one', async () => {
  expect((await token('before')).code).toBe(0);
  const adding = stack.cli(['revocation', 'add', '--who', '/web', '--reason', 'a drill', '--wait', '30', '--yes']);
  const listed = async () => {
    const { stdout } = await stack.cli(['revocation', 'list', '--json']);
    return JSON.parse(stdout) as { id: string; reason: string }[];
  };
  await eventually('it stands', async () => (await listed()).length === 1);
  await stack.roles.server.end('SIGKILL');
  await adding;
  stack.roles.server.start();
  await stack.roles.server.ready();
  const [one] = await listed();
  expect(one).toMatchObject({ reason: 'a drill' });
  const shown = async () => {
    const { stdout } = await stack.cli(['revocation', 'show', one?.id ?? '', '--json']);
    return JSON.parse(stdout) as { verifiers: { kind: string }[] };
  };
  await eventually('agent and gateway are told of', async () => {
    const { verifiers } = await shown();
    return ['agent', 'gateway'].every((kind) => verifiers.some((verifier) => verifier.kind === kind));
  });
  await eventually('nothing is signed for it', async () => (await token('after')).code !== 0);
  const acts = (await stack.ledger('server')).filter(({ action }) => action === 'Revoke');
  expect(acts[0]?.detail).toMatchObject({ reason: 'a drill', mode: 'revoked' });
});
