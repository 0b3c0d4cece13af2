import type { Bundle, Selector } from '../../model/index.ts';
import { abortError, assert, type Clock } from '../../std/index.ts';
import { selectorKey } from './entry-index.ts';
import { isValid } from './slots.ts';
import type { AgentEntry, X509Svid } from './types.ts';

/** What one workload may see. A new object only when something in it changed. */
export interface WorkloadView {
  /** Entries that apply, the default identity first. */
  readonly matched: readonly AgentEntry[];
  /** Those of them with an SVID that has not expired, in the same order. */
  readonly identities: readonly { readonly entry: AgentEntry; readonly svid: X509Svid }[];
  /** The own trust domain's bundle, then those of federated domains by name. */
  readonly bundles: readonly Bundle[];
}

/** One workload's interest: while it is open, its SVIDs stay in the cache and are renewed first. */
export interface Subscription {
  view(): WorkloadView;
  /** Resolves once the view is another than `seen`; rejects when the signal aborts. One wait at a time. */
  changed(seen: WorkloadView, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Everybody who waits for changes. Workloads with the same selectors share one view, so its responses are built once for all. */
export interface Subscriptions {
  open(selectors: readonly Selector[]): Subscription;
  /** Ids of the entries that somebody is subscribed to. */
  entryIds(): Set<string>;
  /** Looks again for everybody, and wakes those whose view changed. */
  publish(): void;
}

export function createSubscriptions(
  clock: Clock,
  look: (selectors: readonly Selector[]) => WorkloadView,
): Subscriptions {
  const groups = new Map<string, Group>();
  return {
    open(selectors) {
      const key = selectorKey(selectors);
      const group = groups.get(key) ?? { selectors, view: look(selectors), subscribers: 0, waiting: new Set() };
      groups.set(key, group);
      group.subscribers++;
      const waiter = createWaiter(group);
      let open = true;
      return {
        view() {
          // Time alone may have ended an identity since the last publication.
          if (group.view.identities.some(({ svid }) => !isValid(svid, clock))) group.view = look(selectors);
          return group.view;
        },
        changed: waiter.changed,
        close() {
          if (!open) return;
          open = false;
          waiter.close();
          if (--group.subscribers === 0) groups.delete(key);
        },
      };
    },
    entryIds() {
      const ids = new Set<string>();
      for (const group of groups.values()) for (const entry of group.view.matched) ids.add(entry.id);
      return ids;
    },
    publish() {
      for (const group of groups.values()) {
        const view = look(group.selectors);
        if (sameView(view, group.view)) continue;
        group.view = view;
        const waiting = [...group.waiting];
        group.waiting.clear();
        for (const wake of waiting) wake();
      }
    },
  };
}

interface Group {
  readonly selectors: readonly Selector[];
  view: WorkloadView;
  subscribers: number;
  readonly waiting: Set<() => void>;
}

/** One subscriber's waiting. It listens to a signal once for all its changes: a thousand of them wake at the same moment. */
function createWaiter(group: Group): Pick<Subscription, 'changed' | 'close'> {
  let heard: AbortSignal | undefined;
  let waiting: { readonly wake: () => void; readonly fail: (error: Error) => void } | undefined;
  const stop = () => {
    if (waiting) group.waiting.delete(waiting.wake);
    waiting = undefined;
  };
  const onAbort = () => {
    const failed = waiting;
    stop();
    if (failed && heard) failed.fail(abortError(heard));
  };
  const hear = (signal: AbortSignal | undefined) => {
    if (signal === heard) return;
    heard?.removeEventListener('abort', onAbort);
    heard = signal;
    heard?.addEventListener('abort', onAbort, { once: true });
  };
  return {
    changed(seen, signal) {
      assert(waiting === undefined, 'a subscriber waits for one change at a time');
      if (signal.aborted) return Promise.reject(abortError(signal));
      if (group.view !== seen) return Promise.resolve();
      hear(signal);
      return new Promise<void>((resolve, reject) => {
        const wake = () => {
          waiting = undefined;
          resolve();
        };
        waiting = { wake, fail: reject };
        group.waiting.add(wake);
      });
    },
    close() {
      stop();
      hear(undefined);
    },
  };
}

function sameView(a: WorkloadView, b: WorkloadView): boolean {
  return (
    a.matched.length === b.matched.length &&
    a.identities.length === b.identities.length &&
    a.bundles.length === b.bundles.length &&
    a.matched.every((entry, i) => entry.id === b.matched[i]?.id && entry.hint === b.matched[i]?.hint) &&
    a.identities.every((identity, i) => identity.svid === b.identities[i]?.svid) &&
    a.bundles.every((bundle, i) => bundle === b.bundles[i])
  );
}
