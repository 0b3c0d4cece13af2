import { createLedgerSource, type ShippingBound } from '../../ledger/index.ts';
import { type Connect, createRpcClient } from '../../rpc/index.ts';
import type { Clock, Log, Random } from '../../std/index.ts';
import type { WorkloadIdentity } from '../../workload-identity/index.ts';
import { createLedgerShipping, type LedgerShipping } from './ship-ledger.ts';
import { openRemoteLine, type ShippedLog } from './shipping-line.ts';

/** Ships the ledger in that folder to the server, over a connection of its own: what a gateway waits for does not wait behind it. */
export function createGatewayShipping(deps: {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly connect: Connect;
  /** Without an identity there is no way to the server. */
  readonly identity: Pick<WorkloadIdentity, 'ready'>;
  readonly ledger: ShippedLog & { readonly directory: string; readonly bound: ShippingBound };
}): LedgerShipping {
  const { clock, random, log } = deps;
  const { directory, bound, ...shipped } = deps.ledger;
  const client = createRpcClient({ clock, log, connect: deps.connect });
  const shipping = createLedgerShipping({
    ...{ clock, random, log, bound, source: createLedgerSource({ directory }) },
    async connect(signal) {
      await deps.identity.ready(signal);
      return openRemoteLine(client, shipped, signal);
    },
  });
  return {
    ...shipping,
    async stop() {
      await shipping.stop();
      await client.close();
    },
  };
}
