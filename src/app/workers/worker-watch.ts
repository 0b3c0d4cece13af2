import { type Clock, type Log, messageOf, raceAbort, type Timer, timeoutSignal } from '../../std/index.ts';
import { AppError } from '../errors.ts';
import type { Finding, Found } from '../health/conditions.ts';
import type { MetricsOf } from '../health/metrics.ts';
import type { ForOthers, ToWorker } from './messages.ts';
import { HUNG_MS, listenForSilence, type Silence } from './silence.ts';
import type { WorkerProcess } from './worker-process.ts';

/** One worker, by its number: the process that it is now, and the next when that has ended. One that hangs is ended. */
export interface WorkerWatch {
  readonly number: number;
  /** Resolves when it runs for the first time. @throws AppError ERR_APP_WORKER when it ends before */
  start(signal: AbortSignal): Promise<void>;
  /** Has it stop as a role does. Resolves when its process is gone; none is started any more. */
  stop(): Promise<void>;
  /** Does nothing where no process is. */
  send(message: ToWorker): void;
  /** It serves, as far as anybody knows. */
  runs(): boolean;
  /** What it has found wrong, by its last word. */
  findings(): readonly Finding[];
  /** That it is not there, if so. */
  missing(): readonly Found[];
  /** Undefined where it does not answer in time. */
  metrics(): Promise<MetricsOf | undefined>;
}

/** Creates one; `start` starts a process of it, `gone` hears that one has ended, `heard` what it says to others. */
export function createWorkerWatch(deps: {
  readonly clock: Clock;
  readonly log: Log;
  readonly number: number;
  start(): WorkerProcess;
  heard(message: ForOthers): void;
  gone(): void;
}): WorkerWatch {
  const { clock, log, number } = deps;
  const first = Promise.withResolvers<void>();
  first.promise.catch(() => {}); // Whoever starts it hears of it.
  const metrics = createMetricsAsked(clock);
  const retries = createRetries(clock);
  let now: Current | undefined;
  let last = 'it was not started yet';
  let findings: readonly Finding[] = [];
  let isStopping = false;
  let restart: Timer | undefined;

  const ended = (how: string, pid?: number) => {
    now = undefined;
    findings = [];
    last = how;
    deps.gone();
    const retryMs = retries.ended();
    if (isStopping) return;
    log.error('app.worker.ended', { worker: number, pid, how, retryMs });
    first.reject(new AppError('ERR_APP_WORKER', `worker ${number} of the gateway did not start: ${how}`));
    restart = clock.after(retryMs, begin);
  };
  const begin = () => {
    let worker: WorkerProcess;
    try {
      worker = deps.start();
    } catch (error) {
      // For want of memory, say: the other workers go on, so this process does.
      return ended(`it could not be started: ${messageOf(error)}`);
    }
    const gone = Promise.withResolvers<void>();
    const silence = endHung(worker, { clock, log, number });
    const current: Current = { worker, gone: gone.promise, isRunning: false, silence };
    now = current;
    worker.hear((message) => {
      // Its last words may come behind its end, and what it had was given back by then.
      if (now !== current) return;
      silence.heard();
      switch (message.kind) {
        case 'running':
          current.isRunning = true;
          log.info('app.worker.running', { worker: number, pid: worker.pid });
          retries.running();
          return first.resolve();
        case 'health':
          findings = message.findings;
          return;
        case 'metrics':
          return metrics.answered(message.id, message.metrics);
        default:
          return deps.heard(message);
      }
    });
    worker.ended((how) => {
      if (now !== current) return;
      ended(silence.ended(how), worker.pid);
      gone.resolve();
    });
  };

  return {
    number,
    start(signal) {
      begin();
      return raceAbort(first.promise, signal);
    },
    async stop() {
      isStopping = true;
      restart?.cancel();
      now?.worker.send({ kind: 'stop' });
      await now?.gone;
    },
    send: (message) => now?.worker.send(message),
    runs: () => now?.isRunning === true,
    findings: () => findings,
    // Of one that stops, somebody wants it so, and it says so itself.
    missing: () => (isStopping ? [] : missingOf(number, now ?? last)),
    // Who says nothing is not waited for at each scrape.
    metrics: () => metrics.ask(missingOf(number, now ?? last).length === 0 ? now?.worker : undefined),
  };
}

/** The process that a worker is now. */
interface Current {
  readonly worker: WorkerProcess;
  readonly gone: Promise<void>;
  isRunning: boolean;
  readonly silence: Pick<Silence, 'sinceMs'>;
}

/** Ends one that hangs: who waits for it, and whom the system gives to it, would wait for ever. Its ledger tells at its next start what became of what it was at. */
function endHung(
  worker: WorkerProcess,
  { clock, log, number }: { readonly clock: Clock; readonly log: Log; readonly number: number },
): Omit<Silence, 'stop'> & { ended(how: string): string } {
  let isHung = false;
  const silence = listenForSilence({
    clock,
    look: () => worker.look(),
    hung() {
      isHung = true;
      log.error('app.worker.hung', { worker: number, pid: worker.pid, silentMs: HUNG_MS });
      worker.kill();
    },
  });
  return {
    ...silence,
    ended(how) {
      silence.stop();
      return isHung ? `it hung, and ${how}` : how;
    },
  };
}

/** How long the next start is put off: longer after each that has not run for a while. */
function createRetries(clock: Clock) {
  let failures = 0;
  let settled: Timer | undefined;
  return {
    running() {
      settled = clock.after(SETTLED_MS, () => {
        failures = 0;
      });
    },
    ended(): number {
      settled?.cancel();
      return Math.min(RETRY_MS * 2 ** failures++, RETRY_MS_MAX);
    },
  };
}

/** What is wrong with the process of a worker, or, where there is none, with how the last one ended. */
function missingOf(number: number, now: Current | string): readonly Found[] {
  const what = `worker ${number}`;
  const failed = (key: string, found: string): Found[] => [
    { severity: 'failed', what, key, found: `${what} ${found}` },
  ];
  if (typeof now === 'string') return failed('gone', `is not there: ${now}`);
  if (!now.isRunning) return failed('starts', 'is starting');
  if (now.silence.sinceMs() < SILENT_MS_MAX) return [];
  return failed('silent', `(process ${now.worker.pid}) says nothing`);
}

/** Questions for the figures of a worker, each answered in time or not at all. */
function createMetricsAsked(clock: Clock) {
  const asked = new Map<number, (metrics: MetricsOf) => void>();
  let asks = 0;
  return {
    answered: (id: number, metrics: MetricsOf) => asked.get(id)?.(metrics),
    async ask(worker: WorkerProcess | undefined): Promise<MetricsOf | undefined> {
      if (worker === undefined) return undefined;
      const id = ++asks;
      const { promise, resolve } = Promise.withResolvers<MetricsOf>();
      asked.set(id, resolve);
      const timeout = timeoutSignal(clock, METRICS_MS_MAX);
      worker.send({ kind: 'metrics', id });
      try {
        return await raceAbort(promise, timeout.signal);
      } catch {
        return undefined; // The others' are worth having, and that it says nothing is a condition.
      } finally {
        timeout.cancel();
        asked.delete(id);
      }
    },
  };
}

/** It may have been a moment's trouble. */
const RETRY_MS = 500;
const RETRY_MS_MAX = 30_000;
/** What runs for so long did not end of its start. */
const SETTLED_MS = 60_000;
/** It tells how it is once a second; a machine may be busy. */
const SILENT_MS_MAX = 10_000;
/** A scraper waits for ten seconds. */
const METRICS_MS_MAX = 3_000;
