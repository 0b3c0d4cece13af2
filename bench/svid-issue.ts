import '../src/wire/x509/testdata/reflect-metadata.ts';
import { randomBytes, sign } from 'node:crypto';
import { parseCertificateRequest } from '../src/wire/x509/index.ts';
import { type Bench, type BenchContext, interleave, median, medianRatio, result, timed, timedLoop } from './harness.ts';
import { cryptoFloor, TBS_BYTES } from './svid-issue/crypto-floor.ts';
import { identity, startAuthority, wishes } from './svid-issue/fixture.ts';
import { createPeculiarIssuer } from './svid-issue/peculiar.ts';
import { measureServer } from './svid-issue/server.ts';
import { measureWorkers } from './svid-issue/workers.ts';
import { createWriter } from './svid-issue/writer.ts';

/** Issuing X.509-SVIDs: the authority alone, and the server through its API. */
export const bench: Bench = {
  name: 'svid-issue',
  summary:
    'X.509-SVIDs: against @peculiar/x509, raw signatures, one worker more, and the server over gRPC against its crypto',
  async run(context) {
    return [
      ...(context.wants('csr') ? await measureRequests(context) : []),
      ...(context.wants('no-csr') ? await measureWriting(context) : []),
      ...(context.wants('workers') ? await measureWorkers(context) : []),
      ...(context.wants('grpc') ? await measureServer(context) : []),
    ];
  },
};

/** A request in, an SVID out: parse, prove possession, write, sign, check. */
async function measureRequests(context: BenchContext) {
  const { authority, stop } = await startAuthority();
  const asked = wishes(context.quick ? 4 : 128);
  const peculiar = await createPeculiarIssuer(asked);
  const turn = (index: number) => asked[index % asked.length] ?? asked[0];
  const count = context.quick ? 4 : 1000;
  const samples = await interleave(context.rounds, {
    ours: () =>
      timed(async () => {
        for (let index = 0; index < count; index++) {
          const publicKeyDer = parseCertificateRequest(turn(index)?.csr ?? Buffer.alloc(0)).subjectKey;
          await authority.issueX509Svid({ spiffeId: identity, publicKeyDer, ttlS: 3600, dnsNames: [] });
        }
        return count;
      }),
    peculiar: () =>
      timed(async () => {
        const fewer = Math.ceil(count / 10);
        for (let index = 0; index < fewer; index++) await peculiar(index);
        return fewer;
      }),
    floor: () => timed(() => cryptoFloor(asked, count)),
  });
  await stop();
  const row = { case: 'csr', subject: 'parse, prove, issue', unit: 'us CPU/SVID', value: median(samples.ours.cpuUs) };
  return [
    result({
      ...row,
      peer: '@peculiar/x509',
      peerValue: median(samples.peculiar.cpuUs),
      ratio: medianRatio(samples.peculiar.cpuUs, samples.ours.cpuUs),
      goal: '>= 15',
    }),
    result({
      ...row,
      peer: 'load key, verify, sign',
      peerValue: median(samples.floor.cpuUs),
      ratio: medianRatio(samples.ours.cpuUs, samples.floor.cpuUs),
    }),
  ];
}

/** The certificate alone: template, splice, sign. */
async function measureWriting(context: BenchContext) {
  const ms = context.quick ? 2 : 300;
  const { write, privateKey } = createWriter();
  const data = randomBytes(TBS_BYTES);
  const samples = await interleave(context.rounds, {
    ours: () => timedLoop(ms, write),
    raw: () => timedLoop(ms, () => sign('sha256', data, privateKey)),
  });
  return [
    result({
      ...{ case: 'no-csr', subject: 'write and sign', unit: 'us CPU/SVID', value: median(samples.ours.cpuUs) },
      ...{ peer: 'crypto.sign', peerValue: median(samples.raw.cpuUs) },
      ...{ ratio: medianRatio(samples.raw.cpuUs, samples.ours.cpuUs), goal: '>= 0.8' },
    }),
  ];
}
