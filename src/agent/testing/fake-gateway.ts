import type { Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { peerChain } from '../../rpc/index.ts';
import {
  encodeLinkAnswer,
  type LinkAnswer,
  type LinkCaller,
  linkAlpn,
  linkVersionOf,
  parseLinkPreface,
} from '../../wire/link/index.ts';
import { encodePem, parseCertificate } from '../../wire/x509/index.ts';
import type { TestAuthority } from './test-authority.ts';

/** A gateway's link door: takes the preface, answers as told, then echoes or runs `serve`. */
export interface FakeGateway {
  readonly address: string;
  /** SPIFFE IDs of those who linked, and the target each named. */
  readonly links: { id: string; target: string }[];
  /** What was told of the process behind each. */
  readonly callers: (LinkCaller | undefined)[];
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
    ALPNProtocols: options.alpn === undefined ? [...linkAlpn] : [options.alpn],
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
    let received: Buffer = Buffer.alloc(0);
    const onData = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const version = linkVersionOf(socket.alpnProtocol);
      const read = version === undefined ? 'wrong' : parseLinkPreface(received, version);
      if (read === 'wrong') return void socket.destroy();
      if (read === 'more') return;
      socket.off('data', onData);
      const { kind, target, caller } = read.preface;
      const rest = received.subarray(read.bytes);
      if (kind === 'aside') {
        let words = rest;
        socket.on('data', (more: Buffer) => {
          words = Buffer.concat([words, more]);
        });
        socket.on('end', () => gateway.asides.push(`${target} ${words}`) && socket.end());
        return void socket.write(encodeLinkAnswer({ status: 'yes' }));
      }
      const [leaf] = peerChain(socket);
      gateway.links.push({ id: leaf ? (parseCertificate(leaf).names.uris[0] ?? '') : '', target });
      gateway.callers.push(caller);
      const answer = answerOf(gateway);
      if (answer.status !== 'yes') return void socket.end(encodeLinkAnswer(answer));
      socket.write(encodeLinkAnswer(answer));
      if (rest.length > 0) socket.unshift(rest);
      gateway.serve(socket);
    };
    socket.on('data', onData);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const at = server.address();
  const gateway: FakeGateway = {
    address: typeof at === 'object' && at ? `127.0.0.1:${at.port}` : '',
    ...{ links: [], callers: [], asides: [] },
    ...{ refuse: undefined, notNow: undefined },
    serve: (socket) => socket.pipe(socket),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return gateway;
}

function answerOf({ notNow, refuse }: FakeGateway): LinkAnswer {
  if (notNow !== undefined) return { status: 'not-now', what: notNow };
  return refuse === undefined ? { status: 'yes' } : { status: 'no', what: refuse };
}
