/** The HTTP API beside the database: it keeps what it was posted, and is never killed itself. */
import { randomBytes } from 'node:crypto';
import * as http from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import * as path from 'node:path';
import * as tls from 'node:tls';
import { stringify } from 'yaml';
import { eventually } from '../../support/eventually.ts';
import { freePorts } from '../../support/processes.ts';
import type { Stack } from '../../support/stack.ts';
import { POSTS_PATH } from './checks.ts';
import { CANARY } from './clients.ts';

export interface CrashApi {
  /** Every request to post something, in order, by its id. */
  readonly posts: readonly string[];
  /** Requests that no policy permits. */
  readonly forbidden: readonly string[];
  readonly ways: { readonly agent: ApiWay; readonly direct: ApiWay };
  close(): void;
}

/** How a client comes to it. */
export interface ApiWay {
  /** For a request of `node:http`. */
  connect(): Socket;
}

/** Starts it, as the target `api` of that stack. `identity`: what a direct client proves itself by, read anew each time. */
export async function startCrashApi(stack: Stack, identity: () => tls.ConnectionOptions): Promise<CrashApi> {
  const key = `canary-${randomBytes(15).toString('hex')}`;
  const posts: string[] = [];
  const forbidden: string[] = [];
  const server = http.createServer((request, response) => serve(request, response, { key, posts, forbidden }));
  server.on('upgrade', (_, socket) => {
    socket.on('error', () => {}).on('end', () => socket.end());
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n');
    socket.on('data', (bytes: Buffer) => void socket.write(bytes));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const [port = 0] = await freePorts(1);
  stack.canaries.add({ name: 'key of the API', value: key, may: [] });
  const secret = await stack.cli(['target', 'secret', 'api-key'], { user: stack.users.gateway, stdin: `${key}\n` });
  if (secret.code !== 0) throw new Error(secret.stderr);
  const target = {
    ...{ kind: 'Target', name: 'api' },
    spec: {
      ...{ protocol: 'http', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, routes: ROUTES },
      ...{ credential: { bearer: 'keystore:api-key' }, listen: { host: '127.0.0.1', port } },
    },
  };
  const applied = await stack.apply({ 'api.yaml': stringify(target) }, { prune: false });
  if (applied.code !== 0) throw new Error(applied.stderr);
  const socket = path.join(stack.folder.targets, 'api/http.sock');
  await eventually('the door of the API', () => reaches(socket));
  return {
    ...{ posts, forbidden },
    ways: {
      agent: { connect: () => connect(socket) },
      direct: { connect: () => tls.connect({ ...identity(), host: '127.0.0.1', port }) },
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

function serve(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  { key, posts, forbidden }: { key: string; posts: string[]; forbidden: string[] },
): void {
  const { method = '', url = '' } = request;
  if (request.headers.authorization !== `Bearer ${key}`) return void response.writeHead(401).end();
  const id = url.startsWith(POSTS_PATH) ? url.slice(POSTS_PATH.length) : undefined;
  // `OPTIONS *` is the gateway's own, which looks whether it is there. At once: what breaks off behind its head has reached it too.
  if (method === 'POST' && id !== undefined) posts.push(id);
  else if (method !== 'GET' && url !== '*') forbidden.push(`${method} ${url}`);
  let received = 0;
  request.on('data', (bytes: Buffer) => {
    received += bytes.length;
  });
  request.on('end', () => {
    if (url === '/v1/bulk') return void response.writeHead(200, { 'content-length': BULK.length }).end(BULK);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(id === undefined ? { name: 'ada', ssn: CANARY } : { id, received }));
  });
}

function reaches(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socket, () => resolve(true)).on('error', () => resolve(false));
    probe.on('connect', () => probe.destroy());
  });
}

/** Long enough to be under way when something dies. */
export const BULK = Buffer.alloc(512 * 1024, 'countersign ');
const ROUTES = [
  { name: 'posts', methods: ['POST'], path: `${POSTS_PATH}{id}` },
  { name: 'person', path: '/v1/person' },
  { name: 'bulk', methods: ['GET'], path: '/v1/bulk' },
  { name: 'chat', methods: ['GET'], path: '/v1/chat' },
];
/** What `web` may ask of it. */
export const API_POLICIES = `
@id("api-connects") permit(principal == Identity::"spiffe://example.org/web", action == Action::"http:connect", resource in Target::"api");
@id("api-posts") permit(principal == Identity::"spiffe://example.org/web", action == Action::"http:post", resource == Http::Route::"api/posts");
@id("api-person") @mask("body.ssn:redact")
permit(principal == Identity::"spiffe://example.org/web", action == Action::"http:get", resource == Http::Route::"api/person");
@id("api-bulk") permit(principal == Identity::"spiffe://example.org/web", action == Action::"http:get", resource == Http::Route::"api/bulk");
@id("api-chat") permit(principal == Identity::"spiffe://example.org/web", action == Action::"http:upgrade", resource == Http::Route::"api/chat");
`;
