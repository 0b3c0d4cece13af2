import {
  type BenchContext,
  type BenchResult,
  interleave,
  median,
  medianRatio,
  result,
  type Samples,
  timed,
} from '../harness.ts';
import { createEntries } from '../server/entries.ts';
import { NEVER, startRealServer } from '../server/real-server.ts';
import { cryptoFloor } from './crypto-floor.ts';
import { wishes } from './fixture.ts';

/** BatchNewX509SVID on a running server by mutual TLS: CPU of the server for each SVID, beside what its cryptography costs at least. */
export async function measureServer(context: BenchContext): Promise<readonly BenchResult[]> {
  const server = await startRealServer();
  try {
    const asked = wishes(context.quick ? 8 : 500);
    const ids = await createEntries(server, { parent: server.nodeId, from: 0, to: asked.length });
    const link = server.connect();
    const params = asked.map(({ csr }, index) => ({ entryId: ids[index] ?? '', csr }));
    /** Of the server's CPU there are ticks of 10 ms only, so each turn takes half a second of it. */
    const issue = (batch: number) => async () => {
      const calls = Math.ceil((context.quick ? 8 : 2000) / batch);
      const before = server.cpuUs();
      const { wallUs } = await timed(async () => {
        let next = 0;
        const caller = async () => {
          while (next < calls) {
            const at = (next++ * batch) % params.length;
            const results = await link.newX509Svids(params.slice(at, at + batch), NEVER);
            if (results.some(({ svid }) => svid === undefined))
              throw new Error(`refused: ${results[0]?.status?.message}`);
          }
        };
        await Promise.all(Array.from({ length: CALLS_AT_ONCE }, caller));
        return calls;
      });
      return { operations: calls * batch, wallUs, cpuUs: server.cpuUs() - before };
    };
    context.say('batches of 1, 50 and 500 over gRPC');
    const samples = await interleave(context.rounds, {
      floor: () => timed(() => cryptoFloor(asked, context.quick ? 8 : 1000)),
      one: issue(1),
      fifty: issue(Math.min(50, asked.length)),
      all: issue(asked.length),
    });
    const row = (batch: number, ours: Samples) =>
      result({
        ...{ case: `over gRPC, batches of ${batch}`, subject: 'server', unit: 'us CPU/SVID' },
        ...{ value: median(ours.cpuUs), peer: 'load key, verify, sign' },
        ...{ peerValue: median(samples.floor.cpuUs), goal: '<= 1.5' },
        ratio: medianRatio(ours.cpuUs, samples.floor.cpuUs),
      });
    return [row(1, samples.one), row(50, samples.fifty), row(500, samples.all)];
  } finally {
    await server.stop();
  }
}

/** So many that the server never waits for the client. */
const CALLS_AT_ONCE = 4;
