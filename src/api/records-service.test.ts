import { Records } from '@countersign/sdk/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { testEntry, testLog } from '../records/testing/log-fixture.ts';
import { Code, type RpcClient } from '../rpc/index.ts';
import { startTestServer, type TestServer, trustDomain } from './testing/test-server.ts';

// Goal: only who may ship does, only what is its own, and what no shipper does is refused without harm to what is there.

const options = { signal: new AbortController().signal };
let server: TestServer;
let gateway: RpcClient;
beforeEach(async () => {
  server = await startTestServer();
  gateway = server.client(await server.identify('/countersign/gateway'));
});
afterEach(() => server.stop());

const logNamed = (name: string) => testLog(6, { origin: `${trustDomain}/gateway/${name}` });

function ship(client: RpcClient) {
  const call = client.bidi(Records.method.ship, options);
  const answers = call.responses[Symbol.asyncIterator]();
  const ask = async (what: Parameters<typeof call.send>[0]['what']) => {
    call.send({ what } as Parameters<typeof call.send>[0]).catch(() => {}); // What goes wrong is what the answer rejects with.
    const { value } = await answers.next();
    return { size: Number(value?.size), signedSize: Number(value?.signedSize) };
  };
  return { ask, cancel: call.cancel };
}

type Log = ReturnType<typeof testLog>;
type Said = Parameters<ReturnType<typeof ship>['ask']>[0];
const open = ({ origin, verifierKey }: Pick<Log, 'origin' | 'verifierKey'>) =>
  ({ case: 'open', value: { origin, verifierKey } }) as const;
const batch = (log: Log, first: number, end: number) => {
  const { checkpoint = '', consistency, entries } = log.batch(first, end, first);
  return {
    case: 'batch' as const,
    value: { first: BigInt(first), entries: [...entries], checkpoint, consistency: [...consistency] },
  };
};

describe('a gateway', () => {
  it('ships its ledger over one stream, and operators find it', async () => {
    const log = logNamed('one');
    const { ask, cancel } = ship(gateway);
    expect(await ask(open(log))).toEqual({ size: 0, signedSize: 0 });
    expect(await ask(batch(log, 0, 4))).toEqual({ size: 4, signedSize: 4 });
    expect(await ask(batch(log, 4, 6))).toEqual({ size: 6, signedSize: 6 });
    cancel();
    const operator = server.operator();
    const first = await operator.unary(Records.method.searchRecords, { pageSize: 4 }, options);
    const rest = await operator.unary(Records.method.searchRecords, { pageToken: first.nextPageToken }, options);
    const found = [...first.records, ...rest.records].map(({ entry }) => Buffer.from(entry).toString());
    expect(found).toEqual(log.entries.map(String).toReversed());
    const one = await operator.unary(Records.method.getRecord, { log: 1, position: 2n }, options);
    expect(Buffer.from(one.record?.entry ?? [])).toEqual(log.entries[2]);
  });

  it('is refused a log of another kind, and one that another identity ships', async () => {
    const log = logNamed('one');
    const others = testLog(1, { origin: `${trustDomain}/server/server-1` });
    await expect(ship(gateway).ask(open(others))).rejects.toMatchObject({ code: Code.PERMISSION_DENIED });
    await ship(gateway).ask(open(log));
    const second = server.client(await server.identify('/countersign/gateway/second'));
    await expect(ship(second).ask(open(log))).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    const { logs } = await server.operator().unary(Records.method.listLogs, {}, options);
    expect(logs).toMatchObject([{ origin: log.origin, alarm: '' }]);
  });

  it('is told which alarm its ledger has raised, and an operator closes it, on record', async () => {
    const log = logNamed('one');
    const { ask } = ship(gateway);
    await ask(open(log));
    await ask(batch(log, 0, 6));
    await expect(ask(batch(log, 4, 4))).rejects.toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: expect.stringContaining('rollback'),
    });
    const operator = server.operator();
    const { logs } = await operator.unary(Records.method.listLogs, {}, options);
    expect(logs).toMatchObject([{ alarm: 'rollback', entries: 6n }]);
    await operator.unary(Records.method.acceptLog, { origin: log.origin }, options);
    expect(server.ledger.filter(({ action }) => action === 'AcceptLog').map(({ detail }) => detail['step'])).toEqual([
      'request',
      'done',
    ]);
    expect(await ship(gateway).ask(open(log))).toEqual({ size: 0, signedSize: 0 });
  });

  it.each<[string, (log: Log) => Said[]]>([
    ['ships before it has opened', (log) => [batch(log, 0, 2)]],
    ['opens twice', (log) => [open(log), open(log)]],
    ['says nothing', () => [{ case: undefined }]],
    ['has a key of another name', (log) => [open({ origin: log.origin, verifierKey: testLog(0).verifierKey })]],
    [
      'sends entries behind its checkpoint',
      (log) => [open(log), { case: 'batch', value: { ...batch(log, 0, 2).value, entries: [...log.entries] } }],
    ],
    [
      'sends too many entries',
      (log) => [open(log), { case: 'batch', value: { entries: Array.from({ length: 1001 }, (_, n) => testEntry(n)) } }],
    ],
    ['begins beyond any position', (log) => [open(log), { case: 'batch', value: { first: 2n ** 63n } }]],
  ])('that %s is refused, and goes on as before when it does as it should', async (_, requests) => {
    const log = logNamed('one');
    const { ask } = ship(gateway);
    const said = requests(log);
    for (const what of said.slice(0, -1)) await ask(what);
    await expect(ask(said.at(-1))).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    const again = ship(gateway);
    await again.ask(open(log));
    expect(await again.ask(batch(log, 0, 6))).toEqual({ size: 6, signedSize: 6 });
  });
});

it('nobody but gateways may ship', async () => {
  const log = logNamed('one');
  for (const client of [server.operator(), server.client(await server.identify('/web'))])
    await expect(ship(client).ask(open(log))).rejects.toMatchObject({ code: Code.PERMISSION_DENIED });
});

it('nobody but operators may read the record', async () => {
  const { method } = Records;
  await expect(gateway.unary(method.searchRecords, {}, options)).rejects.toMatchObject({
    code: Code.PERMISSION_DENIED,
  });
  await expect(gateway.unary(method.acceptLog, {}, options)).rejects.toMatchObject({ code: Code.PERMISSION_DENIED });
});
