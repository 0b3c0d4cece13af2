import { Code, RpcError } from '../rpc/index.ts';
import { type Clock, type Log, messageOf, type Service, type Timer } from '../std/index.ts';

/** Processes of one user that were turned away at one door for want of an identity, since that was reported last. */
export interface ProcessRefusal {
  readonly uid: number;
  /** Of the last one. */
  readonly pid: number;
  /** Whose socket it was; empty: the Workload API's. */
  readonly target: string;
  readonly count: number;
  /** Epoch milliseconds. */
  readonly firstMs: number;
  readonly lastMs: number;
}

/** Counts processes that are turned away, and tells the server of them: seldom, however often they come (decision 0026). */
export interface Refusals extends Service {
  note(process: { readonly uid: number; readonly pid: number }, target: string): void;
}

/** Creates one. `report` tells the server. What could not be told is told with the next report; what an agent knows when it is killed is lost. */
export function createRefusals(deps: {
  readonly clock: Clock;
  readonly log: Log;
  readonly report: (refusals: readonly ProcessRefusal[], leftOut: number, signal: AbortSignal) => Promise<void>;
}): Refusals {
  const { clock, log } = deps;
  const stop = new AbortController();
  const counted = new Map<string, Counted>();
  let leftOut = 0;
  let timer: Timer | undefined;
  let isSupported = true;
  let sending: Promise<void> = Promise.resolve();

  const schedule = () => {
    if (stop.signal.aborted || !isSupported) return;
    timer ??= clock.after(REPORT_EVERY_MS, () => {
      timer = undefined;
      sending = send();
    });
  };
  const send = async () => {
    const nowMs = clock.monotonicMs();
    for (const [key, { count, quietFromMs }] of counted)
      if (count === 0 && nowMs - quietFromMs >= FORGOTTEN_MS) counted.delete(key);
    const due = [...counted.values()].filter(({ count, dueMs }) => count > 0 && dueMs <= nowMs).slice(0, REFUSALS_MAX);
    const others = leftOut;
    if (due.length > 0 || others > 0) {
      const told = due.map((one) => ({
        ...one.process,
        target: one.target,
        count: one.count,
        firstMs: one.firstMs,
        lastMs: one.lastMs,
      }));
      try {
        await deps.report(told, others, stop.signal);
        leftOut -= others;
        for (const [index, one] of due.entries()) tell(one, { count: told[index]?.count ?? 0, nowMs });
      } catch (error) {
        if (stop.signal.aborted) return;
        isSupported = !(error instanceof RpcError && error.code === Code.UNIMPLEMENTED);
        if (isSupported) log.debug('agent.refusals.not_told', { problem: messageOf(error) });
      }
    }
    if (leftOut > 0 || [...counted.values()].some(({ count }) => count > 0)) schedule();
  };
  return {
    note({ uid, pid }, target) {
      if (!isSupported) return;
      const key = `${uid} ${target}`;
      const known = counted.get(key);
      if (known === undefined && counted.size >= COUNTED_MAX) {
        leftOut++;
        return schedule();
      }
      const nowMs = clock.now();
      const one = known ?? {
        process: { uid, pid },
        target,
        count: 0,
        firstMs: nowMs,
        lastMs: nowMs,
        dueMs: 0,
        pauseMs: 0,
        quietFromMs: 0,
      };
      counted.set(key, one);
      if (one.count === 0) one.firstMs = nowMs;
      one.process = { uid, pid };
      one.lastMs = nowMs;
      one.count++;
      schedule();
    },
    async start() {},
    async stop() {
      stop.abort();
      timer?.cancel();
      await sending;
    },
  };
}

/** Whether a caller was refused because no entry matches it. */
export function isWithoutIdentity(error: unknown): boolean {
  return error instanceof RpcError && error.code === Code.PERMISSION_DENIED;
}

interface Counted {
  process: { readonly uid: number; readonly pid: number };
  readonly target: string;
  count: number;
  firstMs: number;
  lastMs: number;
  /** Monotonic: not told before. */
  dueMs: number;
  pauseMs: number;
  /** Monotonic: when it was told last. */
  quietFromMs: number;
}

/** Who comes again and again is told of ever less often, with a greater count. */
function tell(one: Counted, { count, nowMs }: { readonly count: number; readonly nowMs: number }): void {
  one.pauseMs = Math.min(Math.max(one.pauseMs * 2, REPORT_EVERY_MS), PAUSE_MS_MAX);
  one.dueMs = nowMs + one.pauseMs;
  one.quietFromMs = nowMs;
  // More may have come while it was told.
  one.count -= count;
  if (one.count > 0) one.firstMs = one.lastMs;
}

/** The first of a stranger is in the ledger so soon. */
const REPORT_EVERY_MS = 10_000;
const PAUSE_MS_MAX = 60 * 60_000;
/** Who was quiet for so long is told of at once again. */
const FORGOTTEN_MS = 2 * PAUSE_MS_MAX;
/** As many as the server takes. */
const REFUSALS_MAX = 20;
/** Users times doors; a node has tens. */
const COUNTED_MAX = 256;
