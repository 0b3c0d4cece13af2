import { createLedgerSource } from '../../ledger/index.ts';
import { type Connect, createRpcClient } from '../../rpc/index.ts';
import type { Clock, Log, Random } from '../../std/index.ts';
import type { WorkloadIdentity } from '../../workload-identity/index.ts';
import type { Metric } from '../health/metrics.ts';
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
  readonly ledger: ShippedLog & { readonly directory: string };
}): LedgerShipping {
  const { clock, random, log } = deps;
  const { directory, ...shipped } = deps.ledger;
  const client = createRpcClient({ clock, log, connect: deps.connect });
  const shipping = createLedgerShipping({
    ...{ clock, random, log, source: createLedgerSource({ directory }) },
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

/** What of a ledger is not in the record yet. */
export function shippingMetrics(shipping: Pick<LedgerShipping, 'lag'>): readonly Metric[] {
  return [
    {
      name: 'countersign_record_lag_entries',
      help: 'Signed entries of the ledger that are not known to be in the record.',
      read: () => shipping.lag().entries,
    },
    {
      name: 'countersign_record_lag_seconds',
      help: 'For how long there have been such entries.',
      read: () => shipping.lag().forMs / 1000,
    },
  ];
}
