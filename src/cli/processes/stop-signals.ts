import type { Clock } from '../../std/index.ts';
import { stopSignals } from '../command.ts';

/** A signal that asks a process to stop. */
export type StopSignal = (typeof stopSignals)[number];

/** The process that is asked: where its signals are heard, and how it ends by one. */
export interface SignalledProcess {
  readonly pid: number;
  on(signal: StopSignal, listener: () => void): unknown;
  off(signal: StopSignal, listener: () => void): unknown;
  kill(pid: number, signal: StopSignal): unknown;
}

/** Hears of signals that ask this process to stop. */
export interface StopSignals {
  /** Is called by the next one, once, in place of the end of the process. */
  next(call: () => void): void;
}

/**
 * Calls `first` by the first of them. What comes within half a second of it is the same wish once more: systemd asks every process of a service
 * and a terminal all of a job, so one that was started by a launcher is asked by that one as well. Any later one is whoever runs it losing
 * patience: it ends the process, unless somebody waits for it.
 */
export function watchStopSignals(
  process: SignalledProcess,
  clock: Clock,
  first: (signal: StopSignal) => void,
): StopSignals {
  let firstMs: number | undefined;
  let next: (() => void) | undefined;
  const listeners = stopSignals.map((signal) => ({ signal, listener: () => hear(signal) }));
  const hear = (signal: StopSignal) => {
    if (firstMs === undefined) {
      firstMs = clock.monotonicMs();
      first(signal);
    } else if (clock.monotonicMs() - firstMs >= SAME_WISH_MS) {
      const call = next;
      next = undefined;
      if (call !== undefined) return call();
      for (const one of listeners) process.off(one.signal, one.listener);
      process.kill(process.pid, signal);
    }
  };
  for (const one of listeners) process.on(one.signal, one.listener);
  return {
    next(call) {
      next = call;
    },
  };
}

const SAME_WISH_MS = 500;
