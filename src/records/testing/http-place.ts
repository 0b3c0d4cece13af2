import * as http from 'node:http';
import * as https from 'node:https';
import type { AddressInfo } from 'node:net';
import { serverForTest } from './tls-fixture.ts';

/** A request as it came. */
export interface CameRequest {
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  readonly url: string;
}

/** What is answered. */
export interface GivenAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** An HTTP server on this machine, for tests of sinks: it can go away and come back at the same port. */
export async function openHttpPlace(answer: (request: CameRequest) => GivenAnswer, { isTls }: { isTls: boolean }) {
  const { ca, cert, key } = serverForTest();
  const requests: CameRequest[] = [];
  const listener: http.RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const came = { headers: request.headers, body: Buffer.concat(chunks).toString(), url: request.url ?? '' };
      requests.push(came);
      const { status, headers = {}, body = '' } = answer(came);
      response.writeHead(status, headers).end(body);
    });
  };
  const create = () => (isTls ? https.createServer({ cert, key }, listener) : http.createServer(listener));
  let server = create();
  const listen = (port: number) =>
    new Promise<void>((resolve, reject) => {
      server = create();
      server.once('error', reject).listen(port, 'localhost', resolve);
    });
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  await listen(0);
  const { port } = server.address() as AddressInfo; // It listens on TCP.
  return { url: `${isTls ? 'https' : 'http'}://localhost:${port}/in`, ca, requests, close, reopen: () => listen(port) };
}
