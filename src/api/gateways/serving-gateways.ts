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

/**
 * Creates them: those that are connected and serve. When the last of them goes without having said that it leaves, those of it are told of still: a gateway
 * that lost its server serves on, with what it knows, and who is told of none can reach none. One that is gone for good costs an agent an attempt.
 */
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
    const there = current.filter(({ connected, state }) => connected && state === 'serving');
    const next = there.length > 0 ? there : goneOf(serving, current);
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

/** Of those that served those that are there no more. One that is connected, and does not serve, has said so; one that is forgotten is gone for good. */
function goneOf(served: readonly GatewayView[], current: readonly GatewayView[]): readonly GatewayView[] {
  const before = new Set(served.map(placeOf));
  return current.filter((one) => !one.connected && before.has(placeOf(one)));
}

function placeOf({ spiffeId, address }: GatewayView): string {
  return `${spiffeId} ${address}`;
}

function keyOf(gateways: readonly GatewayView[]): string {
  return gateways.map(placeOf).join();
}

/** Each change is told to every agent, and gateways are often started and stopped several at a time. */
const GATHERED_MS = 250;
