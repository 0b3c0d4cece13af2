import type { GatewayView, Resources } from '../resources/index.ts';

/** The gateways that agents are told of, worked out once for all agents. */
export interface ServingGateways {
  /** The same array until it changes. */
  now(): readonly GatewayView[];
  /** Calls after each change of who they are and where; what else is new of gateways is no news to agents. Returns how to stop. */
  onChange(listener: () => void): () => void;
}

/** Creates them: those that are connected and serve. */
export function createServingGateways(resources: Pick<Resources, 'gateways' | 'onGateways'>): ServingGateways {
  let all: readonly GatewayView[] | undefined;
  let serving: readonly GatewayView[] = [];
  const now = () => {
    const current = resources.gateways();
    if (current === all) return serving;
    all = current;
    const next = current.filter(({ connected, state }) => connected && state === 'serving');
    if (keyOf(next) !== keyOf(serving)) serving = next;
    return serving;
  };
  return {
    now,
    onChange(listener) {
      let told = now();
      return resources.onGateways(() => {
        if (now() === told) return;
        told = now();
        listener();
      });
    },
  };
}

function keyOf(gateways: readonly GatewayView[]): string {
  return gateways.map(({ spiffeId, address }) => `${spiffeId} ${address}`).join();
}
