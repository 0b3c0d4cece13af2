import { readdirSync, statfsSync } from 'node:fs';
import {
  type Clock,
  codeOf,
  descriptorsMax,
  formatDurationMs,
  type Log,
  type Service,
  startAll,
  stopAll,
  type Timer,
} from '../../std/index.ts';
import { createMemoryReturn, createOwnUse } from '../process/memory-return.ts';
import type { Found, HealthCheck } from './conditions.ts';

/** What can be wrong with any process of ours. */
export interface ProcessChecks {
  readonly checks: {
    readonly room: HealthCheck;
    readonly 'event-loop': HealthCheck;
    readonly descriptors: HealthCheck;
  };
  /** Measures the event loop, and gives memory back, while it runs. */
  readonly service: Service;
}

/** Creates the checks of this process, whose role keeps its data in `dataDir`. */
export function createProcessChecks(deps: {
  readonly clock: Clock;
  readonly log: Log;
  readonly dataDir: string;
}): ProcessChecks {
  const { clock, log, dataDir } = deps;
  const loop = createLoopWatch(clock);
  const services = [loop.service, createMemoryReturn({ clock, log, process: createOwnUse() })];
  const now = { clock, everyMs: COSTLY_CHECK_EVERY_MS };
  return {
    checks: {
      room: atMostEvery(now, () => checkRoom(dataDir)),
      'event-loop': loop.check,
      descriptors: atMostEvery(now, checkDescriptors),
    },
    service: { start: (signal) => startAll(services, signal), stop: () => stopAll(services) },
  };
}

/** Mebibytes free below a folder; undefined where there is none yet or it can't be asked. */
export function freeMib(directory: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(directory);
    return Math.floor((bavail * bsize) / 2 ** 20);
  } catch {
    return undefined; // Closed to this user, or not made yet: its own part says so where it matters.
  }
}

function checkRoom(dataDir: string): readonly Found[] {
  const free = freeMib(dataDir);
  if (free === undefined || free >= ROOM_MIB_MIN) return [];
  return [{ severity: 'warning', key: 'room', found: `${free} MiB free below ${dataDir}` }];
}

function checkDescriptors(): readonly Found[] {
  const max = descriptorsMax();
  if (max === undefined) return [];
  try {
    const open = readdirSync('/proc/self/fd').length;
    if (open < max * DESCRIPTORS_SHARE_MAX) return [];
    return [{ severity: 'degraded', key: 'open', found: `${open} of ${max} files and sockets are open` }];
  } catch (error) {
    // To look takes one.
    if (codeOf(error) !== 'EMFILE' && codeOf(error) !== 'ENFILE') return [];
    return [{ severity: 'degraded', key: 'open', found: `all ${max} files and sockets are open` }];
  }
}

function createLoopWatch(clock: Clock): { readonly check: HealthCheck; readonly service: Service } {
  let blocked: { readonly forMs: number; readonly atMs: number } | undefined;
  let timer: Timer | undefined;
  const beat = () => {
    const dueMs = clock.monotonicMs() + BEAT_MS;
    timer = clock.after(BEAT_MS, () => {
      const atMs = clock.monotonicMs();
      if (atMs - dueMs > BLOCKED_MS_MAX) blocked = { forMs: atMs - dueMs, atMs };
      beat();
    });
  };
  return {
    check() {
      if (blocked === undefined || clock.monotonicMs() - blocked.atMs > BLOCKED_TOLD_MS) return [];
      const forMs = Math.round(blocked.forMs / 100) * 100;
      return [{ severity: 'warning', key: 'blocked', found: `nothing was served for ${formatDurationMs(forMs)}` }];
    },
    service: {
      async start() {
        beat();
      },
      async stop() {
        timer?.cancel();
      },
    },
  };
}

/** Checks again only when the last time is long enough ago. */
function atMostEvery({ clock, everyMs }: { clock: Clock; everyMs: number }, check: HealthCheck): HealthCheck {
  let last: { readonly found: readonly Found[]; readonly atMs: number } | undefined;
  return () => {
    const atMs = clock.monotonicMs();
    if (last === undefined || atMs - last.atMs >= everyMs) last = { found: check(), atMs };
    return last.found;
  };
}

/** The ledger refuses operations when the disk is full, so little room is worth saying before. */
export const ROOM_MIB_MIN = 512;
const DESCRIPTORS_SHARE_MAX = 0.9;
/** Listing ten thousand descriptors takes milliseconds. */
const COSTLY_CHECK_EVERY_MS = 10_000;
const BEAT_MS = 500;
const BLOCKED_MS_MAX = 1000;
const BLOCKED_TOLD_MS = 60_000;
