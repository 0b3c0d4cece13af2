// Goal: an agent that is cut off from its server says so within seconds, with why, since when, and how long what it has stays good.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PermissionDeniedDetails_Reason as Reason } from '@countersign/sdk/contract/gen/spire/api/types/status_pb.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AgentStatus } from '../../agent/index.ts';
import { createHarness, type Harness } from '../../agent/testing/harness.ts';
import { createTestAuthority } from '../../agent/testing/test-authority.ts';
import { createSeededRandom, messageOf } from '../../std/index.ts';
import { startTelling, type Telling } from '../testing/told.ts';
import { createAgentChecks } from './agent-checks.ts';
import { createClockCheck } from './clock-check.ts';

const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;
let h: Harness;
let telling: Telling<'agent'>;
/** In place of its own. */
let stage: AgentStatus['stage'] | undefined;

beforeEach(async () => {
  h = await createHarness();
  h.server.entries.set('e1', { id: 'e1', path: '/web', selectors: ['unix:uid:1000'] });
  stage = undefined;
  const status = () => {
    const own = h.agent().status();
    return { ...own, stage: stage ?? own.stage };
  };
  telling = await startTelling('agent', {
    clock: h.clock,
    checks: {
      ...createAgentChecks({
        clock: h.clock,
        config: { server: 'server.test:8081', socket: h.socketPath },
        ...{ status, fatal: () => h.fatal[0] },
      }),
      ...{ room: () => [], descriptors: () => [], 'event-loop': () => [] },
      clock: createClockCheck({
        ...{ peer: { offset: () => status().serverClock }, peerName: 'the server', synchronised: () => undefined },
      }),
    },
  });
});
afterEach(async () => {
  await telling.close();
  await h.close();
});

async function running() {
  await h.startAgent();
  await h.until(() => h.agent().counters.syncs > 0 && h.agent().status().svidsUntilMs < Number.POSITIVE_INFINITY);
  await h.pass(2_000, 500);
}

describe('a server that is away', () => {
  it('is told of in all places while what the agent has is served, and no more when it is back', async () => {
    await running();
    expect(await telling.told('server-link')).toMatchObject({ ready: '200', metric: [], doctor: [], log: [] });
    const { identity, svidsUntilMs } = h.agent().status();
    const day = (ms = 0) => new Date(ms).toISOString().replace('.000Z', 'Z');
    await h.run(h.server.stop());
    await h.until(() => h.agent().status().problem !== undefined);
    await h.pass(60_000, 500);
    const told = await telling.told('server-link');
    expect(told).toMatchObject({ ready: '200 degraded', metric: ['degraded'], log: ['degraded'] });
    expect(told.doctor).toEqual([expect.stringMatching(/^wrong agent server-link: no news .*since /s)]);
    expect(told.found).toContain('ECONNREFUSED');
    expect(told.found).toContain(`the node’s identity is good until ${day(identity?.expiresMs)}`);
    expect(told.found).toContain(`workloads’ until ${day(svidsUntilMs)}`);
    expect(told.remedy).toContain('start the server');
    await h.server.start();
    await h.until(() => h.agent().status().problem === undefined);
    await h.pass(2_000, 500);
    expect(await telling.told('server-link')).toMatchObject({ ready: '200', metric: [], doctor: [] });
    expect((await telling.told('server-link')).log).toEqual(['degraded', 'ok']);
  });

  it('makes an agent without a valid identity not ready', async () => {
    h.server.nodeTtlS = 120;
    h.server.svidTtlS = 60;
    await running();
    await h.run(h.server.stop());
    await h.pass(130_000, 1_000);
    const told = await telling.told('identity');
    expect(told).toMatchObject({ ready: '503 failed', metric: ['failed'], log: ['degraded', 'failed'] });
    expect(told.found).toMatch(/^the node’s identity expired at 2026-\S+: .*ECONNREFUSED/);
    await h.server.start();
  });

  it('is one that it does not know: told with what to do', async () => {
    await running();
    await h.run(h.server.stop());
    h.server.authority = createTestAuthority({
      ...{ clock: h.clock, random: createSeededRandom('another'), trustDomain: h.config.trustDomain },
    });
    await h.server.start();
    await h.until(() => messageOf(h.agent().status().problem?.error).includes('unknown-issuer'));
    await h.pass(60_000, 1_000);
    const told = await telling.told('server-link');
    expect(told).toMatchObject({ ready: '200 degraded', metric: ['degraded'], log: ['degraded'] });
    expect(told.found).toContain('unknown-issuer');
    expect(told.remedy).toContain('agent.trustBundle');
  });
});

it('a node that is banned is not ready for good, and says what to do', async () => {
  await running();
  h.server.refuse = Reason.AGENT_BANNED;
  h.server.changed();
  await h.until(() => h.fatal.length > 0);
  await h.pass(2_000, 500);
  const told = await telling.told('identity');
  expect(told).toMatchObject({ ready: '503 failed', metric: ['failed'], log: ['failed'] });
  expect(told.doctor).toEqual([expect.stringContaining('wrong identity of the node: this node was banned')]);
  expect(told.remedy).toContain('delete the banned node');
});

describe('clocks that are apart', () => {
  it.each([
    [
      'ahead',
      3 * HOUR_MS,
      /the clock of the server is 3h ahead of that of this machine\. Likely wrong is .* the server: it was stepped/,
    ],
    [
      'behind',
      -20 * 60_000,
      /the clock of the server is 20m behind that of this machine\. Likely wrong is .* the server: it was stepped/,
    ],
  ])('the server’s stepped %s', async (_side, byMs, text) => {
    await running();
    const heard = (aheadMs: number) =>
      h.until(() => Math.abs((h.agent().status().serverClock?.aheadMs ?? Number.NaN) - aheadMs) < SECOND_MS * 2);
    h.serverClock.aheadMs = byMs;
    await heard(byMs);
    await h.pass(15_000, 1_000);
    const told = await telling.told('clock');
    expect(told).toMatchObject({ ready: '200 degraded', metric: ['degraded'], log: ['degraded'] });
    expect(told.found).toMatch(text);
    expect(told.doctor).toEqual([expect.stringContaining('wrong agent clock: the clock of the server')]);
    h.serverClock.aheadMs = 0;
    await heard(0);
    await h.pass(15_000, 1_000);
    expect((await telling.told('clock')).ready).toBe('200');
    expect((await telling.told('clock')).log).toEqual(['degraded', 'ok']);
  });

  it('this machine’s is told at once, and that it is likely the wrong one', async () => {
    await running();
    h.clock.step(-5 * 60_000);
    await h.pass(2_000, 500);
    expect((await telling.told('clock')).found).toMatch(
      /(5m|4m59s) ahead of that of this machine\. Likely wrong is the clock of this machine/,
    );
  });

  it('a server that is far ahead takes nothing away from a node that can’t prove itself again', async () => {
    h.server.reattestable = false;
    await running();
    h.server.refuse = Reason.AGENT_EXPIRED;
    h.server.changed();
    await h.until(() => h.agent().status().problem !== undefined);
    await h.pass(30_000, 1_000);
    expect(h.fatal).toEqual([]);
    expect(h.agent().status().attested).toBe(true);
    expect((await telling.told('server-link')).ready).toBe('200 degraded');
    h.server.refuse = undefined;
    await h.until(() => h.agent().status().problem === undefined);
    await h.pass(15_000, 1_000);
    expect((await telling.told('server-link')).ready).toBe('200');
  });
});

it('an agent that starts is not ready, nor takes the socket that one which was killed has left there for its own', async () => {
  stage = 'starting';
  await running();
  expect(await telling.told('starting')).toMatchObject({ ready: '503 failed', found: 'the agent is starting' });
  rmSync(h.socketPath);
  await h.pass(2_000, 500);
  expect((await telling.told('socket')).metric).toEqual([]);
  stage = undefined;
  expect((await telling.told('starting')).ready).toBe('200');
});

it.each([
  'paused',
  'leaving',
  'over',
] as const)('an agent that is %s, for a successor, is not one that starts', async (at) => {
  await running();
  stage = at;
  await h.pass(2_000, 500);
  expect(await telling.told('starting')).toMatchObject({ metric: [], log: [] });
});

it('a socket that somebody removed is told: no process can be served any more', async () => {
  await running();
  expect((await telling.told('socket')).ready).toBe('200');
  rmSync(h.socketPath);
  await h.pass(2_000, 500);
  const told = await telling.told('socket');
  expect(told).toMatchObject({ ready: '503 failed', metric: ['failed'], log: ['failed'] });
  expect(told.doctor).toHaveLength(1);
});

it('a sealed cache that can’t be read is told until it was written anew', async () => {
  await running();
  await h.run(h.agent().stop());
  writeFileSync(join(h.config.dataDir, 'cache.sealed'), 'edited', { mode: 0o600 });
  await h.run(h.server.stop());
  await h.startAgent();
  await h.pass(2_000, 500);
  expect((await telling.told('cache')).metric).toEqual(['degraded']);
  await h.server.start();
  await h.until(() => h.agent().status().cacheProblem === undefined);
  await h.pass(2_000, 500);
  expect(await telling.told('cache')).toMatchObject({ metric: [], log: ['degraded', 'ok'] });
});
