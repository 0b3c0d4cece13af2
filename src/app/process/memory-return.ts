import { cpuUsage, memoryUsage } from 'node:process';
import { getHeapStatistics } from 'node:v8';
import type { Clock, Log, Service, Timer } from '../../std/index.ts';
import { tuneMalloc } from './malloc.ts';

/** What a process takes of its machine. */
export interface ProcessUse {
  /** Memory that is its own now. */
  residentBytes(): number;
  /** Time that it has worked so far, of all its threads. */
  cpuMs(): number;
  /** Collects its garbage, and gives what the C library holds free back to the system. */
  giveBack(): void;
}

/**
 * Gives memory back, while it runs, that a rush has left behind: garbage that a process with nothing to do would not collect, and free memory
 * between what is still used, which the C library and V8 keep for good. Only when there is little to do: it stops everything for a tenth of a
 * second or two.
 */
export function createMemoryReturn(deps: { clock: Clock; log: Log; process: ProcessUse }): Service {
  const { clock, log, process } = deps;
  let timer: Timer | undefined;
  /** Nothing: what its start has left behind is given back as well. */
  let leastBytes = 0;
  /** What it had when it last gave something back. */
  let restBytes = 0;
  let seen = { atMs: clock.monotonicMs(), cpuMs: process.cpuMs() };
  /** How many looks apart, and how many until the next. */
  let [apart, left] = [1, 0];
  const look = () => {
    const now = { atMs: clock.monotonicMs(), cpuMs: process.cpuMs() };
    const isQuiet = now.cpuMs - seen.cpuMs < (now.atMs - seen.atMs) * QUIET_SHARE;
    seen = now;
    const bytes = process.residentBytes();
    if (bytes < leastBytes) leastBytes = bytes;
    if (!isQuiet || bytes - leastBytes < WORTH_BYTES) return;
    const hasGrown = bytes - restBytes >= WORTH_BYTES;
    if (!hasGrown && left-- > 0) return;
    process.giveBack();
    restBytes = process.residentBytes();
    if (leastBytes === 0) leastBytes = restBytes;
    const returnedBytes = bytes - restBytes;
    // What stays is in use: it is tried again, for that may end without a sign, but ever more seldom.
    apart = hasGrown || returnedBytes >= WORTH_BYTES ? 1 : Math.min(2 * apart, APART_MAX);
    left = apart - 1;
    log.debug('app.memory.returned', { returnedBytes });
  };
  const wait = () => {
    timer = clock.after(LOOK_EVERY_MS, () => {
      look();
      wait();
    });
  };
  return {
    async start() {
      wait();
    },
    async stop() {
      timer?.cancel();
    },
  };
}

/** The use of this process, whose C library is told to keep little. */
export function createOwnUse(): ProcessUse {
  const { trim } = tuneMalloc();
  return {
    residentBytes: () => memoryUsage.rss(),
    cpuMs() {
      const { user, system } = cpuUsage();
      return (user + system) / 1000;
    },
    giveBack() {
      const isSmall = getHeapStatistics().used_heap_size <= SMALL_HEAP_BYTES;
      // Where the executable has started this process, which asks for it; elsewhere garbage waits for its time. An ordinary collection keeps
      // all pages that it empties, for objects to come; the other one collects several times, and gives them back.
      globalThis.gc?.({ type: 'major', execution: 'sync', flavor: isSmall ? 'last-resort' : 'regular' });
      trim();
    },
  };
}

const LOOK_EVERY_MS = 10_000;
/** Of one processor. */
const QUIET_SHARE = 0.25;
/** Of a larger one, several collections would take longer than some hundred milliseconds. */
const SMALL_HEAP_BYTES = 128 * 1024 * 1024;
/** Less is what a process takes and gives all the time. */
const WORTH_BYTES = 16 * 1024 * 1024;
/** Ten minutes. */
const APART_MAX = 60;
