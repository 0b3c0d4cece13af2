import { describe, expect, it } from 'vitest';
import { Code, RpcError } from '../rpc/index.ts';
import { createManualClock, createSilentLog } from '../std/index.ts';
import { createRefusals, type ProcessRefusal } from './refusals.ts';

// Goal: no stranger goes unrecorded, and none can fill the server's ledger.

function setup() {
  const clock = createManualClock(1_000_000);
  const reports: { refusals: readonly ProcessRefusal[]; leftOut: number }[] = [];
  const server: { failure: unknown } = { failure: undefined };
  const asked = { times: 0 };
  const refusals = createRefusals({
    clock,
    log: createSilentLog(),
    async report(told, leftOut) {
      asked.times++;
      if (server.failure !== undefined) throw server.failure;
      reports.push({ refusals: told, leftOut });
    },
  });
  return { clock, reports, asked, server, refusals };
}

describe('processes that were turned away', () => {
  it('are told within ten seconds, counted by user and door', async () => {
    const { clock, reports, refusals } = setup();
    refusals.note({ uid: 7, pid: 1 }, 'shop');
    await clock.advance(1000);
    refusals.note({ uid: 7, pid: 2 }, 'shop');
    refusals.note({ uid: 7, pid: 3 }, '');
    await clock.advance(9000);
    expect(reports).toEqual([
      {
        leftOut: 0,
        refusals: [
          { uid: 7, pid: 2, target: 'shop', count: 2, firstMs: 1_000_000, lastMs: 1_001_000 },
          { uid: 7, pid: 3, target: '', count: 1, firstMs: 1_001_000, lastMs: 1_001_000 },
        ],
      },
    ]);
  });

  it('that come again and again are told ever less often, and all are counted', async () => {
    const { clock, reports, refusals } = setup();
    for (let second = 0; second < 3600; second++) {
      refusals.note({ uid: 7, pid: second }, 'shop');
      await clock.advance(1000);
    }
    expect(reports.length).toBeGreaterThan(3);
    expect(reports.length).toBeLessThan(12);
    await clock.advance(2 * 3_600_000);
    const total = reports.flatMap((report) => report.refusals).reduce((sum, { count }) => sum + count, 0);
    expect(total).toBe(3600);
  });

  it('are told when the server is back, with all that came meanwhile', async () => {
    const { clock, reports, server, refusals } = setup();
    server.failure = new RpcError(Code.UNAVAILABLE, 'away');
    for (let times = 0; times < 3; times++) {
      refusals.note({ uid: 7, pid: times }, 'shop');
      await clock.advance(20_000);
    }
    server.failure = undefined;
    await clock.advance(10_000);
    expect(reports.flatMap((report) => report.refusals)).toMatchObject([{ count: 3, firstMs: 1_000_000 }]);
  });

  it('of more users than are told apart are counted', async () => {
    const { clock, reports, refusals } = setup();
    for (let uid = 0; uid < 300; uid++) refusals.note({ uid, pid: 1 }, 'shop');
    await clock.advance(10 * 60_000);
    expect(reports.every((report) => report.refusals.length <= 20)).toBe(true);
    const told = reports.flatMap((report) => report.refusals);
    expect(told).toHaveLength(256);
    expect(reports.reduce((sum, { leftOut }) => sum + leftOut, 0)).toBe(44);
  });

  it('are not told to a server that knows nothing of that', async () => {
    const { clock, asked, server, refusals } = setup();
    server.failure = new RpcError(Code.UNIMPLEMENTED, 'unknown service');
    for (let times = 0; times < 3; times++) {
      refusals.note({ uid: 7, pid: times }, 'shop');
      await clock.advance(60_000);
    }
    expect(asked.times).toBe(1);
  });

  it('are forgotten when the agent stops', async () => {
    const { clock, reports, refusals } = setup();
    refusals.note({ uid: 7, pid: 1 }, 'shop');
    await refusals.stop();
    await clock.advance(60_000);
    expect(reports).toEqual([]);
  });
});
