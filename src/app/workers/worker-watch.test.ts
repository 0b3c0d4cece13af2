import { beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, createSilentLog, type ManualClock } from '../../std/index.ts';
import type { ToParent, ToWorker } from './messages.ts';
import type { WorkerProcess } from './worker-process.ts';
import { createWorkerWatch, type WorkerWatch } from './worker-watch.ts';

// Goal: a worker that ends is noticed, told of, and there again, without end and without haste; one that is gone has no say.

let clock: ManualClock;
let started: FakeProcess[];
let heard: ToParent[];
let gone: number;
let watch: WorkerWatch;
/** Why none can be started. */
let problem: Error | undefined;

class FakeProcess implements WorkerProcess {
  readonly pid = 7;
  readonly sent: ToWorker[] = [];
  isHeldUp = false;
  kills = 0;
  say: (message: ToParent) => void = () => {};
  end: (how: string) => void = () => {};
  send(message: ToWorker) {
    this.sent.push(message);
  }
  hear(listener: (message: ToParent) => void) {
    this.say = listener;
  }
  ended(listener: (how: string) => void) {
    this.end = listener;
  }
  look() {
    return { isHeldUp: this.isHeldUp, cpuMs: 0 };
  }
  kill() {
    this.kills++;
  }
}

beforeEach(() => {
  clock = createManualClock(0);
  [started, heard, gone, problem] = [[], [], 0, undefined];
  watch = createWorkerWatch({
    ...{ clock, log: createSilentLog(), number: 2 },
    start() {
      if (problem !== undefined) throw problem;
      const process = new FakeProcess();
      started.push(process);
      return process;
    },
    heard: (message) => void heard.push(message),
    gone: () => void gone++,
  });
});

const never = new AbortController().signal;
const newest = () => started.at(-1) ?? new FakeProcess();
const found = () => watch.missing().map((one) => one.found);

async function run(): Promise<void> {
  const begun = watch.start(never);
  newest().say({ kind: 'running' });
  await begun;
}

describe('a worker', () => {
  it('is not there until it runs', async () => {
    expect(found()).toEqual(['worker 2 is not there: it was not started yet']);
    const begun = watch.start(never);
    expect([watch.runs(), found()]).toEqual([false, ['worker 2 is starting']]);
    newest().say({ kind: 'running' });
    await begun;
    expect([watch.runs(), found()]).toEqual([true, []]);
  });

  it('that ends before it ran fails the start', async () => {
    const begun = watch.start(never);
    newest().end('it ended with exit code 78');
    await expect(begun).rejects.toMatchObject({
      code: 'ERR_APP_WORKER',
      message: expect.stringContaining('exit code 78'),
    });
  });

  it('that ends is told of and started again, later each time, and soon once more when it has run for a minute', async () => {
    await run();
    const waits: number[] = [];
    for (let n = 0; n < 9; n++) {
      newest().end('it was ended by SIGKILL');
      expect(found()).toEqual(['worker 2 is not there: it was ended by SIGKILL']);
      const [before, beganMs] = [started.length, clock.monotonicMs()];
      while (started.length === before) await clock.advance(500);
      waits.push(clock.monotonicMs() - beganMs);
      newest().say({ kind: 'running' });
    }
    expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    expect(gone).toBe(9);
    await clock.advance(60_000);
    newest().end('it was ended by SIGKILL');
    await clock.advance(500);
    expect(started).toHaveLength(11);
  });

  it('that can not be started at all is tried again, and what keeps it from that is told', async () => {
    await run();
    problem = new Error('spawn ENOMEM');
    newest().end('it was ended by SIGKILL');
    await clock.advance(500);
    expect(found()).toEqual(['worker 2 is not there: it could not be started: spawn ENOMEM']);
    problem = undefined;
    await clock.advance(999);
    expect(started).toHaveLength(1);
    await clock.advance(1);
    expect(started).toHaveLength(2);
  });

  it('that can not be started the first time fails the start', async () => {
    problem = new Error('spawn ENOMEM');
    await expect(watch.start(never)).rejects.toMatchObject({
      code: 'ERR_APP_WORKER',
      message: expect.stringContaining('spawn ENOMEM'),
    });
    await watch.stop();
    problem = undefined;
    await clock.advance(60_000);
    expect(started).toHaveLength(0);
  });

  it('that is gone has no say any more: what it had was given back', async () => {
    await run();
    const old = newest();
    old.end('it was ended by SIGKILL');
    old.say({ kind: 'ask', id: 1, ask: { what: 'session', identity: 'spiffe://example.org/web' } });
    expect(heard).toEqual([]);
    await clock.advance(500);
    old.end('once more');
    expect(found()).toEqual(['worker 2 is starting']);
  });

  it('that says nothing for ten seconds is told of, until it says something', async () => {
    await run();
    await clock.advance(9_999);
    expect(found()).toEqual([]);
    await clock.advance(1);
    expect(found()).toEqual(['worker 2 (process 7) says nothing']);
    newest().say({ kind: 'health', findings: [] });
    expect(found()).toEqual([]);
  });

  it('that hangs is killed once, told of, given up when it is gone, and started again', async () => {
    await run();
    const hung = newest();
    await clock.advance(29_000);
    expect(hung.kills).toBe(0);
    await clock.advance(60_000);
    expect([hung.kills, gone, found()]).toEqual([1, 0, ['worker 2 (process 7) says nothing']]);
    hung.end('it was ended by SIGKILL');
    expect([gone, found()]).toEqual([1, ['worker 2 is not there: it hung, and it was ended by SIGKILL']]);
    await clock.advance(500);
    newest().say({ kind: 'running' });
    expect([started.length, newest().kills, found()]).toEqual([2, 0, []]);
  });

  it('that is slow, or says one word in half a minute, is not killed', async () => {
    await run();
    for (let n = 0; n < 10; n++) {
      await clock.advance(29_000);
      newest().say({ kind: 'health', findings: [] });
    }
    newest().isHeldUp = true;
    await clock.advance(3_600_000);
    expect(newest().kills).toBe(0);
  });

  it('that hangs while it starts, or while it stops, is killed as well', async () => {
    const begun = watch.start(never);
    await clock.advance(31_000);
    expect(newest().kills).toBe(1);
    newest().end('it was ended by SIGKILL');
    await expect(begun).rejects.toMatchObject({ message: expect.stringContaining('it hung, and') });
    await clock.advance(500);
    const stopped = watch.stop();
    await clock.advance(31_000);
    expect(newest().kills).toBe(1);
    newest().end('it was ended by SIGKILL');
    await stopped;
    expect(clock.pending()).toBe(0);
  });

  it('that does not answer a scrape is left out of it in time', async () => {
    await run();
    const asked = watch.metrics();
    await clock.advance(3_000);
    expect(await asked).toBeUndefined();
    const again = watch.metrics();
    const [request] = newest().sent.slice(-1);
    newest().say({ kind: 'metrics', id: request?.kind === 'metrics' ? request.id : 0, metrics: [] });
    expect(await again).toEqual([]);
  });

  it('that starts, or says nothing, is not waited for by a scrape', async () => {
    const begun = watch.start(never);
    expect(await watch.metrics()).toBeUndefined();
    newest().say({ kind: 'running' });
    await begun;
    await clock.advance(10_000);
    expect(await watch.metrics()).toBeUndefined();
    expect(newest().sent).toEqual([]);
  });

  it('that is to stop is asked to, waited for, and not started again, nor missed', async () => {
    await run();
    const stopped = watch.stop();
    expect(newest().sent.at(-1)).toEqual({ kind: 'stop' });
    newest().end('it ended with exit code 0');
    await stopped;
    await clock.advance(120_000);
    expect([started.length, found()]).toEqual([1, []]);
  });
});
