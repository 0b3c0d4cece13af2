/**
 * Everything a case measures, running side by side: the upstream, the product as three processes with the upstream as its target, nginx, Caddy,
 * Node's own HTTP, and what asks.
 */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { stringify } from 'yaml';
import { eventually } from '../../test/support/eventually.ts';
import { freePorts } from '../../test/support/processes.ts';
import { GATEWAY_NAME, type Stack, startStack } from '../../test/support/stack.ts';
import { fetchSvid } from '../gateway/fetch-svid.ts';
import type { BenchContext } from '../harness.ts';
import { startBareNode } from './bare-node.ts';
import { CADDY, startCaddy } from './caddy.ts';
import type { LoadJob } from './load.ts';
import { type LoadClient, startLoadClient } from './load-client.ts';
import { startNginxProxy, startUpstream } from './nginx.ts';
import { ownFile, type PeerWay } from './peer.ts';

export type SubjectName = 'direct' | 'nginx' | 'caddy' | 'bare node' | 'gateway';

/** One way to the upstream. */
export interface Subject {
  readonly name: SubjectName;
  readonly port: number;
  readonly tls: LoadJob['tls'];
  /** Processes between client and upstream. */
  pids(): readonly number[];
}

export interface HttpBed {
  readonly stack: Stack;
  readonly subjects: readonly Subject[];
  readonly client: LoadClient;
  stop(): Promise<void>;
}

/** Starts all of it. */
export async function startHttpBed(context: BenchContext): Promise<HttpBed> {
  const undo: (() => unknown)[] = [];
  const stop = async () => {
    for (const step of undo.splice(0).toReversed()) await step();
  };
  try {
    const stack = await startStack({ store: 'sqlite', isSearched: false, policies: { mine: POLICIES } });
    undo.push(() => stack.stop());
    const { users, folder } = stack;
    const [upstreamPort = 0, gatewayPort = 0, nginxPort = 0, caddyPort = 0, barePort = 0] = await freePorts(5);
    const upstreamFolder = folder.privateFolder('http-upstream', users.batch);
    const root = writeBodies(upstreamFolder, users.batch, context.quick);
    const upstream = await startUpstream({
      ...{ folder: upstreamFolder, user: users.batch, port: upstreamPort, root, item: ITEM },
    });
    undo.push(upstream.stop);
    await applyTarget(stack, { port: gatewayPort, upstreamPort });
    const client = await fetchSvid(stack, 'client-svid', users.web);
    const server = await fetchSvid(stack, 'peer-svid', users.separate ? users.batch : users.web);
    const way = (name: string, port: number): PeerWay => ({
      ...{ folder: folder.privateFolder(name, users.batch), user: users.batch, port, upstreamPort },
      ...{ tls: { cert: server.cert, key: server.key, ca: server.roots }, authorization: `Bearer ${KEY}` },
    });
    const read = (file: string) => fs.readFileSync(file, 'utf8');
    const tls = { cert: read(client.cert), key: read(client.key), ca: read(client.roots) };
    const nginx = await startNginxProxy(way('nginx', nginxPort));
    undo.push(nginx.stop);
    const subjects: Subject[] = [
      { name: 'direct', port: upstreamPort, tls: undefined, pids: () => [] },
      { name: 'nginx', port: nginxPort, tls, pids: nginx.pids },
    ];
    if (fs.existsSync(CADDY)) {
      const caddy = await startCaddy(way('caddy', caddyPort));
      undo.push(caddy.stop);
      subjects.push({ name: 'caddy', port: caddyPort, tls, pids: caddy.pids });
    } else context.say('caddy is missing, and left out: apt-get install caddy');
    const bare = await startBareNode(way('bare-node', barePort));
    undo.push(bare.stop);
    subjects.push({ name: 'bare node', port: barePort, tls, pids: bare.pids });
    subjects.push({ name: 'gateway', port: gatewayPort, tls, pids: () => [stack.roles.gateway.pid] });
    const load = startLoadClient();
    undo.push(load.stop);
    return { stack, subjects, client: load, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Declares the target, with its credential in the keystore, and waits until its door is open. */
async function applyTarget(stack: Stack, { port, upstreamPort }: { port: number; upstreamPort: number }) {
  const secret = await stack.cli(['target', 'secret', 'api-key'], { user: stack.users.gateway, stdin: `${KEY}\n` });
  if (secret.code !== 0) throw new Error(`target secret ended with ${secret.code}: ${secret.stderr}`);
  const target = {
    ...{ kind: 'Target', name: 'api' },
    spec: {
      ...{ protocol: 'http', url: `http://127.0.0.1:${upstreamPort}`, routes: ROUTES },
      ...{ credential: { bearer: 'keystore:api-key' }, listen: { host: '127.0.0.1', port } },
    },
  };
  const applied = await stack.apply({ 'api.yaml': stringify(target) }, { prune: false });
  if (applied.code !== 0) throw new Error(`apply ended with ${applied.code}: ${applied.stderr}`);
  await eventually('the socket of the API', () => fs.existsSync(path.join(stack.folder.targets, 'api/http.sock')));
}

/** The files behind the upstream's other paths; returns their folder. */
function writeBodies(folder: string, user: number | undefined, isQuick: boolean): string {
  const root = path.join(folder, 'root');
  fs.mkdirSync(path.join(root, 'v1'), { recursive: true });
  for (const made of [root, path.join(root, 'v1')]) if (user !== undefined) fs.chownSync(made, user, user);
  const people = Array.from({ length: PEOPLE }, (_, i) => ({
    ...{ id: i, name: `Person ${i}`, email: `person.${i}@example.org`, ssn: `123-45-${String(i).padStart(4, '0')}` },
    ...{
      card: String(4_000_000_000_000_000 + i),
      balance: i * 1.25,
      tags: ['new', 'kept'],
      note: 'as it was "before"',
    },
  }));
  const json = JSON.stringify({ items: people, next: null });
  for (const name of ['people', 'masked']) ownFile(root, user, { name: `v1/${name}`, text: json });
  const bytes = isQuick ? DOWNLOAD_BYTES_QUICK : DOWNLOAD_BYTES;
  ownFile(root, user, { name: 'v1/download', text: Buffer.alloc(bytes, 'countersign ') });
  return root;
}

/** Requests of a path, as a small client writes them. */
export function requestOf(target: string): string {
  return `GET ${target} HTTP/1.1\r\nHost: ${GATEWAY_NAME}\r\nUser-Agent: bench/1.0\r\nAccept: application/json\r\n\r\n`;
}

const KEY = randomBytes(20).toString('hex');
/** Two hundred bytes. */
const ITEM = JSON.stringify({ id: 12_345_678, name: 'x'.repeat(168) });
/** That is 100 kB. */
const PEOPLE = 565;
const DOWNLOAD_BYTES = 200 * 1024 * 1024;
const DOWNLOAD_BYTES_QUICK = 50 * 1024 * 1024;
const ROUTES = [
  { name: 'item', methods: ['GET'], path: '/v1/items/{id}' },
  { name: 'people', methods: ['GET'], path: '/v1/people' },
  { name: 'masked', methods: ['GET'], path: '/v1/masked' },
  { name: 'download', methods: ['GET'], path: '/v1/download' },
];
const POLICIES = `
@id("connects") permit(principal == Identity::"spiffe://example.org/web", action == Action::"http:connect", resource in Target::"api");
@id("item") permit(principal == Identity::"spiffe://example.org/web", action in Action::"http:read", resource == Http::Route::"api/item")
when { resource.hasTag("path.id") && resource.getTag("path.id") != "13" };
@id("people") permit(principal == Identity::"spiffe://example.org/web", action in Action::"http:read", resource == Http::Route::"api/people");
@id("masked") @mask("body.items.ssn:redact, body.items.card:redact")
permit(principal == Identity::"spiffe://example.org/web", action in Action::"http:read", resource == Http::Route::"api/masked");
@id("download") permit(principal == Identity::"spiffe://example.org/web", action in Action::"http:read", resource == Http::Route::"api/download");
`;
