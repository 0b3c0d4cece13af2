import { Control } from '@countersign/sdk/contract';
import {
  GatewayState as GatewayStateMessage,
  type GatewayUpdate,
} from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import type { GatewayReport, GatewayState } from '../model/index.ts';
import type { RpcClient } from '../rpc/index.ts';

/** What a gateway says to the server, and hears from it. */
export interface GatewayControl {
  /** The server's updates, for as long as the gateway is there. */
  updates(client: RpcClient, state: GatewayState, signal: AbortSignal): AsyncIterable<GatewayUpdate>;
  /** Resolves to how many other gateways agents are told of. @throws RpcError */
  report(client: Pick<RpcClient, 'unary'>, report: GatewayReport, signal: AbortSignal): Promise<number>;
}

/** Creates that of the gateway that agents reach at the address that `advertised` tells. */
export function createGatewayControl(advertised: () => string): GatewayControl {
  return {
    updates: (client, state, signal) =>
      client.serverStream(Control.method.watchGateway, { advertise: advertised(), state: STATES[state] }, { signal }),
    async report(client, { revision, findings, state }, signal) {
      const { others } = await client.unary(
        Control.method.reportGateway,
        {
          ...{ advertise: advertised(), revision: BigInt(revision), state: STATES[state] },
          findings: findings.map((finding) => ({ ...finding })),
        },
        { signal, timeoutMs: REPORT_MS_MAX },
      );
      return others;
    },
  };
}

const STATES: Readonly<Record<GatewayState, GatewayStateMessage>> = {
  starting: GatewayStateMessage.STARTING,
  serving: GatewayStateMessage.SERVING,
  leaving: GatewayStateMessage.LEAVING,
};
const REPORT_MS_MAX = 10_000;
