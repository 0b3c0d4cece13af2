import { beforeEach, describe, expect, test } from 'vitest';
import { createManualClock, type Log, type ManualClock } from '../std/index.ts';
import type { LoginProblem } from './protocol.ts';
import { createReach, type Reach } from './reach.ts';

// Goal: a target that does not let the gateway in is known before its clients find out, and known to be back soon after it is.

const AWAY: LoginProblem = { what: 'it is away', remedy: 'Start it.' };
const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;

let clock: ManualClock;
/** Events that were logged. */
let lines: string[];
/** Places that were logged in to by the watch itself, `-` for the usual one. */
let tried: string[];
/** What each place fails of, `-` being the usual one. */
let wrong: Map<string, LoginProblem>;
let reach: Reach;
let hold: Promise<void> | undefined;

beforeEach(() => {
  clock = createManualClock(0);
  lines = [];
  tried = [];
  wrong = new Map();
  hold = undefined;
  const note = (event: string) => void lines.push(event);
  const log: Log = { debug: note, info: note, warn: note, error: note, child: () => log };
  reach = createReach({
    clock,
    log,
    async check(signal, place = '-') {
      tried.push(place);
      await hold;
      if (!signal.aborted) reach.attempted(place, wrong.get(place));
      return wrong.get(place)?.what;
    },
  });
});

const settle = () => new Promise((resolve) => setImmediate(resolve));
async function begin() {
  reach.start();
  await settle();
}
async function pass(byMs: number) {
  await clock.advance(byMs);
  await settle();
}

describe('a target', () => {
  test('is logged in to at once, though nobody has asked for it', async () => {
    wrong.set('-', AWAY);
    await begin();
    expect(tried).toEqual(['-']);
    expect(reach.problems()).toEqual([AWAY]);
    expect(lines).toEqual(['gateway.target.unreached']);
  });

  test('that fails is tried ever more seldom, but every minute at least, until it succeeds', async () => {
    wrong.set('-', AWAY);
    await begin();
    for (const [i, delayMs] of [4, 8, 16, 32, 60, 60].entries()) {
      await pass(delayMs * SECOND_MS - 1);
      expect(tried.length).toBe(i + 1);
      await pass(1);
      expect(tried.length).toBe(i + 2);
    }
    wrong.clear();
    expect(reach.problems()).toEqual([AWAY]);
    await pass(MINUTE_MS);
    expect(reach.problems()).toEqual([]);
    expect(lines).toEqual(['gateway.target.unreached', 'gateway.target.reached']);
  });

  test('that nobody logs in to is looked at every five minutes; where somebody does, that tells enough', async () => {
    await begin();
    await pass(5 * MINUTE_MS);
    expect(tried).toEqual(['-', '-']);
    await pass(4 * MINUTE_MS);
    reach.attempted('app', undefined);
    await pass(4 * MINUTE_MS);
    expect(tried.length).toBe(2);
    await pass(MINUTE_MS);
    expect(tried.length).toBe(3);
  });
});

describe('a session’s login', () => {
  test('that fails is a problem at once, and that place is tried until it succeeds', async () => {
    await begin();
    wrong.set('app', AWAY);
    reach.attempted('app', AWAY);
    expect(reach.problems()).toEqual([AWAY]);
    await pass(2 * SECOND_MS);
    expect(tried).toEqual(['-', 'app']);
    wrong.clear();
    await pass(4 * SECOND_MS);
    expect(reach.problems()).toEqual([]);
  });

  test('that succeeds clears what was wrong with its place, and with no other', async () => {
    const full = { what: 'it is full', remedy: 'Make room.' };
    reach.attempted('app', AWAY);
    reach.attempted('other', AWAY);
    reach.attempted('other', full);
    expect(reach.problems()).toEqual([AWAY, full]);
    reach.attempted('app', undefined);
    expect(reach.problems()).toEqual([full]);
    reach.attempted('other', undefined);
    expect(reach.problems()).toEqual([]);
    expect(lines).toEqual(['gateway.target.unreached', 'gateway.target.reached']);
  });

  test('that fails while the watch logs in begins no second round', async () => {
    const held = Promise.withResolvers<void>();
    hold = held.promise;
    reach.start();
    reach.attempted('app', AWAY);
    expect(clock.pending()).toBe(0);
    held.resolve();
    await settle();
    expect(clock.pending()).toBe(1);
    hold = undefined;
    await pass(4 * SECOND_MS);
    expect(tried).toEqual(['-', 'app']);
  });
});

describe('once closed', () => {
  test('nothing is tried any more, and nothing is wrong', async () => {
    wrong.set('-', AWAY);
    await begin();
    reach.close();
    expect([clock.pending(), reach.problems()]).toEqual([0, []]);
    reach.attempted('app', AWAY);
    expect(reach.problems()).toEqual([]);
    expect(clock.pending()).toBe(0);
  });

  test('a login under way is the last', async () => {
    const held = Promise.withResolvers<void>();
    hold = held.promise;
    reach.start();
    reach.close();
    held.resolve();
    await settle();
    expect([tried, clock.pending(), reach.problems()]).toEqual([['-'], 0, []]);
  });
});

test('the login under way can be waited for, and nothing is waited for when there is none', async () => {
  await reach.settled();
  const held = Promise.withResolvers<void>();
  hold = held.promise;
  wrong.set('-', AWAY);
  reach.start();
  let problems: readonly LoginProblem[] | undefined;
  const settled = reach.settled().then(() => {
    problems = reach.problems();
  });
  await settle();
  expect(problems).toBeUndefined();
  held.resolve();
  await settled;
  expect(problems).toEqual([AWAY]);
  reach.close();
});

test('a check that throws costs a line in the log', async () => {
  const note = (event: string) => void lines.push(event);
  const log: Log = { debug: note, info: note, warn: note, error: note, child: () => log };
  const broken = createReach({ clock, log, check: () => Promise.reject(new Error('a bug')) });
  broken.start();
  await settle();
  expect(lines).toEqual(['gateway.target.check_failed']);
  broken.close();
});
