import { describe, expect, it } from 'vitest';
import { createListeners } from './listeners.ts';

const bug = new Error('a bug');
const broken = () => {
  throw bug;
};

describe('listeners', () => {
  it('are told each value, in the order in which they were added, until they are taken out', () => {
    const listeners = createListeners<number>();
    const told: string[] = [];
    listeners.tell(0);
    const stop = listeners.add((value) => told.push(`a${value}`));
    listeners.add((value) => told.push(`b${value}`));
    listeners.tell(1);
    stop();
    listeners.tell(2);
    expect([told, listeners.size]).toEqual([['a1', 'b1', 'b2'], 1]);
  });

  it('may be one function twice; each is taken out by itself, and once', () => {
    const listeners = createListeners();
    let calls = 0;
    const count = () => void calls++;
    const stop = listeners.add(count);
    listeners.add(count);
    listeners.tell();
    expect(calls).toBe(2);
    stop();
    stop();
    listeners.tell();
    expect([calls, listeners.size]).toEqual([3, 1]);
  });
});

describe('a listener that throws', () => {
  it('keeps nobody from being told where somebody hears of its failure', () => {
    const failures: unknown[] = [];
    const listeners = createListeners((error) => failures.push(error));
    let calls = 0;
    listeners.add(broken);
    listeners.add(() => void calls++);
    listeners.tell();
    listeners.tell();
    expect([calls, failures]).toEqual([2, [bug, bug]]);
  });

  it('ends the telling where nobody does, and whoever tells hears of it', () => {
    const listeners = createListeners();
    let before = 0;
    let after = 0;
    listeners.add(() => void before++);
    listeners.add(broken);
    listeners.add(() => void after++);
    expect(() => listeners.tell()).toThrow(bug);
    expect([before, after, listeners.size]).toEqual([1, 0, 3]);
  });
});

describe('while they are told', () => {
  it('one that takes itself out leaves the others where they are', () => {
    const listeners = createListeners();
    const told: string[] = [];
    const stop = listeners.add(() => {
      told.push('once');
      stop();
    });
    listeners.add(() => void told.push('always'));
    listeners.tell();
    listeners.tell();
    expect(told).toEqual(['once', 'always', 'always']);
  });

  it('one that is taken out by another is not told any more', () => {
    const listeners = createListeners();
    const told: string[] = [];
    let stopLater = () => {};
    listeners.add(() => stopLater());
    stopLater = listeners.add(() => void told.push('later'));
    listeners.tell();
    expect([told, listeners.size]).toEqual([[], 1]);
  });

  it('one that is added by another is told from the next time on', () => {
    const listeners = createListeners<number>();
    const told: number[] = [];
    listeners.add((value) => {
      if (value === 1) listeners.add((later) => told.push(later));
    });
    listeners.tell(1);
    expect([told, listeners.size]).toEqual([[], 2]);
    listeners.tell(2);
    expect(told).toEqual([2]);
  });
});
