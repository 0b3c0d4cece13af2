import { describe, expect, it } from 'vitest';
import { createManualClock } from '../../../../std/index.ts';
import { Deadline } from './deadline.ts';

function create() {
  const clock = createManualClock(0);
  const passed: number[] = [];
  const deadline = new Deadline(clock, () => void passed.push(clock.monotonicMs()));
  return { clock, passed, deadline };
}

describe('a deadline', () => {
  it('passes once, at its time', async () => {
    const { clock, passed, deadline } = create();
    deadline.set(100);
    await clock.advance(99);
    expect(passed).toEqual([]);
    await clock.advance(500);
    expect(passed).toEqual([100]);
  });

  it('that is set later passes later, by one timer', async () => {
    const { clock, passed, deadline } = create();
    deadline.set(100);
    await clock.advance(60);
    deadline.set(100);
    expect(clock.pending()).toBe(1);
    await clock.advance(99);
    expect(passed).toEqual([]);
    await clock.advance(1);
    expect(passed).toEqual([160]);
  });

  it('that is set earlier passes earlier', async () => {
    const { clock, passed, deadline } = create();
    deadline.set(100);
    deadline.set(10);
    expect(clock.pending()).toBe(1);
    await clock.advance(10);
    expect(passed).toEqual([10]);
    await clock.advance(200);
    expect(passed).toEqual([10]);
  });

  it('that was cleared does not pass, and can be set again', async () => {
    const { clock, passed, deadline } = create();
    deadline.set(100);
    deadline.clear();
    await clock.advance(50);
    deadline.set(100);
    await clock.advance(99);
    expect(passed).toEqual([]);
    await clock.advance(1);
    expect(passed).toEqual([150]);
  });

  it('leaves no timer when it is stopped', () => {
    const { clock, deadline } = create();
    deadline.set(100);
    deadline.stop();
    expect(clock.pending()).toBe(0);
  });
});
