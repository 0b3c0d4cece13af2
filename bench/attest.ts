import { createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { Agent } from '@countersign/sdk/contract';
import { encodePem } from '../src/wire/x509/index.ts';
import { type Bench, interleave, median, medianRatio, result, timed } from './harness.ts';
import { NEVER, startRealServer } from './server/real-server.ts';
import { createWriter } from './svid-issue/writer.ts';

/** A node that proves itself: one connection, one join token, one SVID. */
export const bench: Bench = {
  name: 'attest',
  summary: 'attestation of a node by join token: CPU of the server beside its handshake and signatures alone',
  async run({ quick, rounds }) {
    const server = await startRealServer();
    const floor = await startHandshakes();
    try {
      // All rounds together stay below what the server admits from one address at once.
      const count = quick ? 2 : Math.floor(ADMITTED / (rounds + 1));
      const samples = await interleave(rounds, {
        async ours() {
          const tokens: string[] = [];
          for (let index = 0; index < count; index++) {
            const options = { signal: NEVER, timeoutMs: 30_000 };
            tokens.push((await server.operator.unary(Agent.method.createJoinToken, { ttl: 600 }, options)).value);
          }
          const before = server.cpuUs();
          const { wallUs } = await timed(async () => {
            for (const token of tokens) await server.attest(token);
            return count;
          });
          return { operations: count, wallUs, cpuUs: server.cpuUs() - before };
        },
        floor: () => floor.run(count),
      });
      const ratio = medianRatio(samples.ours.cpuUs, samples.floor.cpuUs);
      return [
        result({
          ...{ case: 'join token', subject: 'server', unit: 'us CPU/node', value: median(samples.ours.cpuUs), ratio },
          ...{ peer: 'handshake, load key, verify, sign', peerValue: median(samples.floor.cpuUs) },
        }),
      ];
    } finally {
      floor.stop();
      await server.stop();
    }
  },
};

/**
 * TLS 1.3 with the same kind of key on the server and none on the client, then the signatures of an attestation. Both ends of the handshake run
 * here; half of its cost is the server's.
 */
async function startHandshakes() {
  const { privateKey, write } = createWriter();
  const { privateKey: key, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const der = publicKey.export({ format: 'der', type: 'spki' });
  const data = randomBytes(460);
  const signature = sign('sha256', data, key);
  const server = createServer({
    key: key.export({ format: 'pem', type: 'pkcs8' }),
    cert: encodePem('CERTIFICATE', write(0, der)),
    minVersion: 'TLSv1.3',
  });
  server.on('secureConnection', (socket) => socket.on('error', () => {}).end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const handshake = () =>
    new Promise<void>((resolve, reject) => {
      const socket: TLSSocket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
      socket.resume();
      socket.once('error', reject);
      socket.once('close', () => resolve());
    });
  return {
    async run(count: number) {
      const shaken = await timed(async () => {
        for (let index = 0; index < count; index++) await handshake();
        return count;
      });
      const signed = await timed(() => {
        for (let index = 0; index < count; index++) {
          verify('sha256', data, createPublicKey({ key: der, format: 'der', type: 'spki' }), signature);
          sign('sha256', data, privateKey);
        }
        return count;
      });
      return { operations: count, wallUs: shaken.wallUs + signed.wallUs, cpuUs: shaken.cpuUs / 2 + signed.cpuUs };
    },
    stop: () => void server.close(),
  };
}

/** The server lets one address begin with 500; one more is the node that every bench has. */
const ADMITTED = 480;
