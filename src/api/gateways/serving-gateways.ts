import type { GatewayView, Resources } from '../../resources/index.ts';
import { type Clock, createListeners, type Timer } from '../../std/index.ts';

/** The gateways that agents are told of, worked out once for all agents. */
export interface ServingGateways {
  /** The same array until it changes. */
  now(): readonly GatewayView[];
  /**
   * Calls when who they are and where has changed, a moment later, once for all changes of that moment; what else is new of gateways is no news to
   * agents. Returns how to stop.
   */
  onChange(listener: () => void): () => void;
}

/** Creates them: those that are connected and serve. */
export function createServingGateways(deps: {
  resources: Pick<Resources, 'gateways' | 'onGateways'>;
  clock: Pick<Clock, 'after'>;
}): ServingGateways {
  const { resources, clock } = deps;
  const listeners = createListeners();
  let all: readonly GatewayView[] | undefined;
  let serving: readonly GatewayView[] = [];
  let told: readonly GatewayView[] = [];
  let gathering: Timer | undefined;
  let unsubscribe = () => {};
  const now = () => {
    const current = resources.gateways();
    if (current === all) return serving;
    all = current;
    const next = current.filter(({ connected, state }) => connected && state === 'serving');
    if (keyOf(next) !== keyOf(serving)) serving = next;
    return serving;
  };
  const tell = () => {
    gathering = undefined;
    if (keyOf(now()) === keyOf(told)) return;
    told = now();
    listeners.tell();
  };
  const changed = () => {
    if (now() !== told) gathering ??= clock.after(GATHERED_MS, tell);
  };
  return {
    now,
    onChange(listener) {
      if (listeners.size === 0) {
        told = now();
        unsubscribe = resources.onGateways(changed);
      }
      const stop = listeners.add(listener);
      return () => {
        stop();
        if (listeners.size > 0) return;
        unsubscribe();
        gathering?.cancel();
        gathering = undefined;
      };
    },
  };
}

function keyOf(gateways: readonly GatewayView[]): string {
  return gateways.map(({ spiffeId, address }) => `${spiffeId} ${address}`).join();
}

/** Each change is told to every agent, and gateways are often started and stopped several at a time. */
const GATHERED_MS = 250;
