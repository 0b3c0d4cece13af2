/**
 * Sessions that run, on the real stack with its store in PostgreSQL: an operator sees one, ends it, and it is over for its client and for the
 * database at once; both ledgers say by whom.
 */

import * as fs from 'node:fs';
import * as path from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Sessions } from '@countersign/sdk/contract';
import type {
  ListSessionsRequestSchema,
  LiveSession,
  SessionsOutcome,
} from '@countersign/sdk/contract/gen/countersign/control/v1/sessions_pb.ts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRpcClient, type RpcClient } from '../../src/rpc/index.ts';
import { createSilentLog, createSystemClock } from '../../src/std/index.ts';
import { eventually } from '../support/eventually.ts';
import { openRawSession, query } from '../support/raw-session.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { agentWay } from '../support/ways.ts';

let stack: Stack;
let operator: RpcClient;
const options = { signal: new AbortController().signal };

beforeAll(async () => {
  stack = await startStack();
  const connect = { unix: stack.folder.operatorSocket };
  operator = createRpcClient({ clock: createSystemClock(), log: createSilentLog(), connect });
});
afterAll(async () => {
  await operator?.close();
  await stack?.stop();
});

async function list(request: MessageInitShape<typeof ListSessionsRequestSchema> = {}) {
  const sessions: LiveSession[] = [];
  let outcome: SessionsOutcome | undefined;
  for await (const message of operator.serverStream(Sessions.method.listSessions, request, options)) {
    sessions.push(...message.sessions);
    outcome ??= message.outcome;
  }
  return { sessions, outcome };
}

const sleeping = () => stack.dba(`select 1 from pg_stat_activity where query = 'select pg_sleep(60)'`);

it('a session that sleeps is seen, and ended in less than a second, at its client and at the database', async () => {
  const session = await openRawSession(agentWay(stack).door, { database: 'shop' });
  session.send(query('select pg_sleep(60)'));
  await eventually('the statement runs', async () => (await sleeping()).length === 1);
  const { sessions, outcome } = await list({ filter: { target: 'shop' } });
  expect(outcome).toMatchObject({ matching: 1n, answered: 1, unanswered: [] });
  const [live] = sessions;
  expect(live).toMatchObject({ target: 'shop', door: 'agent', current: { action: 'postgres:statement' } });
  expect(live?.node).toMatch(/^spiffe:/);
  expect(live?.pid).toBeGreaterThan(0);
  expect((await list({ filter: { target: 'other' } })).sessions).toEqual([]);

  const { gatewaySpiffeId = '', gatewayAddress = '', id = '' } = live ?? {};
  const refs = [{ gatewaySpiffeId, gatewayAddress, id }];
  const beganMs = performance.now();
  const ending = operator.unary(Sessions.method.endSessions, { sessions: refs, reason: 'a drill' }, options);
  expect((await session.end()).join(' ')).toMatch(/^E:57P01:an operator ended this session/);
  const clientMs = performance.now() - beganMs;
  await eventually('the backend is gone', async () => (await sleeping()).length === 0);
  // Without being told, the database would notice after five seconds.
  expect(performance.now() - beganMs).toBeLessThan(1_000);
  expect(clientMs).toBeLessThan(1_000);
  expect((await ending).ended.map((one) => one.id)).toEqual([id]);
  expect((await list()).sessions).toEqual([]);

  const closed = (await stack.ledger()).find((entry) => entry.kind === 'session-close' && entry.session === id);
  expect(closed?.detail).toMatchObject({ ended: 'operator', endedFor: 'a drill' });
  const acts = (await stack.ledger('server')).filter(({ action }) => action === 'EndSessions');
  expect(acts.map(({ detail }) => detail['step'])).toEqual(['request', 'done']);
  expect(acts[0]?.detail['operator']).toMatch(/uid/);
  expect(closed?.detail['endedBy']).toBe(acts[0]?.detail['operator']);
});

it('sessions are found and ended as the guide shows', async () => {
  const guide = fs.readFileSync(path.join(import.meta.dirname, '../../docs/guide/stop.md'), 'utf8');
  const lines = Array.from(guide.matchAll(/```sh\n(.*?)```/gs), ([, text = '']) => text.trim().split('\n')).flat();
  expect(lines).toHaveLength(8);
  const [first, second] = [await open(), await open()];
  const [newest] = (await list()).sessions;
  for (const line of lines) {
    const words = line.replace('1f2e3d4c', newest?.id.slice(0, 8) ?? '').match(/"[^"]*"|\S+/g) ?? [];
    const [program, ...args] = words.map((word) => word.replaceAll('"', ''));
    expect(program).toBe('countersign');
    const { code, stdout, stderr } = await stack.cli(args);
    expect({ line, code, stderr }).toEqual({ line, code: 0, stderr: '' });
    if (line === 'countersign session list') expect(stdout).toContain(newest?.identity);
    if (args[1] === 'show') expect(stdout).toContain(newest?.id);
    if (args[1] === 'end')
      expect(stdout).toContain(args.includes('--older-than') ? 'nothing was ended' : 'ended 1 session');
  }
  for (const session of [first, second]) expect((await session.end()).join(' ')).toContain('E:57P01:');
  expect((await stack.cli(['session', 'list'])).stdout).toBe('No session runs.\n');
});

const open = () => openRawSession(agentWay(stack).door, { database: 'shop' });
