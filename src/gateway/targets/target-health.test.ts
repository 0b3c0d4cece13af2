import { beforeEach, describe, expect, test } from 'vitest';
import { createManualClock, type Log, type ManualClock } from '../../std/index.ts';
import type { LoginProblem } from '../protocol.ts';
import { createTargetHealth, type TargetHealth } from './target-health.ts';

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
let health: TargetHealth;
let hold: Promise<void> | undefined;

beforeEach(() => {
  clock = createManualClock(0);
  lines = [];
  tried = [];
  wrong = new Map();
  hold = undefined;
  const note = (event: string) => void lines.push(event);
  const log: Log = { debug: note, info: note, warn: note, error: note, child: () => log };
  health = createTargetHealth({
    clock,
    log,
    async check(signal, place = '-') {
      tried.push(place);
      await hold;
      if (!signal.aborted) health.attempted(place, wrong.get(place));
      return wrong.get(place)?.what;
    },
  });
});

const settle = () => new Promise((resolve) => setImmediate(resolve));
async function begin() {
  health.start();
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
    expect(health.problems()).toEqual([AWAY]);
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
    expect(health.problems()).toEqual([AWAY]);
    await pass(MINUTE_MS);
    expect(health.problems()).toEqual([]);
    expect(lines).toEqual(['gateway.target.unreached', 'gateway.target.reached']);
  });

  test('that nobody logs in to is looked at every five minutes; where somebody does, that tells enough', async () => {
    await begin();
    await pass(5 * MINUTE_MS);
    expect(tried).toEqual(['-', '-']);
    await pass(4 * MINUTE_MS);
    health.attempted('app', undefined);
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
    health.attempted('app', AWAY);
    expect(health.problems()).toEqual([AWAY]);
    await pass(2 * SECOND_MS);
    expect(tried).toEqual(['-', 'app']);
    wrong.clear();
    await pass(4 * SECOND_MS);
    expect(health.problems()).toEqual([]);
  });

  test('that succeeds clears what was wrong with its place, and with no other', async () => {
    const full = { what: 'it is full', remedy: 'Make room.' };
    health.attempted('app', AWAY);
    health.attempted('other', AWAY);
    health.attempted('other', full);
    expect(health.problems()).toEqual([AWAY, full]);
    health.attempted('app', undefined);
    expect(health.problems()).toEqual([full]);
    health.attempted('other', undefined);
    expect(health.problems()).toEqual([]);
    expect(lines).toEqual(['gateway.target.unreached', 'gateway.target.reached']);
  });

  test('that fails while the watch logs in begins no second round', async () => {
    const held = Promise.withResolvers<void>();
    hold = held.promise;
    health.start();
    health.attempted('app', AWAY);
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
    health.close();
    expect([clock.pending(), health.problems()]).toEqual([0, []]);
    health.attempted('app', AWAY);
    expect(health.problems()).toEqual([]);
    expect(clock.pending()).toBe(0);
  });

  test('a login under way is the last', async () => {
    const held = Promise.withResolvers<void>();
    hold = held.promise;
    health.start();
    health.close();
    held.resolve();
    await settle();
    expect([tried, clock.pending(), health.problems()]).toEqual([['-'], 0, []]);
  });
});

test('the login under way can be waited for, and nothing is waited for when there is none', async () => {
  await health.settled();
  const held = Promise.withResolvers<void>();
  hold = held.promise;
  wrong.set('-', AWAY);
  health.start();
  let problems: readonly LoginProblem[] | undefined;
  const settled = health.settled().then(() => {
    problems = health.problems();
  });
  await settle();
  expect(problems).toBeUndefined();
  held.resolve();
  await settled;
  expect(problems).toEqual([AWAY]);
  health.close();
});

test('a check that throws costs a line in the log', async () => {
  const note = (event: string) => void lines.push(event);
  const log: Log = { debug: note, info: note, warn: note, error: note, child: () => log };
  const broken = createTargetHealth({ clock, log, check: () => Promise.reject(new Error('a bug')) });
  broken.start();
  await settle();
  expect(lines).toEqual(['gateway.target.check_failed']);
  broken.close();
});
