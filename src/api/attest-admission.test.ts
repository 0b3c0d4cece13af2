import { describe, expect, it } from 'vitest';
import { Code } from '../rpc/index.ts';
import { createManualClock } from '../std/index.ts';
import { type AttestAdmission, createAttestAdmission } from './attest-admission.ts';

const refusal = expect.objectContaining({ code: Code.RESOURCE_EXHAUSTED });
const BURST = 500;

/** How many of so many attempts are admitted, each over at once. */
function admitted(admission: AttestAdmission, source: string, attempts: number): number {
  let count = 0;
  for (let i = 0; i < attempts; i++) {
    try {
      admission.enter(source)();
      count++;
    } catch (error) {
      expect(error).toEqual(refusal);
    }
  }
  return count;
}

describe('attestations from one source', () => {
  it('are admitted up to the burst, then at the rate, and the refusal says when to come again', async () => {
    const clock = createManualClock(0);
    const admission = createAttestAdmission(clock);
    expect(admitted(admission, 'a', 2 * BURST)).toBe(BURST);
    expect(() => admission.enter('a')).toThrowError(/over 20 attestations a second .*; try again in 1 s/);
    await clock.advance(1000);
    expect(admitted(admission, 'a', 100)).toBe(20);
    await clock.advance(49);
    expect(admitted(admission, 'a', 1)).toBe(0);
    await clock.advance(1);
    expect(admitted(admission, 'a', 2)).toBe(1);
  });

  it('leave those of others alone', () => {
    const admission = createAttestAdmission(createManualClock(0));
    admitted(admission, 'a', 1000);
    expect(admitted(admission, 'b', 10)).toBe(10);
  });

  it('may be 64 at once; each gives its place back once', () => {
    const admission = createAttestAdmission(createManualClock(0));
    const open = Array.from({ length: 64 }, () => admission.enter('a'));
    expect(() => admission.enter('a')).toThrowError(refusal);
    admission.enter('b')();
    open[0]?.();
    open[0]?.();
    admission.enter('a');
    expect(() => admission.enter('a')).toThrowError(refusal);
  });
});

describe('attestations from everywhere', () => {
  it('may be 2,048 at once', () => {
    const admission = createAttestAdmission(createManualClock(0));
    const ends = Array.from({ length: 2_048 }, (_, i) => admission.enter(`s${i % 40}`));
    expect(() => admission.enter('new')).toThrowError(/2048 attestations are under way; try again in 5 s/);
    ends[0]?.();
    admission.enter('new')();
  });

  it('are remembered for 10,000 sources; further ones share one bucket until the others are idle again', async () => {
    const clock = createManualClock(0);
    const admission = createAttestAdmission(clock);
    for (let i = 0; i < 10_000; i++) admission.enter(`s${i}`)();
    expect(admitted(admission, 'late', BURST)).toBe(BURST);
    expect(admitted(admission, 'later', 1)).toBe(0);
    await clock.advance(1_000);
    expect(admitted(admission, 'latest', 2 * BURST)).toBe(BURST);
  });
});
