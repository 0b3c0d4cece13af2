/**
 * What asks: a process of its own, which sends requests that were made before and counts answers by their framing. Started by `fork`; takes a
 * {@link LoadJob} as a message and sends a {@link Load}, or `{ error }`, one after another.
 */
import * as net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import * as tls from 'node:tls';
import { cpuUs } from '../gateway/process-usage.ts';
import { percentile } from '../harness.ts';
import { AnswerFraming } from './answer-framing.ts';

export interface LoadJob {
  readonly port: number;
  /** For those who choose by it. */
  readonly host: string;
  /** PEM texts: TLS with that certificate. */
  readonly tls: { readonly cert: string; readonly key: string; readonly ca: string } | undefined;
  /** Whole requests, sent in turn by all connections. */
  readonly requests: readonly string[];
  readonly connections: number;
  /** Each request has a connection of its own. */
  readonly isNewEach: boolean;
  /** Before anything is counted. */
  readonly warmMs: number;
  readonly windowMs: number;
  /** Processes whose CPU is taken. */
  readonly pids: readonly number[];
}

/** What happened in the window. */
export interface Load {
  readonly answers: number;
  readonly bytes: number;
  readonly wallUs: number;
  /** Of all those processes. */
  readonly cpuUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

process.on('message', (job: LoadJob) => {
  load(job).then(
    (done) => process.send?.(done),
    (error: unknown) => process.send?.({ error: error instanceof Error ? error.message : String(error) }),
  );
});

async function load(job: LoadJob): Promise<Load> {
  const counted = { answers: 0, bytes: 0, latenciesUs: [] as number[] };
  const work = createWork(job, counted);
  try {
    const failed = Promise.race(Array.from({ length: job.connections }, work.connect));
    await Promise.race([pause(job.warmMs), failed]);
    Object.assign(counted, { answers: 0, bytes: 0, latenciesUs: [] });
    const before = used(job.pids);
    const from = performance.now();
    await Promise.race([pause(job.windowMs), failed]);
    const wallUs = (performance.now() - from) * 1000;
    const { answers, bytes, latenciesUs } = counted;
    return {
      ...{ answers, bytes, wallUs, cpuUs: used(job.pids) - before },
      ...{ p50Us: percentile(latenciesUs, 0.5), p99Us: percentile(latenciesUs, 0.99) },
    };
  } finally {
    work.stop();
  }
}

/** `connect` opens a connection, asks over it until `stop`, and rejects when it breaks before. */
function createWork(job: LoadJob, counted: { answers: number; bytes: number; latenciesUs: number[] }) {
  const requests = job.requests.map((text) => Buffer.from(text, 'latin1'));
  const sockets = new Set<net.Socket>();
  const secure = job.tls && tls.createSecureContext({ ...job.tls, minVersion: 'TLSv1.3' });
  let turn = 0;
  let isStopped = false;
  const open = () =>
    secure === undefined
      ? net.connect({ port: job.port, host: '127.0.0.1', noDelay: true })
      : tls.connect({
          ...{ port: job.port, host: '127.0.0.1', secureContext: secure, servername: job.host },
          checkServerIdentity: () => undefined, // Of a trusted authority it has to be; its names differ.
        });
  const connect = (): Promise<never> =>
    new Promise((_, reject) => {
      const ask = () => {
        const socket = open();
        sockets.add(socket);
        const framing = new AnswerFraming();
        let fromUs = performance.now() * 1000;
        const send = () => {
          if (!job.isNewEach) fromUs = performance.now() * 1000;
          socket.write(requests[turn++ % requests.length] ?? '');
        };
        const again = () => {
          counted.answers++;
          counted.latenciesUs.push(performance.now() * 1000 - fromUs);
          if (!job.isNewEach) return send();
          sockets.delete(socket);
          socket.removeAllListeners('close').destroy();
          if (!isStopped) ask();
        };
        socket.once(secure === undefined ? 'connect' : 'secureConnect', () => {
          if (socket instanceof tls.TLSSocket) socket.setNoDelay(true);
          send();
        });
        socket.on('data', (chunk: Buffer) => {
          try {
            const before = framing.bytes;
            const answers = framing.push(chunk);
            counted.bytes += framing.bytes - before;
            if (answers > 0) again();
          } catch (error) {
            reject(error);
          }
        });
        socket.on('error', reject);
        socket.on('close', () => {
          if (!isStopped) reject(new Error('a connection was closed'));
        });
      };
      ask();
    });
  const stop = () => {
    isStopped = true;
    for (const socket of sockets) socket.destroy();
  };
  return { connect, stop };
}

function used(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuUs(pid), 0);
}
