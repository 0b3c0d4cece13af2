import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, Bundle } from '@countersign/sdk/contract';
import { parseTrustDomain } from '@countersign/sdk/identity';
import { stringify } from 'yaml';
import { toBundle } from '../../src/agent/attach/from-contract.ts';
import { createServerLink, type ServerLink } from '../../src/agent/attach/server-link.ts';
import { createRpcClient, type RpcClient } from '../../src/rpc/index.ts';
import { createPeerClock, createSilentLog, createSystemClock } from '../../src/std/index.ts';
import { buildCertificateRequest } from '../../src/wire/x509/index.ts';
import { eventually } from '../../test/support/eventually.ts';
import { createDaemon, freePorts, spawnGuard } from '../../test/support/processes.ts';
import { cpuOfProcessUs } from '../harness.ts';

/** A server as operators run it: a process of its own, SQLite, keys and ledger on disk. */
export interface RealServer {
  /** Calls over the operator's socket. */
  readonly operator: RpcClient;
  /** The node that the calls of {@link RealServer.connect} come from. */
  readonly nodeId: string;
  /** A connection of the node's agent, by mutual TLS; each has its own. */
  connect(): ServerLink;
  /** Attests one more node with a join token, over a connection of its own. */
  attest(token: string): Promise<void>;
  /** User and system time of the process so far. */
  cpuUs(): number;
  stop(): Promise<void>;
}

/** Starts a server and attests one node. With `profile` the process writes a CPU profile into that folder when it stops. */
export async function startRealServer(profile = process.env['BENCH_PROFILE']): Promise<RealServer> {
  const folder = mkdtempSync(join(tmpdir(), 'cs-bench-server-'));
  const pids = join(folder, 'pids');
  mkdirSync(pids);
  const guard = spawnGuard(folder, pids);
  const [port = 0, httpPort = 0] = await freePorts(2);
  const socket = join(folder, 'server.sock');
  const data = join(folder, 'data');
  mkdirSync(data, { mode: 0o700 });
  const config = join(folder, 'config.yaml');
  const server = {
    ...{ listen: `127.0.0.1:${port}`, http: `127.0.0.1:${httpPort}`, socket, dataDir: data },
    store: { sqlite: {} },
  };
  writeFileSync(config, stringify({ trustDomain: 'example.org', server }), { mode: 0o600 });
  const daemon = createDaemon({
    name: 'server',
    file: process.execPath,
    args: [
      ...(profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]),
      EXECUTABLE,
      'server',
      '--config',
      config,
    ],
    ...{ user: undefined, env: {}, logFile: join(folder, 'server.log'), pidFile: join(pids, 'server') },
  });
  daemon.start();
  await eventually('the server is ready', async () => {
    if (daemon.exitCode !== undefined) throw new Error(`the server ended: ${daemon.logs()}`);
    const answer = await fetch(`http://127.0.0.1:${httpPort}/ready`).catch(() => undefined);
    return answer?.status === 200;
  });
  const operator = createRpcClient({ ...QUIET, connect: { unix: socket } });
  const links: ServerLink[] = [];
  const node = await attestNode(operator, port);
  return {
    operator,
    nodeId: node.nodeId,
    connect() {
      const link = node.connect();
      links.push(link);
      return link;
    },
    attest: node.attest,
    cpuUs: () => cpuOfProcessUs(daemon.pid),
    async stop() {
      await Promise.all(links.map((link) => link.close()));
      await operator.close();
      await daemon.end('SIGTERM');
      rmSync(folder, { recursive: true, force: true });
      guard.kill('SIGKILL');
    },
  };
}

async function attestNode(operator: RpcClient, port: number) {
  const options = { signal: NEVER, timeoutMs: 30_000 };
  const { value: token } = await operator.unary(Agent.method.createJoinToken, { ttl: 600 }, options);
  const bundle = toBundle(await operator.unary(Bundle.method.getBundle, {}, options));
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const csrDer = buildCertificateRequest({
    privateKey,
    publicKeyDer: publicKey.export({ format: 'der', type: 'spki' }),
  });
  let identity: { chainDer: readonly Buffer[]; keyDer: Buffer } | undefined;
  const connect = () =>
    createServerLink({
      ...QUIET,
      config: { serverAddress: { host: '127.0.0.1', port }, trustDomain: parseTrustDomain('example.org') },
      serverClock: createPeerClock(QUIET.clock),
      trusted: () => bundle.x509Authorities,
      identity: () => identity,
    });
  const attest = async (shown: string) => {
    const link = connect();
    const proof = { payload: Buffer.from(shown), answer: () => Promise.reject(new Error('a join token asks nothing')) };
    try {
      return (await link.attest({ type: 'join_token', proof, csrDer }, NEVER)).svid;
    } finally {
      await link.close();
    }
  };
  const svid = await attest(token);
  identity = {
    chainDer: svid.certChain.map((der) => Buffer.from(der)),
    keyDer: privateKey.export({ format: 'der', type: 'pkcs8' }),
  };
  return {
    nodeId: `/spire/agent/join_token/${token}`,
    connect,
    attest: async (shown: string) => void (await attest(shown)),
  };
}

export const NEVER: AbortSignal = new AbortController().signal;
export const QUIET = { clock: createSystemClock(), log: createSilentLog() };
const EXECUTABLE = join(import.meta.dirname, '../../bin/countersign.js');
