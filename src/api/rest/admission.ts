import type { Clock } from '../../std/index.ts';
import { RestError } from './errors.ts';

/** How much one caller, and all together, may ask. */
export interface AdmissionLimits {
  /** Requests that a caller has at its disposal at most; they come back at `perSecond`. */
  readonly burst: number;
  readonly perSecond: number;
  /** Requests of one caller under way. */
  readonly callerRequestsMax: number;
  readonly requestsMax: number;
  /** Event streams of one caller. */
  readonly callerStreamsMax: number;
  readonly streamsMax: number;
}

const admissionLimits: AdmissionLimits = {
  // A page of a console with everything on it, several times over; a script that polls does so once a second.
  burst: 200,
  perSecond: 50,
  // A browser has six at once, a script one.
  callerRequestsMax: 16,
  // Of 4 MiB each at most: a gigabyte, where all of them were the largest.
  requestsMax: 256,
  // Some consoles side by side.
  callerStreamsMax: 8,
  streamsMax: 512,
};

/** Lets requests in, or refuses them at once: nobody waits in a line that somebody else has filled. */
export interface Admission {
  /** @throws RestError ERR_REST_RATE. What is returned is called when the request is over. */
  enter(caller: string, kind: 'request' | 'stream'): () => void;
  /** Counts what somebody did who is nobody: by where it came from. @throws RestError ERR_REST_RATE */
  count(source: string): void;
}

/** Creates it, with nobody inside. */
export function createAdmission(clock: Clock, given: Partial<AdmissionLimits> = {}): Admission {
  const limits = { ...admissionLimits, ...given };
  const callers = new Map<string, Caller>();
  const inside = { request: 0, stream: 0 };
  const most = {
    request: { caller: limits.callerRequestsMax, all: limits.requestsMax },
    stream: { caller: limits.callerStreamsMax, all: limits.streamsMax },
  };

  /** Those that are as fresh as one who never came are forgotten, the longest known first. */
  const makeRoom = (nowMs: number) => {
    for (const [name, one] of callers) {
      if (callers.size < CALLERS_MAX) return;
      if (one.request + one.stream === 0 && leftOf(one, nowMs) >= limits.burst) callers.delete(name);
    }
  };
  const leftOf = ({ left, atMs }: Caller, nowMs: number) =>
    Math.min(limits.burst, left + (Math.max(0, nowMs - atMs) * limits.perSecond) / 1000);

  const take = (name: string): Caller => {
    const nowMs = clock.monotonicMs();
    let caller = callers.get(name);
    if (caller === undefined) {
      if (callers.size >= CALLERS_MAX) makeRoom(nowMs);
      if (callers.size >= CALLERS_MAX) throw crowded('too many callers are known at once', 1);
      caller = { left: limits.burst, atMs: nowMs, request: 0, stream: 0 };
      callers.set(name, caller);
    }
    caller.left = leftOf(caller, nowMs);
    caller.atMs = nowMs;
    if (caller.left < 1) throw crowded('the caller asks too often', Math.ceil(1 / limits.perSecond));
    caller.left -= 1;
    return caller;
  };

  return {
    count: (source) => void take(`source ${source}`),
    enter(name, kind) {
      const caller = take(`caller ${name}`);
      if (caller[kind] >= most[kind].caller)
        throw crowded(`the caller has ${caller[kind]} ${kind}s open, allowed are ${most[kind].caller}`, 1);
      if (inside[kind] >= most[kind].all)
        throw crowded(`all callers together have ${inside[kind]} ${kind}s open, allowed are ${most[kind].all}`, 1);
      caller[kind]++;
      inside[kind]++;
      let isOver = false;
      return () => {
        if (isOver) return;
        isOver = true;
        caller[kind]--;
        inside[kind]--;
      };
    },
  };
}

interface Caller {
  left: number;
  atMs: number;
  request: number;
  stream: number;
}

function crowded(message: string, retryS: number): RestError {
  return new RestError('ERR_REST_RATE', message, { headers: { 'retry-after': String(Math.max(1, retryS)) } });
}

/** Some megabytes. */
const CALLERS_MAX = 20_000;
