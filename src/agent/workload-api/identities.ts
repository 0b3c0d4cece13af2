import type { Selector } from '../../model/index.ts';
import { Code, RpcError } from '../../rpc/index.ts';
import { type Clock, type Log, messageOf, timeoutSignal } from '../../std/index.ts';
import type { Minter } from '../cache/mint.ts';
import type { WorkloadView } from '../cache/subscriptions.ts';
import type { SvidCache } from '../cache/svid-cache.ts';
import type { SyncLoop } from '../sync/sync-loop.ts';

/** What callers of all doors need of the cache, with the server asked once where the cache has no answer. */
export interface Identities {
  /**
   * What a process with these selectors may see, once: when nothing matches the server is asked once, and SVIDs not there yet are minted.
   * @throws RpcError UNAVAILABLE when nothing is known yet, PERMISSION_DENIED `no identity issued`
   */
  look(selectors: readonly Selector[], need: Need, signal: AbortSignal): Promise<WorkloadView>;
  /** The same without waiting: undefined when somebody would have to be asked. */
  known(selectors: readonly Selector[], need: Need): WorkloadView | undefined;
  /** Calls `show` with each new view, beginning at once; ends only by throwing, as {@link look} does. */
  follow(
    selectors: readonly Selector[],
    options: { need: Need; signal: AbortSignal; show: (view: WorkloadView) => Promise<void> },
  ): Promise<never>;
}

/** `entries`: it is enough that the process has an identity; `svids`: it must hold an X.509-SVID. */
export type Need = 'entries' | 'svids';

export function createIdentities(deps: {
  cache: SvidCache;
  minter: Minter;
  sync: Pick<SyncLoop, 'ask' | 'poke'>;
  clock: Clock;
  log: Log;
}): Identities {
  const { cache, minter, sync, clock, log } = deps;

  const complete = async (view: WorkloadView, signal: AbortSignal): Promise<void> => {
    if (!cache.ready() || view.matched.length === 0) {
      const outcome = await sync.ask(signal);
      if (!cache.ready()) throw unavailable(NOT_READY);
      // A process that nobody registered and one whose entry has not come through look alike until the server has answered.
      if (outcome === 'failed' && view.matched.length === 0) {
        throw unavailable('no identity is known, and the server can not be asked');
      }
    }
  };

  const mintMissing = async (view: WorkloadView, signal: AbortSignal): Promise<void> => {
    const have = new Set(view.identities.map(({ entry }) => entry.id));
    const missing = view.matched.filter((entry) => !have.has(entry.id));
    if (missing.length === 0) return;
    const limit = timeoutSignal(clock, MINT_MS_MAX, signal);
    try {
      await minter.mint(missing, limit.signal);
      cache.publish();
    } catch (error) {
      if (signal.aborted) throw error;
      sync.poke(); // It finds out what is wrong with the server, and mints when it is back.
      if (view.identities.length === 0) throw unavailable(AWAY);
      log.warn('agent.svid.not_minted', { problem: messageOf(error) });
    } finally {
      limit.cancel();
    }
  };

  const check = (view: WorkloadView, need: Need): void => {
    if (!cache.ready()) throw unavailable(NOT_READY);
    if (view.matched.length === 0) throw new RpcError(Code.PERMISSION_DENIED, 'no identity issued');
    if (need === 'svids' && view.identities.length === 0) throw unavailable(AWAY);
  };

  const known = (selectors: readonly Selector[], need: Need): WorkloadView | undefined => {
    const view = cache.match(selectors);
    if (!cache.ready() || view.matched.length === 0) return undefined;
    return need === 'entries' || view.identities.length === view.matched.length ? view : undefined;
  };

  return {
    known,
    async look(selectors, need, signal) {
      const ready = known(selectors, need);
      if (ready) return ready;
      let view = cache.match(selectors);
      await complete(view, signal);
      view = cache.match(selectors);
      if (need === 'svids') {
        await mintMissing(view, signal);
        view = cache.match(selectors);
      }
      check(view, need);
      return view;
    },
    async follow(selectors, { need, signal, show }) {
      const subscription = cache.subscribe(selectors);
      try {
        await complete(subscription.view(), signal);
        if (need === 'svids') await mintMissing(subscription.view(), signal);
        for (;;) {
          let view = subscription.view();
          if (need === 'svids' && view.identities.length === 0) {
            // One identity may have taken the place of another: it is worth asking before the stream is ended.
            await mintMissing(view, signal);
            view = subscription.view();
          }
          check(view, need);
          await show(view);
          await subscription.changed(view, signal);
        }
      } finally {
        subscription.close();
      }
    },
  };
}

function unavailable(message: string): RpcError {
  return new RpcError(Code.UNAVAILABLE, message);
}

const NOT_READY = 'the agent has not been told any identities yet';
const AWAY = 'identity expired while the server is away';
/** A server that hangs must not keep a caller longer than one that is down. */
const MINT_MS_MAX = 10_000;
