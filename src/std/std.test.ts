import { getEventListeners } from 'node:events';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CodedError,
  codeOf,
  constantTimeEqual,
  createBoundedQueue,
  createLimiter,
  createLog,
  createManualClock,
  createSeededRandom,
  createSharedTimers,
  type ErrorEntry,
  followAbort,
  formatDurationMs,
  parseDurationMs,
  raceAbort,
  Secret,
  sha256,
  sleep,
  startAll,
  stopAll,
  timeoutSignal,
} from './index.ts';

const never = new AbortController().signal;

describe('the manual clock', () => {
  it('fires each timer at its own instant, in order, and not before', async () => {
    const clock = createManualClock(1000);
    const seen: string[] = [];
    clock.after(20, () => seen.push(`b at ${clock.now()}`));
    clock.after(10, () => {
      seen.push(`a at ${clock.now()}`);
      clock.after(5, () => seen.push(`c at ${clock.now()}`));
    });
    clock.after(30, () => seen.push('cancelled')).cancel();
    await clock.advance(9);
    expect(seen).toEqual([]);
    await clock.advance(50);
    expect(seen).toEqual(['a at 1010', 'c at 1015', 'b at 1020']);
    expect([clock.now(), clock.monotonicMs(), clock.pending()]).toEqual([1059, 59, 0]);
  });

  it('steps the wall clock without passing time', async () => {
    const clock = createManualClock(1000);
    clock.step(-500);
    expect([clock.now(), clock.monotonicMs()]).toEqual([500, 0]);
  });
});

describe('shared timers', () => {
  it('run with all others of their step, at its beginning, and never late', async () => {
    const clock = createManualClock(0);
    const timers = createSharedTimers(clock, 500);
    const seen: string[] = [];
    await clock.advance(700);
    for (const delayMs of [4300, 4500, 4799, 4800, 0, 100]) {
      timers.after(delayMs, () => seen.push(`${delayMs} at ${clock.monotonicMs()}`));
    }
    expect(clock.pending()).toBe(3);
    await clock.advance(4299);
    expect(seen).toEqual(['0 at 700', '100 at 700']);
    await clock.advance(1000);
    expect(seen.slice(2)).toEqual(['4300 at 5000', '4500 at 5000', '4799 at 5000', '4800 at 5500']);
    expect(clock.pending()).toBe(0);
  });

  it('leave nothing behind when all of a step are cancelled, and keep the others of one that is', async () => {
    const clock = createManualClock(0);
    const timers = createSharedTimers(clock, 500);
    let runs = 0;
    const run = () => runs++;
    const [one, other, third] = [timers.after(10, run), timers.after(20, run), timers.after(30, run)];
    one.cancel();
    one.cancel();
    expect(clock.pending()).toBe(1);
    await clock.advance(500);
    expect(runs).toBe(2);
    const last = timers.after(10, run);
    other.cancel();
    third.cancel();
    expect(clock.pending()).toBe(1);
    last.cancel();
    expect(clock.pending()).toBe(0);
  });
});

describe('cancellation', () => {
  it('ends a sleep at once and leaves no timer', async () => {
    const clock = createManualClock(0);
    const controller = new AbortController();
    const sleeping = sleep(clock, 1000, controller.signal);
    controller.abort();
    await expect(sleeping).rejects.toThrow('aborted');
    expect(clock.pending()).toBe(0);
    await expect(sleep(clock, 1, controller.signal)).rejects.toThrow();
  });

  it('times out on the clock that it was given', async () => {
    const clock = createManualClock(0);
    const { signal, cancel } = timeoutSignal(clock, 100);
    await clock.advance(99);
    expect(signal.aborted).toBe(false);
    await clock.advance(1);
    expect(signal.reason).toMatchObject({ name: 'TimeoutError' });
    cancel();
  });

  it('takes the first of a work and an abort, and hears a late rejection', async () => {
    expect(await raceAbort(Promise.resolve(1), never)).toBe(1);
    await expect(raceAbort(Promise.reject(new Error('late')), AbortSignal.abort())).rejects.toThrow('aborted');
    const { signal } = followAbort(never, AbortSignal.abort());
    await expect(raceAbort(new Promise(() => {}), signal)).rejects.toThrow('aborted');
  });

  it('follows others with their reason, and one that has come before', () => {
    const other = new AbortController();
    const following = followAbort(never, other.signal);
    expect(following.signal.aborted).toBe(false);
    other.abort('why');
    expect(following.signal.reason).toBe('why');
    expect(followAbort(never, other.signal).signal.reason).toBe('why');
  });

  it('keeps nothing with those that it followed, however it ends', async () => {
    const clock = createManualClock(0);
    const [one, other] = [new AbortController(), new AbortController()];
    const held = () => [one, other].flatMap(({ signal }) => getEventListeners(signal, 'abort'));
    followAbort(one.signal, other.signal).abort();
    followAbort(one.signal, other.signal).release();
    timeoutSignal(clock, 100, one.signal, other.signal).cancel();
    expect(held()).toEqual([]);
    timeoutSignal(clock, 100, one.signal, other.signal);
    expect(held()).toHaveLength(2);
    await clock.advance(100);
    expect(held()).toEqual([]);
    const cut = timeoutSignal(clock, 100, one.signal, other.signal);
    one.abort();
    expect(held()).toEqual([]);
    expect(followAbort(other.signal, one.signal).signal.aborted).toBe(true);
    expect(held()).toEqual([]);
    cut.cancel();
    expect(clock.pending()).toBe(0);
  });

  it('tells a time that is over from an end that came before it', async () => {
    const clock = createManualClock(0);
    const other = new AbortController();
    const late = timeoutSignal(clock, 100, other.signal);
    const cut = timeoutSignal(clock, 200, other.signal);
    await clock.advance(100);
    other.abort();
    await clock.advance(100);
    expect(late.isOver).toBe(true);
    expect(cut.isOver).toBe(false);
    expect(cut.signal.aborted).toBe(true);
  });
});

describe('a secret', () => {
  it('shows itself in no form but reveal', () => {
    const secret = Secret.fromText('hunter2');
    for (const text of [
      `${secret}`,
      JSON.stringify({ secret }),
      inspect({ secret }, { depth: 9, showHidden: true }),
      String(secret),
    ]) {
      expect(text).not.toContain('hunter2');
      expect(text).toContain('[redacted]');
    }
    expect(secret.revealText()).toBe('hunter2');
  });

  it('is not seen by the log, nor are unknown properties of errors', () => {
    let line = '';
    const log = createLog({ level: 'debug', write: (text) => (line += text) });
    log.child({ part: 'x' }).error('happened', {
      secret: Secret.fromText('hunter2'),
      error: Object.assign(new Error('outer', { cause: new Error('inner') }), { token: 'hunter2', code: 'ECODE' }),
    });
    expect(line).not.toContain('hunter2');
    expect(JSON.parse(line)).toMatchObject({
      level: 'error',
      event: 'happened',
      part: 'x',
      error: { message: 'outer', code: 'ECODE', cause: { message: 'inner' } },
    });
  });
});

describe('limits', () => {
  it('a queue refuses rather than grows, and keeps order', () => {
    const queue = createBoundedQueue<number>(2);
    expect([queue.push(1), queue.push(2), queue.push(3)]).toEqual([true, true, false]);
    expect([queue.shift(), queue.push(4), queue.shift(), queue.shift(), queue.shift(), queue.size]).toEqual([
      1,
      true,
      2,
      4,
      undefined,
      0,
    ]);
  });

  it('a gate lets so many through, the rest wait in order, too many are refused', async () => {
    const gate = createLimiter({ runningMax: 1, waitersMax: 1, full: () => new Error('full') });
    const done: string[] = [];
    let release = () => {};
    const first = gate.run(
      () => new Promise<void>((resolve) => (release = resolve)).then(() => void done.push('first')),
      never,
    );
    const second = gate.run(async () => void done.push('second'), never);
    await expect(gate.run(async () => {}, never)).rejects.toThrow('full');
    expect([gate.running, gate.waiting]).toEqual([1, 1]);
    release();
    await Promise.all([first, second]);
    expect(done).toEqual(['first', 'second']);
    expect([gate.running, gate.waiting]).toEqual([0, 0]);
  });

  it('a gate forgets who gave up waiting', async () => {
    const gate = createLimiter({ runningMax: 1, waitersMax: 1, full: () => new Error('full') });
    let release = () => {};
    const first = gate.run(() => new Promise<void>((resolve) => (release = resolve)), never);
    const controller = new AbortController();
    const second = gate.run(async () => {}, controller.signal);
    controller.abort();
    await expect(second).rejects.toThrow('aborted');
    release();
    await first;
    expect([gate.running, gate.waiting]).toEqual([0, 0]);
  });
});

describe('services', () => {
  const service = (name: string, log: string[], fails = false) => ({
    async start() {
      log.push(`start ${name}`);
      if (fails) throw new Error(`${name} fails`);
    },
    async stop() {
      log.push(`stop ${name}`);
    },
  });

  it('start in order; when one fails, those before it stop again', async () => {
    const log: string[] = [];
    await expect(startAll([service('a', log), service('b', log, true), service('c', log)], never)).rejects.toThrow(
      'b fails',
    );
    expect(log).toEqual(['start a', 'start b', 'stop b', 'stop a']);
  });

  it('stop newest first, all of them, and then tell the first failure', async () => {
    const log: string[] = [];
    const bad = { ...service('b', log), stop: () => Promise.reject(new Error('b hangs')) };
    await expect(stopAll([service('a', log), bad, service('c', log)])).rejects.toThrow('b hangs');
    expect(log).toEqual(['stop c', 'stop a']);
  });
});

describe('durations', () => {
  it.each([
    ['90s', 90_000],
    ['1h30m', 5_400_000],
    ['250ms', 250],
    ['7d', 604_800_000],
    ['0s', 0],
  ])('%s is %i ms', (text, durationMs) => {
    expect(parseDurationMs(text)).toBe(durationMs);
  });

  it.each(['', '5', 'm', '1m1h', '-1s', '1.5h', '1 h', '9999999999d'])('%j is none', (text) => {
    expect(parseDurationMs(text)).toBeUndefined();
  });

  it('are read back as they were written', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 10 ** 12 }),
        (durationMs) => parseDurationMs(formatDurationMs(durationMs)) === durationMs,
      ),
    );
  });
});

describe('small things', () => {
  it('an error carries its code', () => {
    class Own extends CodedError<'ERR_X'> {
      get entry(): ErrorEntry {
        return { status: 400, exit: 'usage', meaning: 'None.', remedy: 'None.' };
      }
    }
    const error = new Own('ERR_X', 'message', { cause: 1 });
    expect([codeOf(error), codeOf({ code: 5 }), codeOf(null), error.name, error.cause]).toEqual([
      'ERR_X',
      undefined,
      undefined,
      'Own',
      1,
    ]);
  });

  it('bytes are equal or not, whatever their length', () => {
    expect([
      constantTimeEqual(Buffer.from('a'), Buffer.from('a')),
      constantTimeEqual(Buffer.from('a'), Buffer.from('b')),
      constantTimeEqual(Buffer.from('a'), Buffer.from('ab')),
    ]).toEqual([true, false, false]);
    expect(sha256(Buffer.from('a'), Buffer.from('b'))).toEqual(sha256(Buffer.from('ab')));
  });

  it('a seed gives the same chance again', () => {
    const [a, b] = [createSeededRandom('x'), createSeededRandom('x')];
    expect([a.bytes(40), a.fraction()]).toEqual([b.bytes(40), b.fraction()]);
  });
});
