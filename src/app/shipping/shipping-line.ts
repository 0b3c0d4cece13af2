import type { MessageInitShape } from '@bufbuild/protobuf';
import { Records as RecordsContract } from '@countersign/sdk/contract';
import type {
  ShipRequestSchema,
  ShipResponse,
} from '@countersign/sdk/contract/gen/countersign/control/v1/records_pb.ts';
import type { Intake, LogStand } from '../../records/index.ts';
import { Code, type RpcClient, RpcError } from '../../rpc/index.ts';
import type { ShippingLine } from './ship-ledger.ts';

/** Which ledger is shipped. */
export interface ShippedLog {
  readonly origin: string;
  readonly verifierKey: string;
}

/** Opens a line over the network; each is one stream, on the client's connection of the moment. @throws RpcError */
export async function openRemoteLine(client: RpcClient, log: ShippedLog, signal: AbortSignal): Promise<ShippingLine> {
  const call = client.bidi(RecordsContract.method.ship, { signal });
  const answers = call.responses[Symbol.asyncIterator]();
  const ask = async (request: MessageInitShape<typeof ShipRequestSchema>): Promise<LogStand> => {
    // What goes wrong is what the answer rejects with.
    call.send(request).catch(() => {});
    const { done, value } = await answers.next();
    if (done === true) throw new RpcError(Code.UNAVAILABLE, 'the server ended the stream');
    return standOf(value);
  };
  try {
    const stand = await ask({ what: { case: 'open', value: log } });
    return {
      stand,
      take: ({ first, entries, checkpoint = '', consistency }) =>
        ask({
          what: {
            case: 'batch',
            value: { first: BigInt(first), entries: [...entries], checkpoint, consistency: [...consistency] },
          },
        }),
      close: call.cancel,
    };
  } catch (error) {
    call.cancel();
    // The next one is opened on a new connection, which may lead to another server.
    client.reconnect();
    throw error;
  }
}

/** Opens a line to the server that this process is. @throws RecordsError, StoreError */
export async function openOwnLine(intake: Intake, log: ShippedLog & { readonly owner: string }): Promise<ShippingLine> {
  const shipment = await intake.open(log);
  return { stand: shipment.stand, take: shipment.take, close() {} };
}

function standOf({ size, signedSize, checkpoint }: ShipResponse): LogStand {
  return { size: Number(size), signedSize: Number(signedSize), checkpoint: checkpoint === '' ? undefined : checkpoint };
}
