import type { MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { Records as RecordsContract } from '@countersign/sdk/contract';
import type {
  RecordFilter as FilterMessage,
  LogViewSchema,
  ShipBatch,
  ShipRequestSchema,
  ShipResponseSchema,
} from '@countersign/sdk/contract/gen/countersign/control/v1/records_pb.ts';
import type { TrustDomain } from '@countersign/sdk/identity';
import {
  identityNamed,
  type LogBatch,
  type LogStand,
  type LogView,
  type RecordFilter,
  type Records,
  type Shipment,
} from '../records/index.ts';
import { type CallContext, Code, implement, RpcError, type RpcService } from '../rpc/index.ts';
import { assert, type Clock, raceAbort, timeoutSignal } from '../std/index.ts';
import type { Audit } from './audit.ts';
import type { Authorizer } from './authorize.ts';
import { invalid } from './status.ts';

/** What is shipped to the record, and asked of it. */
export function recordsService(deps: {
  clock: Clock;
  trustDomain: TrustDomain;
  records: Records;
  authorizer: Authorizer;
  audit: Audit;
}): RpcService {
  const { records, audit, trustDomain } = deps;
  let shippers = 0;
  return implement(RecordsContract, {
    async ship(requests, context, send) {
      if (shippers >= SHIPPERS_MAX)
        throw new RpcError(Code.RESOURCE_EXHAUSTED, `${SHIPPERS_MAX} ledgers are shipped to this server already`);
      shippers++;
      try {
        const next = nextRequest(deps.clock, requests, context);
        const shipment = await openShipment(deps, await next(), context);
        await send(standMessage(shipment.stand));
        for (let request = await next(); request !== undefined; request = await next()) {
          if (request.what.case !== 'batch') throw invalid('a ledger is opened once, and then shipped in batches');
          // A stream may be older than what its caller may still do.
          await deps.authorizer.recheck(context);
          await send(standMessage(await shipment.take(batchOf(request.what.value))));
        }
      } finally {
        shippers--;
      }
    },
    async searchRecords({ filter, pageSize, pageToken }, { signal }) {
      const page = await records.search(filterOf(filter, trustDomain), {
        ...{ size: pageSize === 0 ? PAGE_SIZE : pageSize, cursor: pageToken === '' ? undefined : pageToken, signal },
      });
      return {
        records: page.entries.map(({ log, position, bytes }) => ({ log, position: BigInt(position), entry: bytes })),
        nextPageToken: page.next ?? '',
      };
    },
    async getRecord({ log, position }) {
      const found = await records.show(log, Number(position));
      return { record: { log, position, entry: found.bytes } };
    },
    listLogs: async () => ({ logs: (await records.listLogs()).map((log) => logMessage(records, log)) }),
    acceptLog: ({ origin }, context) =>
      audit.act(context, { target: origin }, async () => ({ log: logMessage(records, await records.accept(origin)) })),
  });
}

type Request = MessageShape<typeof ShipRequestSchema>;

/** The next request; undefined when there is none. Who says nothing for too long is told to go, and everybody when the server stops. */
function nextRequest(clock: Clock, requests: AsyncIterable<Request>, { draining }: CallContext) {
  const iterator = requests[Symbol.asyncIterator]();
  return async (): Promise<Request | undefined> => {
    const limit = timeoutSignal(clock, QUIET_MS_MAX, draining);
    try {
      const { done, value } = await raceAbort(iterator.next(), limit.signal);
      return done === true ? undefined : value;
    } finally {
      limit.cancel();
    }
  };
}

/** @throws RpcError, RecordsError */
async function openShipment(
  { records, authorizer, trustDomain }: { records: Records; authorizer: Authorizer; trustDomain: TrustDomain },
  request: Request | undefined,
  context: CallContext,
): Promise<Shipment> {
  if (request?.what.case !== 'open') throw invalid('whoever ships a ledger says first which');
  const { origin, verifierKey } = request.what.value;
  const caller = authorizer.callerOf(context);
  assert(caller.role === 'gateway', 'only gateways ship by this door');
  // A server's ledger, or another kind of log, is nobody's to bind from outside.
  if (!origin.startsWith(`${trustDomain}/gateway/`))
    throw new RpcError(Code.PERMISSION_DENIED, `a gateway ships ledgers of ${trustDomain}/gateway/`);
  return records.open({ origin, verifierKey, owner: caller.id.uri });
}

function batchOf({ first, entries, checkpoint, consistency }: ShipBatch): LogBatch {
  return {
    first: Number(first),
    entries: entries.map(bufferOf),
    checkpoint: checkpoint === '' ? undefined : checkpoint,
    consistency: consistency.map(bufferOf),
  };
}

/** Over the bytes of the message. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function standMessage({ size, signedSize, checkpoint }: LogStand): MessageInitShape<typeof ShipResponseSchema> {
  return { size: BigInt(size), signedSize: BigInt(signedSize), checkpoint: checkpoint ?? '' };
}

function filterOf(message: FilterMessage | undefined, trustDomain: TrustDomain): RecordFilter {
  if (message === undefined) return {};
  const { identity, masked, sinceMs, untilMs } = message;
  const text = (value: string) => (value === '' ? undefined : value);
  const time = (value: bigint) => (value === 0n ? undefined : Number(value));
  const idOf = (value: string) => text(identityNamed(value, trustDomain));
  const count = (value: bigint | undefined) => (value === undefined ? undefined : Number(value));
  return {
    ...{ actor: idOf(identity), node: idOf(message.node) },
    ...{ rowsMin: count(message.rowsMin), rowsMax: count(message.rowsMax) },
    ...{ bytesMin: count(message.bytesMin), bytesMax: count(message.bytesMax) },
    ...{ target: text(message.target), action: text(message.action), session: text(message.session) },
    ...{ kind: text(message.kind), object: text(message.object), column: text(message.column) },
    ...{ policy: text(message.policy), reason: text(message.reason), status: text(message.status) },
    ...{ shape: text(message.shape), code: text(message.code), masked: masked ? true : undefined },
    ...{ sinceMs: time(sinceMs), untilMs: time(untilMs) },
  };
}

function logMessage(records: Pick<Records, 'silentMs'>, log: LogView): MessageInitShape<typeof LogViewSchema> {
  const { id, origin, generation, owner, verifierKey, ended, closed, heardMs } = log;
  const silent = records.silentMs(log) !== undefined && log.alarm === undefined;
  return {
    ...{ id, origin, generation, owner, verifierKey, ended, closed },
    ...{ entries: BigInt(log.entries), checkpoint: log.checkpoint ?? '', heardMs: BigInt(heardMs) },
    alarm: silent ? 'silence' : (log.alarm?.kind ?? ''),
    found: silent ? 'nothing was heard of it' : (log.alarm?.found ?? ''),
    alarmMs: BigInt(silent ? heardMs : (log.alarm?.sinceMs ?? 0)),
  };
}

/** Each may hold one batch; all of them together are bounded by what the server holds of requests. */
const SHIPPERS_MAX = 2000;
/** A shipper says something every ten seconds. */
const QUIET_MS_MAX = 60_000;
const PAGE_SIZE = 100;
