import { beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, type ManualClock } from '../../std/index.ts';
import { listenForSilence, type Silence } from './silence.ts';
import type { ThreadLook } from './thread-look.ts';

// Goal: what hangs is told from what is slow: by time in which it could have said something, and did not.

let clock: ManualClock;
let hungMs: number[];
let silence: Silence;
/** What the kernel says, a second of which `share` goes to the process. */
let look: () => ThreadLook | undefined;

beforeEach(() => {
  clock = createManualClock(0);
  hungMs = [];
  look = () => ({ isHeldUp: false, cpuMs: 0 });
  silence = listenForSilence({ clock, look: () => look(), hung: () => hungMs.push(clock.monotonicMs()) });
});

/** Has a core for that share of the time, and wants it all the time. */
const busy = (share: number) => () => ({ isHeldUp: true, cpuMs: clock.monotonicMs() * share });

describe('a process that says nothing', () => {
  it('and sleeps, or is stopped, hangs after half a minute, which is said once', async () => {
    await clock.advance(29_999);
    expect(hungMs).toEqual([]);
    await clock.advance(120_000);
    expect(hungMs).toEqual([30_000]);
  });

  it('and turns in a circle hangs when it had a core for half a minute', async () => {
    look = busy(1);
    await clock.advance(29_000);
    expect(hungMs).toEqual([]);
    await clock.advance(3_000);
    expect(hungMs).toEqual([31_000]);
  });

  it('and gets a tenth of a core has ten times as long', async () => {
    look = busy(0.1);
    await clock.advance(290_000);
    expect(hungMs).toEqual([]);
    await clock.advance(20_000);
    expect(hungMs).toHaveLength(1);
  });

  it('and gets no core at all, or waits for its disk, is left alone', async () => {
    look = busy(0);
    await clock.advance(3_600_000);
    expect(hungMs).toEqual([]);
  });

  it('and can not be looked at has two minutes', async () => {
    look = () => undefined;
    await clock.advance(119_000);
    expect(hungMs).toEqual([]);
    await clock.advance(1_000);
    expect(hungMs).toEqual([120_000]);
  });

  it('and said something in the last second begins anew', async () => {
    await clock.advance(29_500);
    silence.heard();
    await clock.advance(29_500);
    expect(hungMs).toEqual([]);
    await clock.advance(1_000);
    expect(hungMs).toEqual([60_000]);
  });

  it('is not looked at any more once it is gone', async () => {
    silence.stop();
    await clock.advance(60_000);
    expect([hungMs, clock.pending()]).toEqual([[], 0]);
  });
});

describe('a second in which this process comes too late', () => {
  it('counts for nobody: its own time stood still, or what was said is still to be heard', async () => {
    let jumpMs = 0;
    const late = { ...clock, monotonicMs: () => clock.monotonicMs() + jumpMs };
    silence.stop();
    listenForSilence({ clock: late, look: () => look(), hung: () => hungMs.push(clock.monotonicMs()) });
    await clock.advance(29_000);
    jumpMs = 600_000;
    await clock.advance(1_000);
    expect(hungMs).toEqual([]);
    await clock.advance(1_000);
    expect(hungMs).toEqual([31_000]);
  });

  it('never adds up', async () => {
    let jumpMs = 0;
    const late = { ...clock, monotonicMs: () => clock.monotonicMs() + jumpMs };
    silence.stop();
    listenForSilence({ clock: late, look: () => look(), hung: () => hungMs.push(clock.monotonicMs()) });
    for (let n = 0; n < 100; n++) {
      jumpMs += 1_001;
      await clock.advance(1_000);
    }
    expect(hungMs).toEqual([]);
  });
});
