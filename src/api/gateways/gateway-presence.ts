import type { GatewayState } from '../../model/index.ts';
import type { GatewayInstance, Resources } from '../../resources/index.ts';
import { isAged } from '../../rpc/index.ts';
import type { Clock, Log } from '../../std/index.ts';

/** A gateway that begins to watch: who it is, where agents find it, and whether they may. */
export interface PresentGateway extends GatewayInstance {
  readonly state: GatewayState;
}

/** Reports gateways as connected while they watch. */
export interface GatewayPresence {
  /** The gateway is there while `work` runs; `draining` tells why its connection ends. */
  during<T>(gateway: PresentGateway, draining: AbortSignal, work: () => Promise<T>): Promise<T>;
}

/**
 * Creates the presence of one server's gateways. Each stream is reported, and its end; whoever takes the reports counts them, so one that
 * reconnects before its old stream ended stays connected. So does one whose connection this server ended, if it is back in time: it never was
 * away, and agents must not be told so. When the server itself stops, that is for the server to find to which it comes back.
 */
export function createGatewayPresence(deps: {
  clock: Clock;
  log: Log;
  resources: Pick<Resources, 'reportGateway'>;
}): GatewayPresence {
  const { clock, log, resources } = deps;
  const leave = async ({ spiffeId, address, instance }: PresentGateway) => {
    // The stream's own end is what the gateway must hear of, not that noting it failed.
    await resources
      .reportGateway({ spiffeId, address, instance, connected: false })
      .catch((error: unknown) => log.warn('api.gateway.unreported', { spiffeId, address, error }));
  };
  return {
    async during(gateway, draining, work) {
      try {
        await resources.reportGateway({ ...gateway, connected: true });
        return await work();
      } finally {
        if (isAged(draining)) clock.after(BACK_WITHIN_MS, () => void leave(gateway));
        else if (!draining.aborted) await leave(gateway);
      }
    },
  };
}

/** A gateway connects again within a second. */
const BACK_WITHIN_MS = 10_000;
