import { codeOf, messageOf, raceAbort, type Service, sleep, timeoutSignal } from '../std/index.ts';
import { createLeases, type Lease, type Leases } from '../store/index.ts';
import type { DeliveryDeps, SinkPlan } from './delivery/cursors.ts';
import { deliver } from './delivery/deliver.ts';
import { keepLease } from './delivery/keep-lease.ts';
import { createSinkState, type SinkState, type SinkView } from './delivery/sink-state.ts';
import type { SinkDeps, SinkMember } from './sink.ts';

/** A sink that is wanted. */
export interface WantedSink extends SinkPlan {
  readonly member: SinkMember;
  /** The member's config. */
  readonly config: unknown;
}

/** The sinks of the record: what comes into it goes on to each of them. */
export interface Sinks extends Service {
  views(): readonly SinkView[];
}

interface SinksDeps extends Omit<DeliveryDeps, 'leases'>, Omit<SinkDeps, 'name'> {
  /** Name of this process among all that share the store. */
  readonly holder: string;
}

/**
 * Creates them. Each is handed over to by one server at a time, whichever holds its lease; when that one is gone, another goes on within a quarter of a
 * minute from where the cursors stand. None waits for another, and nobody waits for them.
 */
export function createSinks(deps: SinksDeps, wanted: readonly WantedSink[]): Sinks {
  const leases = createLeases(deps);
  const stop = new AbortController();
  const running = wanted.map((one) => ({
    one,
    state: createSinkState(deps.clock, { name: one.name, kind: one.member.id }),
    done: Promise.resolve(),
  }));
  return {
    views: () => running.map(({ state }) => state.view()),
    async start() {
      for (const each of running)
        each.done = runSink({ ...deps, leases }, each.one, { state: each.state, signal: stop.signal });
    },
    async stop() {
      stop.abort();
      // A disk that hangs must not keep the process; what it was given was not taken, and its lease ends by itself.
      const limit = timeoutSignal(deps.clock, STOP_MS_MAX);
      await raceAbort(Promise.all(running.map(({ done }) => done)), limit.signal).catch(() => {});
      limit.cancel();
    },
  };
}

/** Holds the lease, hands over while it does, and begins anew after whatever went wrong. */
async function runSink(
  deps: SinksDeps & { readonly leases: Leases },
  wanted: WantedSink,
  { state, signal }: { readonly state: SinkState; readonly signal: AbortSignal },
): Promise<void> {
  const { clock, leases, log, holder } = deps;
  const { name } = wanted;
  while (!signal.aborted) {
    let lease: Lease | undefined;
    try {
      lease = await leases.hold({ kind: LEASE_KIND, name, holder, ttlMs: LEASE_MS });
      if (lease !== undefined) await runHeld(deps, wanted, { lease, state, signal });
      state.reached(); // What is wrong is told by the server that hands over.
    } catch (error) {
      if (signal.aborted) break;
      log.warn('records.sink.failed', { sink: name, reason: messageOf(error) });
      // Of a lease that is another's by now nothing is to be told.
      if (codeOf(error) !== 'ERR_STORE_LEASE') state.away(messageOf(error));
    } finally {
      if (lease !== undefined) await leases.release(lease).catch(() => {}); // It ends by itself, too.
    }
    await sleep(clock, AGAIN_MS, signal).catch(() => {});
  }
}

async function runHeld(
  deps: SinksDeps & { readonly leases: Leases },
  wanted: WantedSink,
  of: { readonly lease: Lease; readonly state: SinkState; readonly signal: AbortSignal },
): Promise<void> {
  const { lease, state, signal } = of;
  const kept = keepLease(deps, lease, signal);
  state.held(true);
  try {
    const sink = await wanted.member.open(wanted.config, { ...deps, name: wanted.name });
    try {
      await deliver(deps, { plan: wanted, sink, state, lease, signal: kept.signal });
    } finally {
      await sink.close();
    }
    if (!signal.aborted) deps.log.warn('records.sink.lease_lost', { sink: wanted.name });
  } finally {
    state.held(false);
    kept.stop();
  }
}

const LEASE_KIND = 'records.sinks';
const LEASE_MS = 15_000;
const STOP_MS_MAX = 5_000;
/** After what went wrong, and to look whether a lease is free. */
const AGAIN_MS = 5_000;
