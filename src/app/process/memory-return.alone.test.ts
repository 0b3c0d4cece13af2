// Goal: what a rush has taken is back within a minute; a process that works, or needs what it has, is left alone.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { createManualClock, createSilentLog } from '../../std/index.ts';
import { createMemoryReturn, createOwnUse } from './memory-return.ts';

const MIB = 1024 * 1024;

async function started() {
  const clock = createManualClock(0);
  const use = { resident: 150 * MIB, needed: 150 * MIB, cpuMs: 0, returned: 0 };
  const service = createMemoryReturn({
    clock,
    log: createSilentLog(),
    process: {
      residentBytes: () => use.resident,
      cpuMs: () => use.cpuMs,
      giveBack() {
        use.returned++;
        use.resident = use.needed;
      },
    },
  });
  await service.start(new AbortController().signal);
  const pass = async (seconds: number, busyShare = 0) => {
    for (let i = 0; i < seconds; i++) {
      use.cpuMs += 1000 * busyShare;
      await clock.advance(1000);
    }
  };
  return { use, pass, service, clock };
}

/** One that has given back what its start left behind. */
async function atRest() {
  const parts = await started();
  await parts.pass(10);
  parts.use.returned = 0;
  return parts;
}

describe('memory', () => {
  it('that the start has left behind is given back once that is over', async () => {
    const { use, pass } = await started();
    use.needed = 80 * MIB;
    await pass(30, 1);
    expect(use.returned).toBe(0);
    await pass(10);
    expect(use.resident).toBe(80 * MIB);
    await pass(3600);
    expect(use.returned).toBe(1);
  });

  it('is given back within a minute after a rush', async () => {
    const { use, pass } = await atRest();
    use.resident = 400 * MIB;
    await pass(30, 1);
    expect(use.returned).toBe(0);
    await pass(59);
    expect(use.resident).toBe(150 * MIB);
    await pass(3600);
    expect(use.returned).toBe(1);
  });

  it('is given back as well when its use ends long after the rush, and without a sign', async () => {
    const { use, pass } = await atRest();
    use.resident = 400 * MIB;
    use.needed = 400 * MIB;
    await pass(3600);
    use.needed = 200 * MIB;
    await pass(601);
    expect(use.resident).toBe(200 * MIB);
  });

  it('is given back within a minute by a process that kept something for hours before', async () => {
    const { use, pass } = await atRest();
    use.resident = 250 * MIB;
    use.needed = 250 * MIB;
    await pass(3 * 3600 + 120);
    use.resident = 400 * MIB;
    await pass(60);
    expect(use.resident).toBe(250 * MIB);
  });

  it('that is in use is asked for ever more seldom', async () => {
    const { use, pass } = await atRest();
    use.resident = 400 * MIB;
    use.needed = 400 * MIB;
    await pass(600);
    expect(use.returned).toBeLessThan(8);
    await pass(6000);
    expect(use.returned).toBeLessThan(18);
  });

  it('is not asked for by a process that took little, nor by one that works', async () => {
    const { use, pass } = await atRest();
    use.resident = 160 * MIB;
    await pass(3600);
    use.resident = 400 * MIB;
    await pass(3600, 0.5);
    expect(use.returned).toBe(0);
  });

  it('is no longer looked at once the process stops', async () => {
    const { service, clock } = await atRest();
    await service.stop();
    expect(clock.pending()).toBe(0);
  });
});

describe('the use of this process', () => {
  // As the executable starts every role.
  beforeAll(() => {
    setFlagsFromString('--expose-gc');
    vi.stubGlobal('gc', runInNewContext('gc'));
  });
  afterAll(() => void vi.unstubAllGlobals());

  it('is less once objects that are gone have been given back', async () => {
    const use = createOwnUse();
    use.giveBack();
    const before = use.residentBytes();
    let lists: number[][] = [];
    for (let i = 0; i < 1_000_000; i++) lists.push(Array.from({ length: 16 }, () => i));
    expect(use.residentBytes() - before).toBeGreaterThan(100 * MIB);
    lists = [];
    await eventually('most of it is back', () => {
      use.giveBack();
      return use.residentBytes() - before < 40 * MIB;
    });
    expect(lists).toEqual([]);
  });

  it('is that of the kernel, before and after giving back', () => {
    const use = createOwnUse();
    use.giveBack();
    expect(use.residentBytes()).toBeGreaterThan(10 * MIB);
    expect(use.cpuMs()).toBeGreaterThan(0);
  });
});
