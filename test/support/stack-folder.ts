/** The files of a test's stack: who owns what, and the configuration that all roles read. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { stringify } from 'yaml';
import { freePorts, othersMayEnter, type User } from './processes.ts';

export type RoleName = 'server' | 'agent' | 'gateway';
export const ROLES: readonly RoleName[] = ['server', 'agent', 'gateway'];

/** Users of a stack. As another user than root everything runs as that user. */
export interface Users {
  readonly separate: boolean;
  readonly server: User;
  readonly agent: User;
  readonly gateway: User;
  /** A workload with an entry: `spiffe://example.org/web`. */
  readonly web: User;
  /** Another workload with an entry: `spiffe://example.org/batch`. */
  readonly batch: User;
  /** A user without an entry. */
  readonly stranger: User;
}

export function stackUsers(): Users {
  const separate = process.getuid?.() === 0 && othersMayEnter(path.join(import.meta.dirname, '../..'));
  const uid = (number: number): User => (separate ? number : undefined);
  return {
    separate,
    server: uid(12_101),
    agent: uid(12_102),
    gateway: uid(12_103),
    web: uid(12_111),
    batch: uid(12_112),
    stranger: uid(12_119),
  };
}

export interface StackFolder {
  readonly path: string;
  readonly config: string;
  readonly pids: string;
  readonly workloadApi: string;
  readonly targets: string;
  /** Names the agent that serves. */
  readonly agentPid: string;
  readonly operatorSocket: string;
  /** Where the server has REST: its local socket, and its address over TLS, which knows it by the name localhost too. */
  readonly apiSocket: string;
  readonly api: string;
  readonly trustBundle: string;
  readonly joinToken: string;
  readonly storeUrl: string;
  /** Files of the passphrases, where the stack has them. */
  readonly passphrases: Readonly<Record<'server' | 'agent', string>>;
  /** Data folder of each role. */
  readonly data: Readonly<Record<RoleName, string>>;
  /** Where each role answers /ready. */
  readonly http: Readonly<Record<RoleName, string>>;
  readonly directPort: number;
  log(role: RoleName): string;
  /** A new folder below this one that only that user may enter. */
  privateFolder(name: string, user: User): string;
  /** Writes a file that only that user may read. */
  privateFile(file: string, text: string, user: User): void;
}

/** Makes the folders and writes the configuration. */
export async function createStackFolder(options: {
  users: Users;
  store: 'postgres' | 'sqlite';
  gatewayData: string | undefined;
  settings: Partial<Record<RoleName, Readonly<Record<string, unknown>>>>;
  passphrases: boolean;
}): Promise<StackFolder> {
  const { users } = options;
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-stack-'));
  fs.chmodSync(root, 0o755);
  const folder = (name: string, mode: number, user: User) => {
    const made = path.join(root, name);
    fs.mkdirSync(made, { mode });
    fs.chmodSync(made, mode);
    if (user !== undefined) fs.chownSync(made, user, user);
    return made;
  };
  const pids = folder('pids', 0o700, undefined);
  const logs = folder('logs', 0o700, undefined);
  const homes = Object.fromEntries(ROLES.map((role) => [role, folder(role, 0o755, users[role])]));
  const inHome = (role: RoleName, name: string) => path.join(homes[role] ?? root, name);
  const [serverPort, gatewayPort, directPort, apiPort, ...httpPorts] = await freePorts(7);
  const address = (port: number | undefined) => `127.0.0.1:${port ?? 0}`;
  const http = { server: address(httpPorts[0]), agent: address(httpPorts[1]), gateway: address(httpPorts[2]) };
  const made: StackFolder = {
    path: root,
    config: path.join(root, 'countersign.yaml'),
    pids,
    workloadApi: inHome('agent', 'agent.sock'),
    targets: inHome('agent', 'targets'),
    agentPid: inHome('agent', 'agent.pid'),
    operatorSocket: inHome('server', 'server.sock'),
    apiSocket: inHome('server', 'api.sock'),
    api: address(apiPort),
    trustBundle: path.join(root, 'bundle.pem'),
    joinToken: inHome('agent', 'join-token'),
    storeUrl: inHome('server', 'store-url'),
    passphrases: { server: inHome('server', 'passphrase'), agent: inHome('agent', 'passphrase') },
    data: {
      server: inHome('server', 'data'),
      agent: inHome('agent', 'data'),
      gateway: options.gatewayData ?? inHome('gateway', 'data'),
    },
    http,
    directPort: directPort ?? 0,
    log: (role) => path.join(logs, `${role}.log`),
    privateFolder: (name, user) => folder(name, 0o700, user),
    privateFile(file, text, user) {
      fs.writeFileSync(file, text, { mode: 0o600 });
      if (user !== undefined) fs.chownSync(file, user, user);
    },
  };
  const config = {
    trustDomain: 'example.org',
    server: {
      listen: address(serverPort),
      socket: made.operatorSocket,
      dataDir: made.data.server,
      http: http.server,
      api: { listen: address(apiPort), dnsName: 'localhost' },
      store: options.store === 'sqlite' ? { sqlite: {} } : { postgres: { url: `file:${made.storeUrl}` } },
      ...(options.passphrases ? { keystore: { disk: { passphrase: `file:${made.passphrases.server}` } } } : {}),
      ...options.settings.server,
    },
    agent: {
      server: address(serverPort),
      trustBundle: made.trustBundle,
      joinToken: `file:${made.joinToken}`,
      socket: made.workloadApi,
      targetsDir: made.targets,
      pidFile: made.agentPid,
      dataDir: made.data.agent,
      http: http.agent,
      // Only root, or CAP_SYS_PTRACE, may look at the executables of other users' processes.
      workloadAttestors: { unix: { discoverPath: !users.separate } },
      ...(options.passphrases ? { sealPassphrase: `file:${made.passphrases.agent}` } : {}),
      ...options.settings.agent,
    },
    gateway: {
      server: address(serverPort),
      workloadApi: made.workloadApi,
      listen: address(gatewayPort),
      dataDir: made.data.gateway,
      http: http.gateway,
      ...options.settings.gateway,
    },
  };
  fs.writeFileSync(made.config, stringify(config), { mode: 0o644 });
  return made;
}
