import { describe, expect, it } from 'vitest';
import { createManualClock } from '../../std/index.ts';
import { watchTraffic } from './traffic.ts';

// Goal: what a connection brings is accounted for by its calls, or it goes; and one without calls does not stay for ever.

function watch() {
  const clock = createManualClock(0);
  const socket = { bytesRead: 0, bytesWritten: 0 };
  const traffic = { calls: 0, callBytes: 0 };
  const seen = { noisy: 0, idle: 0 };
  let open = 0;
  const timer = watchTraffic({
    ...{ socket, timers: clock, traffic, idleMsMax: 60_000 },
    openCalls: () => open,
    noisy: () => void seen.noisy++,
    idle: () => void seen.idle++,
  });
  const each = async (seconds: number, act: () => void) => {
    for (let n = 0; n < seconds; n++) {
      act();
      await clock.advance(1000);
    }
  };
  const bring = (bytes: number) => () => {
    socket.bytesRead += bytes;
  };
  const hold = (calls: number) => {
    open = calls;
  };
  return { clock, bring, hold, socket, traffic, seen, timer, each };
}

describe('noise', () => {
  it('is what calls do not account for', async () => {
    const { bring, seen, each } = watch();
    await each(60, bring(60_000));
    expect(seen.noisy).toBe(0);
    await each(1, bring(1_200_000));
    expect(seen.noisy).toBe(1);
  });

  it('is not forgotten for what was accounted for before, nor by waiting less than it takes', async () => {
    const { bring, socket, traffic, seen, each } = watch();
    await each(10, () => {
      socket.bytesRead += 1_000_000;
      traffic.callBytes += 5_000_000;
    });
    await each(1, bring(900_000));
    expect(seen.noisy).toBe(0);
    await each(5, () => {});
    await each(1, bring(900_000));
    expect(seen.noisy).toBe(1);
  });

  it('is neither a large request nor what a large answer is acknowledged with', async () => {
    const { socket, traffic, seen, each } = watch();
    await each(10, () => {
      socket.bytesRead += 101_000_000;
      traffic.callBytes += 100_995_000;
      socket.bytesWritten += 400_000_000;
      socket.bytesRead += 20_000_000;
    });
    expect(seen.noisy).toBe(0);
  });
});

describe('a connection without calls', () => {
  it('is idle after its time, and not before', async () => {
    const { seen, each } = watch();
    await each(59, () => {});
    expect(seen.idle).toBe(0);
    await each(1, () => {});
    expect(seen.idle).toBe(1);
  });

  it('is one neither while a call is open nor when one came and went', async () => {
    const { traffic, seen, each, hold } = watch();
    hold(1);
    await each(200, () => {});
    hold(0);
    for (let n = 0; n < 10; n++) {
      await each(50, () => {});
      traffic.calls++;
    }
    expect(seen.idle).toBe(0);
  });
});

it('ends with its timer', async () => {
  const { clock, timer, each, seen } = watch();
  timer.cancel();
  await each(100, () => {});
  expect(seen).toEqual({ noisy: 0, idle: 0 });
  expect(clock.pending()).toBe(0);
});
