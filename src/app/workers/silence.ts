import type { Clock, Timer } from '../../std/index.ts';
import type { ThreadLook } from './thread-look.ts';

/** Listens for a process that says something once a second, and has it told that it hangs. */
export interface Silence {
  /** It said something. */
  heard(): void;
  /** How long it has said nothing, whatever kept it from that. */
  sinceMs(): number;
  /** It is gone. */
  stop(): void;
}

/**
 * Calls `hung` once when the process has said nothing for half a minute in which it could have. What it had to wait for is not its own time: while it
 * wants a core, or its disk answers, only the CPU that it got counts; and a second in which this process itself came too late counts for nobody.
 * So one that is slow on a busy machine is left alone, and one that is stopped, waits for ever or turns in a circle is not.
 */
export function listenForSilence({
  clock,
  look,
  hung,
}: {
  readonly clock: Clock;
  /** The thread that should say something; undefined where the kernel does not tell. */
  look(): ThreadLook | undefined;
  hung(): void;
}): Silence {
  let timer: Timer | undefined;
  let lookedMs = clock.monotonicMs();
  let before: ThreadLook | undefined;
  let heardMs = lookedMs;
  let wasHeard = false;
  let silentMs = 0;
  const next = () => {
    const passedMs = clock.monotonicMs() - lookedMs;
    lookedMs += passedMs;
    // What it said meanwhile is heard behind this, too.
    const isLate = passedMs > LATE_MS;
    if (wasHeard) {
      [silentMs, before] = [0, undefined];
    } else {
      const seen = look();
      if (!isLate) silentMs += ownTimeOf(passedMs, seen, before);
      before = seen;
      if (silentMs >= HUNG_MS && !isLate) return hung();
    }
    wasHeard = false;
    timer = clock.after(LOOK_EVERY_MS, next);
  };
  timer = clock.after(LOOK_EVERY_MS, next);
  return {
    heard() {
      heardMs = clock.monotonicMs();
      wasHeard = true;
    },
    sinceMs: () => clock.monotonicMs() - heardMs,
    stop: () => timer?.cancel(),
  };
}

/** Of that time, what it could have said something in. */
function ownTimeOf(passedMs: number, seen: ThreadLook | undefined, before: ThreadLook | undefined): number {
  if (seen === undefined) return passedMs * UNSEEN_SHARE;
  if (!seen.isHeldUp) return passedMs;
  return before === undefined ? 0 : seen.cpuMs - before.cpuMs;
}

/** Nothing that a gateway does takes its event loop for so long; until then its sessions, and who is given to it by the system, wait. */
export const HUNG_MS = 30_000;
/** As often as it says something. */
const LOOK_EVERY_MS = 1_000;
const LATE_MS = 2 * LOOK_EVERY_MS;
/** Nobody knows what it waits for then: four times the time is to be enough. */
const UNSEEN_SHARE = 0.25;
