import { afterEach, describe, expect, it, vi } from 'vitest';
import { createSystemClock } from './clock.ts';

const DAY_MS = 86_400_000;

describe("the system clock's timers", () => {
  afterEach(() => void vi.useRealTimers());

  it.each([24, 25, 49, 50, 400])('of %i days fire then and not before, though Node counts to 24.8 days', (days) => {
    vi.useFakeTimers();
    const fired = vi.fn();
    createSystemClock().after(days * DAY_MS, fired);
    vi.advanceTimersByTime(days * DAY_MS - 1);
    expect(fired).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(fired).toHaveBeenCalledOnce();
    vi.advanceTimersByTime(400 * DAY_MS);
    expect(fired).toHaveBeenCalledOnce();
  });

  it('are cancelled in any of their stretches, and never fire when they are to wait for ever', () => {
    vi.useFakeTimers();
    const fired = vi.fn();
    const timer = createSystemClock().after(100 * DAY_MS, fired);
    const never = createSystemClock().after(Number.POSITIVE_INFINITY, fired);
    vi.advanceTimersByTime(60 * DAY_MS);
    timer.cancel();
    vi.advanceTimersByTime(100 * DAY_MS);
    never.cancel();
    expect(fired).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });
});
