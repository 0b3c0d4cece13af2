import type { Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { peerChain } from '../../rpc/index.ts';
import { encodePem, parseCertificate } from '../../wire/x509/index.ts';
import type { TestAuthority } from './test-authority.ts';

/** A gateway's link door: takes the preface, answers as told, then echoes or runs `serve`. */
export interface FakeGateway {
  readonly address: string;
  /** SPIFFE IDs of those who linked, and the target each named. */
  readonly links: { id: string; target: string }[];
  /** What was said aside, behind the target's name. */
  readonly asides: string[];
  /** Refuses with this reason. */
  refuse: string | undefined;
  /** Takes nobody, for this reason. */
  notNow: string | undefined;
  serve: (socket: TLSSocket) => void;
  close(): Promise<void>;
}

export async function startFakeGateway(
  authority: TestAuthority,
  options: { path?: string; alpn?: string } = {},
): Promise<FakeGateway> {
  const { chainDer, keyDer } = authority.issueWithKey(options.path ?? '/countersign/gateway', 3_600);
  const sockets = new Set<Socket>();
  const server = createServer({
    cert: chainDer.map((der) => encodePem('CERTIFICATE', der)).join(''),
    key: encodePem('PRIVATE KEY', keyDer),
    ALPNProtocols: [options.alpn ?? 'countersign-link/1'],
    minVersion: 'TLSv1.3',
    requestCert: true,
    rejectUnauthorized: false,
    allowHalfOpen: true,
  });
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('secureConnection', (socket) => {
    socket.on('error', () => {});
    let received = Buffer.alloc(0);
    const onData = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const end = 6 + (received.length >= 6 ? received.readUInt16BE(4) : 0);
      if (received.length < 6 || received.length < end) return;
      socket.off('data', onData);
      const [leaf] = peerChain(socket);
      const id = leaf ? (parseCertificate(leaf).names.uris[0] ?? '') : '';
      if (received.toString('latin1', 0, 4) === 'CSA1') {
        const target = received.toString('utf8', 6, end);
        let words = received.subarray(end);
        socket.on('data', (chunk: Buffer) => {
          words = Buffer.concat([words, chunk]);
        });
        socket.on('end', () => gateway.asides.push(`${target} ${words}`) && socket.end());
        return void socket.write(Buffer.from([0]));
      }
      gateway.links.push({ id, target: received.toString('utf8', 6, end) });
      const no = gateway.notNow ?? gateway.refuse;
      if (no !== undefined) {
        const reason = Buffer.from(no);
        const head = Buffer.from([gateway.notNow === undefined ? 1 : 2, reason.length >> 8, reason.length & 0xff]);
        socket.end(Buffer.concat([head, reason]));
        return;
      }
      socket.write(Buffer.from([0]));
      if (received.length > end) socket.unshift(received.subarray(end));
      gateway.serve(socket);
    };
    socket.on('data', onData);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const at = server.address();
  const gateway: FakeGateway = {
    address: typeof at === 'object' && at ? `127.0.0.1:${at.port}` : '',
    ...{ links: [], asides: [] },
    ...{ refuse: undefined, notNow: undefined },
    serve: (socket) => socket.pipe(socket),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return gateway;
}
