import { chmodSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Agent, Entry } from '@countersign/sdk/contract';
import { Value } from 'typebox/value';
import { type AgentConfig, configSchema, type GatewayConfig, type ServerConfig } from '../config/index.ts';
import { openPrivateFolder, openSharedFolder } from '../private-files/index.ts';
import { createRpcClient } from '../rpc/index.ts';
import { assert, type Clock, type Log, type Random, stopAll } from '../std/index.ts';
import { encodePem } from '../wire/x509/index.ts';
import { createAgentApp } from './agent.ts';
import { createGatewayApp } from './gateway.ts';
import { memberSchemas } from './members.ts';
import type { Role } from './role.ts';
import { createServerApp } from './server.ts';

/** Where a `dev` keeps what people use. */
export interface DevPaths {
  readonly directory: string;
  /** A configuration file that the other commands can be given with --config. */
  readonly config: string;
  readonly serverSocket: string;
  readonly workloadApi: string;
  readonly targetsDir: string;
  readonly gatewayData: string;
}

/** Server, agent and gateway in one process, talking as they would between machines (decision 0001). */
export interface DevRole extends Role {
  readonly paths: DevPaths;
}

/**
 * Creates a `dev` in `directory`, which it makes; what was there before goes on. The gateway is this process itself: its entry names the
 * user and the program, so another program of the same user is another identity.
 */
export function createDevApp(deps: {
  directory: string;
  trustDomain: string;
  env: Readonly<Record<string, string | undefined>>;
  clock: Clock;
  random: Random;
  log: Log;
}): DevRole {
  const paths = pathsIn(resolve(deps.directory));
  const role = { ...deps };
  const running: Role[] = [];
  const begin = async (next: Role, signal: AbortSignal) => {
    running.push(next);
    await next.start(signal);
  };
  return {
    paths,
    notReady: () => (running.length === 3 ? running.flatMap((one) => one.notReady()) : ['starting']),
    // One after the other: the gateway and the agent let sessions finish, the server calls.
    get graceMs() {
      return running.reduce((sum, one) => sum + one.graceMs, 0);
    },
    failure: () => running.map((one) => one.failure()).find((failure) => failure !== undefined),
    async start(signal) {
      // Before anything is written: what lies there may have been put there by somebody else.
      openSharedFolder(paths.directory);
      openSharedFolder(join(paths.directory, 'run'));
      for (const name of ['data', 'operator']) openPrivateFolder(join(paths.directory, name));
      chmodSync(paths.directory, 0o755);
      const section = defaults(deps.trustDomain, paths);
      // Its agent is given the bundle anew below, so nobody is left behind by keys that are lost.
      const server = await createServerApp({ ...role, config: section.server, acceptLoss: true });
      await begin(server, signal);
      const address = server.address();
      const serverAddress = `${address.host}:${address.port}`;
      writeFileSync(
        join(paths.directory, 'bundle.pem'),
        server.authority
          .bundle()
          .x509Authorities.map(({ der }) => encodePem('CERTIFICATE', der))
          .join(''),
        { mode: 0o644 },
      );
      writeFileSync(paths.config, configText(deps.trustDomain, paths, serverAddress), { mode: 0o644 });
      chmodSync(paths.config, 0o644); // One that was there keeps its mode, and commands refuse one that others may write.
      const token = await prepare(paths, deps, signal);
      writeFileSync(join(paths.directory, 'data/join-token'), token, { mode: 0o600 });
      await begin(createAgentApp({ ...role, config: { ...section.agent, server: serverAddress } }), signal);
      await begin(await createGatewayApp({ ...role, config: { ...section.gateway, server: serverAddress } }), signal);
    },
    stop: () => stopAll(running),
  };
}

/** As the operator: a join token for the agent, the alias of all nodes, the gateway's own entry. */
async function prepare(
  paths: DevPaths,
  deps: { trustDomain: string; clock: Clock; log: Log },
  signal: AbortSignal,
): Promise<string> {
  const client = createRpcClient({ clock: deps.clock, log: deps.log, connect: { unix: paths.serverSocket } });
  const options = { signal, timeoutMs: 10_000 };
  const id = (path: string) => ({ trustDomain: deps.trustDomain, path });
  const unix = (value: string) => ({ type: 'unix', value });
  try {
    // The node's own id follows from its token; a node that is there already keeps its id, and the gateway its entry.
    const token = (await client.unary(Agent.method.createJoinToken, { ttl: 60 }, options)).value;
    await client.unary(
      Entry.method.batchCreateEntry,
      {
        entries: [
          {
            id: 'countersign-nodes',
            spiffeId: id('/countersign/nodes'),
            parentId: id('/spire/server'),
            selectors: [{ type: 'countersign', value: 'node:attested' }],
          },
          {
            id: 'countersign-gateway',
            spiffeId: id('/countersign/gateway'),
            parentId: id(`/spire/agent/join_token/${token}`),
            selectors: [unix(`uid:${process.getuid?.() ?? 0}`), unix(`path:${process.execPath}`)],
          },
        ],
      },
      options,
    );
    return token;
  } finally {
    await client.close();
  }
}

function pathsIn(directory: string): DevPaths {
  return {
    directory,
    config: join(directory, 'countersign.yaml'),
    serverSocket: join(directory, 'operator/server.sock'),
    workloadApi: join(directory, 'run/agent.sock'),
    targetsDir: join(directory, 'run/targets'),
    gatewayData: join(directory, 'data/gateway'),
  };
}

/** The three sections with all their defaults, as a configuration file would give them. */
function defaults(
  trustDomain: string,
  paths: DevPaths,
): { server: ServerConfig; agent: AgentConfig; gateway: GatewayConfig } {
  const data = (role: string) => join(paths.directory, 'data', role);
  const filled: unknown = Value.Default(configSchema(memberSchemas), {
    trustDomain,
    server: {
      ...{ listen: '127.0.0.1:0', socket: paths.serverSocket, dataDir: data('server') },
      // For browsers of this machine.
      // A host of its own for browsers: cookies of `localhost` go to whatever listens at any port of it, and any such may plant some.
      api: { listen: '127.0.0.1:0', dnsName: 'countersign.localhost' },
    },
    agent: {
      trustBundle: join(paths.directory, 'bundle.pem'),
      joinToken: `file:${data('join-token')}`,
      socket: paths.workloadApi,
      targetsDir: paths.targetsDir,
      dataDir: data('agent'),
    },
    gateway: { workloadApi: paths.workloadApi, listen: '127.0.0.1:0', dataDir: paths.gatewayData },
  });
  const sections = filled as { server?: ServerConfig; agent?: AgentConfig; gateway?: GatewayConfig }; // The schema's own shape.
  assert(sections.server && sections.agent && sections.gateway, 'all sections were given');
  return { server: sections.server, agent: sections.agent, gateway: sections.gateway };
}

function configText(trustDomain: string, paths: DevPaths, serverAddress: string): string {
  const text = (value: string) => JSON.stringify(value); // JSON is YAML, whatever is in a path.
  return `# Written by countersign dev, for the other commands: name this file with --config.
trustDomain: ${trustDomain}
server: { listen: ${text(serverAddress)}, socket: ${text(paths.serverSocket)}, dataDir: ${text(join(paths.directory, 'data/server'))} }
agent: { server: ${text(serverAddress)}, socket: ${text(paths.workloadApi)}, targetsDir: ${text(paths.targetsDir)}, dataDir: ${text(join(paths.directory, 'data/agent'))} }
gateway: { server: ${text(serverAddress)}, workloadApi: ${text(paths.workloadApi)}, dataDir: ${text(paths.gatewayData)} }
`;
}
