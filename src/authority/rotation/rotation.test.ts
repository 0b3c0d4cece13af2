import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideRotation, type RotationSlot } from './rotation.ts';

const DAY_MS = 86_400_000;
const START_S = 1_800_000_000;

function slot(state: 'prepared' | 'active', changes: Partial<RotationSlot> = {}): RotationSlot {
  return {
    id: state,
    state,
    notBeforeS: START_S,
    expiresAtS: START_S + 86_400,
    preparedAtMs: START_S * 1000,
    usable: true,
    ...changes,
  };
}

function at(sinceStartMs: number) {
  const nowMs = START_S * 1000 + sinceStartMs;
  return { earliestMs: nowMs, latestMs: nowMs };
}

describe('rotation of an authority that lives a day', () => {
  it('prepares the next one when less than half of its life is left, not at the half itself', () => {
    expect(decideRotation([slot('active')], at(DAY_MS / 2))).toEqual({ step: 'none' });
    expect(decideRotation([slot('active')], at(DAY_MS / 2 + 1))).toEqual({ step: 'prepare' });
  });

  it('lets the next one sign when less than a sixth is left, not at the sixth itself', () => {
    const next = slot('prepared', { notBeforeS: START_S + 43_200, expiresAtS: START_S + 2 * 86_400 });
    expect(decideRotation([slot('active'), next], at((DAY_MS * 5) / 6))).toEqual({ step: 'none' });
    expect(decideRotation([slot('active'), next], at((DAY_MS * 5) / 6 + 1))).toEqual({ step: 'activate' });
  });

  it('waits until the next one was published for ten seconds, unless a clock was set back since', () => {
    const nowMs = START_S * 1000 + DAY_MS - 60_000;
    const next = (preparedAtMs: number) => slot('prepared', { expiresAtS: START_S + 2 * 86_400, preparedAtMs });
    const time = { earliestMs: nowMs, latestMs: nowMs };
    expect(decideRotation([slot('active'), next(nowMs - 9999)], time)).toEqual({ step: 'none' });
    expect(decideRotation([slot('active'), next(nowMs - 10_000)], time)).toEqual({ step: 'activate' });
    expect(decideRotation([slot('active'), next(nowMs + 1)], time)).toEqual({ step: 'activate' });
  });
});

describe('rotation of an authority that lives ten years', () => {
  const lifeS = 3650 * 86_400;
  const active = slot('active', { expiresAtS: START_S + lifeS });
  it('prepares thirty days and activates seven days before the end', () => {
    const endMs = lifeS * 1000;
    const next = slot('prepared', { expiresAtS: START_S + 2 * lifeS });
    expect(decideRotation([active], at(endMs - 30 * DAY_MS))).toEqual({ step: 'none' });
    expect(decideRotation([active], at(endMs - 30 * DAY_MS + 1))).toEqual({ step: 'prepare' });
    expect(decideRotation([active, next], at(endMs - 7 * DAY_MS))).toEqual({ step: 'none' });
    expect(decideRotation([active, next], at(endMs - 7 * DAY_MS + 1))).toEqual({ step: 'activate' });
  });
});

describe('rotation without a usable authority', () => {
  it('prepares and activates at once', () => {
    expect(decideRotation([], at(0))).toEqual({ step: 'prepare' });
    expect(decideRotation([slot('prepared')], at(0))).toEqual({ step: 'activate' });
  });

  it('retires what has expired, to the second, and what has lost its key', () => {
    expect(decideRotation([slot('active')], at(DAY_MS - 1))).toEqual({ step: 'prepare' });
    expect(decideRotation([slot('active')], at(DAY_MS))).toMatchObject({ step: 'retire', reason: 'expired' });
    expect(decideRotation([slot('active', { usable: false })], at(0))).toMatchObject({
      step: 'retire',
      reason: 'key-lost',
    });
  });

  it('replaces at once an authority that begins in the future of any reading of the clock', () => {
    const active = slot('active', { notBeforeS: START_S + 3600 });
    expect(decideRotation([active], at(0))).toEqual({ step: 'prepare' });
    expect(decideRotation([active, slot('prepared', { notBeforeS: START_S + 3600 })], at(0))).toMatchObject({
      step: 'retire',
      id: 'prepared',
      reason: 'clock-stepped-back',
    });
    expect(decideRotation([active, slot('prepared')], at(0))).toEqual({ step: 'activate' });
  });
});

it('never lets an expired authority, or one without its key, stay or become active', () => {
  const arbitrary = (state: 'prepared' | 'active') =>
    fc
      .record({
        notBeforeS: fc.integer({ min: START_S - 90_000, max: START_S + 90_000 }),
        lifeS: fc.integer({ min: 600, max: 200_000 }),
        preparedAtMs: fc.integer({ min: (START_S - 90_000) * 1000, max: (START_S + 90_000) * 1000 }),
        usable: fc.boolean(),
      })
      .map(({ lifeS, ...rest }) => slot(state, { ...rest, expiresAtS: rest.notBeforeS + lifeS }));
  fc.assert(
    fc.property(
      fc.option(arbitrary('active')),
      fc.option(arbitrary('prepared')),
      fc.nat(7_200_000),
      (active, prepared, spreadMs) => {
        const time = { earliestMs: START_S * 1000, latestMs: START_S * 1000 + spreadMs };
        const slots = [active, prepared].filter((each) => each !== null);
        const decided = decideRotation(slots, time);
        const bad = (each: RotationSlot | null) =>
          each !== null && (!each.usable || time.latestMs >= each.expiresAtS * 1000);
        if (bad(active) || bad(prepared)) expect(decided.step).toBe('retire');
        if (decided.step === 'activate') expect(prepared).not.toBeNull();
        if (decided.step === 'none') expect(active).not.toBeNull();
      },
    ),
  );
});
