import { beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, type ManualClock } from '../../std/index.ts';
import { type Attempt, openFirst } from './open-first.ts';

// Goal: nobody waits for what is away while something else is there, and nothing that was begun is left behind.

let clock: ManualClock;
/** What goes on: of each place that was tried, its attempt and how it is to end. */
let tried: Map<string, Attempt & PromiseWithResolvers<string>>;
let closed: string[];
let missed: string[];
let end: AbortController;

beforeEach(() => {
  clock = createManualClock(0);
  tried = new Map();
  closed = [];
  missed = [];
  end = new AbortController();
});

function open(...places: string[]) {
  return openAmong(places, () => false);
}

function openAmong(places: readonly string[], isDoubtful: (place: string) => boolean) {
  const result: { value?: string | undefined; error?: unknown; over: boolean } = { over: false };
  const done = openFirst(places, {
    clock,
    open(place, attempt) {
      const way = Promise.withResolvers<string>();
      tried.set(place, { ...way, ...attempt });
      // As a socket that is destroyed.
      attempt.signal.addEventListener('abort', () => way.reject(new Error('aborted')));
      return way.promise;
    },
    isDoubtful,
    close: (opened) => void closed.push(opened),
    missed: (place) => void missed.push(place),
    signal: end.signal,
  });
  void done
    .then(
      (value) => Object.assign(result, { value }),
      (error: unknown) => Object.assign(result, { error }),
    )
    .finally(() => {
      result.over = true;
    });
  return result;
}
const at = (place: string) => {
  const attempt = tried.get(place);
  if (attempt === undefined) throw new Error(`${place} was not tried`);
  return attempt;
};
const settle = () => clock.advance(0);
const names = () => [...tried.keys()];

describe('of several places', () => {
  it('one that was missed before has half a second to answer, where another one has two', async () => {
    openAmong(['a', 'b', 'c'], (place) => place === 'a');
    at('a').reached();
    await clock.advance(499);
    expect(names()).toEqual(['a']);
    await clock.advance(1);
    expect(names()).toEqual(['a', 'b']);
    at('b').reached();
    await clock.advance(1_999);
    expect(names()).toEqual(['a', 'b']);
    await clock.advance(1);
    expect(names()).toEqual(['a', 'b', 'c']);
  });

  it('the first is tried alone, and taken when it opens in time', async () => {
    const result = open('a', 'b');
    await clock.advance(249);
    at('a').resolve('A');
    await settle();
    expect([result.value, names(), missed, clock.pending()]).toEqual(['A', ['a'], [], 0]);
  });

  it('the next is tried at once when one fails, and undefined is the answer when all do', async () => {
    const result = open('a', 'b');
    at('a').reject(new Error('refused'));
    await settle();
    expect([names(), result.over]).toEqual([['a', 'b'], false]);
    at('b').reject(new Error('refused'));
    await settle();
    expect([result.over, result.value, missed, clock.pending()]).toEqual([true, undefined, ['a', 'b'], 0]);
  });

  it('the next is tried beside one where nothing is reached, and whichever opens first is taken', async () => {
    for (const [winner, loser] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      tried.clear();
      missed = [];
      const result = open('a', 'b', 'c');
      await clock.advance(250);
      expect(names()).toEqual(['a', 'b']);
      at(winner).resolve(winner);
      await settle();
      expect([result.value, at(loser).signal.aborted, clock.pending()]).toEqual([winner, true, 0]);
      // The second had no time yet to prove itself.
      expect(missed).toEqual(winner === 'b' ? ['a'] : []);
    }
  });

  it('one that is reached has two seconds to answer', async () => {
    const result = open('a', 'b');
    await clock.advance(200);
    at('a').reached();
    await clock.advance(1_999);
    expect(names()).toEqual(['a']);
    await clock.advance(1);
    expect(names()).toEqual(['a', 'b']);
    at('a').reached();
    at('b').resolve('B');
    await settle();
    expect([result.value, missed, clock.pending()]).toEqual(['B', ['a'], 0]);
  });

  it('one that fails late does not bring a third one in beside the second, which has its own time', async () => {
    open('a', 'b', 'c');
    await clock.advance(250);
    at('a').reject(new Error('timed out'));
    await settle();
    expect(names()).toEqual(['a', 'b']);
    await clock.advance(250);
    expect(names()).toEqual(['a', 'b', 'c']);
  });

  it('the last is waited for, also when all others are late', async () => {
    const result = open('a', 'b');
    await clock.advance(60_000);
    expect(result.over).toBe(false);
    at('a').reject(new Error('timed out'));
    at('b').reject(new Error('timed out'));
    await settle();
    expect([result.over, result.value]).toEqual([true, undefined]);
  });

  it('one that opens when another was taken is closed', async () => {
    const result = open('a', 'b');
    await clock.advance(250);
    const late = at('a');
    at('b').resolve('B');
    late.resolve('A');
    await settle();
    expect([result.value, closed]).toEqual(['B', ['A']]);
  });

  it('none is tried where there is none', async () => {
    const result = open();
    await settle();
    expect([result.over, result.value]).toEqual([true, undefined]);
  });

  it('all are given up when whoever wants one goes', async () => {
    const result = open('a', 'b', 'c');
    await clock.advance(250);
    end.abort(new Error('gone'));
    await settle();
    expect(result.error).toMatchObject({ message: 'gone' });
    expect([names().map((name) => at(name).signal.aborted), missed, clock.pending()]).toEqual([[true, true], [], 0]);
    tried.clear();
    const late = open('a');
    await settle();
    expect([late.error, names()]).toEqual([expect.objectContaining({ message: 'gone' }), []]);
  });
});
