/**
 * The whole product for a test: a real PostgreSQL as the target, the store in another of its databases (or SQLite), and server, agent and
 * gateway as three processes of `bin/countersign.js`, as root each under a user of its own.
 *
 * `await using stack = await startStack();` Everything is gone when the test process is, however it ended.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { Agent, Bundle } from '@countersign/sdk/contract';
import { stringify } from 'yaml';
import { createDirectoryReader, type LedgerEntry } from '../../src/ledger/index.ts';
import { createRpcClient } from '../../src/rpc/index.ts';
import { createSilentLog, createSystemClock } from '../../src/std/index.ts';
import { encodePem } from '../../src/wire/x509/index.ts';
import { createStackCanaries, expectNoLeak, type StackCanaries, seedCanaries } from './canaries/stack-canaries.ts';
import { createSecrets, type SecretName, watchSecrets } from './canaries/stack-secrets.ts';
import { eventually } from './eventually.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';
import { createDaemon, type Daemon, type Finished, type RunOptions, run, spawnGuard, type User } from './processes.ts';
import { psqlBinary } from './psql.ts';
import { createStackFolder, ROLES, type RoleName, type StackFolder, stackUsers, type Users } from './stack-folder.ts';

export interface StackOptions {
  readonly store?: 'postgres' | 'sqlite';
  /**
   * SQL for the target's database `shop`, run as its superuser (the DBA) before anything else. `%MASKED%` stands for a random value that no
   * policy of the test shows to anyone; so are all words in it that contain `canary-`.
   */
  readonly seed?: string;
  /** Policies by name, in Cedar. By default `web` may do everything. */
  readonly policies?: Readonly<Record<string, string>>;
  /** More keys for the section of a role. */
  readonly settings?: Partial<Record<RoleName, Readonly<Record<string, unknown>>>>;
  /** More of the environment of a role. */
  readonly env?: Partial<Record<RoleName, Readonly<Record<string, string>>>>;
  /** Where the gateway keeps its data, when not in the stack's own folder; must belong to its user. */
  readonly gatewayData?: string;
  /** Seals the server's keystore and the agent's state under passphrases, from files. */
  readonly passphrases?: boolean;
  /** False: nobody looks for its secrets when it ends; for one that a bench keeps its own secrets beside. */
  readonly isSearched?: boolean;
  /** More keys for the target `shop`. */
  readonly target?: Readonly<Record<string, unknown>>;
  /** Is told PostgreSQL's own port, and says by which one the server is to reach its store. */
  readonly storePort?: (own: number) => number;
}

/** One role: a process that can be ended in all ways and started again. */
export interface StackRole extends Daemon {
  /** Resolves once /ready says yes. Fails at once, with the log, when the process has ended. */
  ready(withinMs?: number): Promise<void>;
  /** What /ready answers now. */
  readiness(): Promise<{ status: number; reasons: readonly string[] }>;
}

export interface Stack extends AsyncDisposable {
  readonly users: Users;
  readonly folder: StackFolder;
  readonly postgres: TestPostgres;
  readonly roles: Readonly<Record<RoleName, StackRole>>;
  /** Passwords of target and store, a join token never used, passphrases, and masked rows: they must be seen nowhere else. */
  readonly secrets: Readonly<Record<SecretName, string>>;
  /** Looks for them; what it finds makes `stop` fail. */
  readonly canaries: StackCanaries;
  /** Folder of the agent's socket of the target `shop`, for PGHOST. */
  readonly socketDir: string;
  /** Runs `countersign`, with the stack's configuration, as the operator unless another user is named. */
  cli(args: readonly string[], options?: RunOptions): Promise<Finished>;
  /** Runs psql with that SQL through the agent as `web`, unless told otherwise; `-X -q -A -t`, stops at the first error. */
  psql(sql: string, options?: RunOptions & { args?: readonly string[] }): Promise<Finished>;
  /** Applies resources (YAML) and policies (Cedar), by file name, and waits until the gateway works by them. */
  apply(files: Readonly<Record<string, string>>, options?: { prune?: boolean; wait?: boolean }): Promise<Finished>;
  /** All entries of a role's ledger, as they are on disk. */
  ledger(of?: 'gateway' | 'server'): Promise<readonly LedgerEntry[]>;
  /** Runs SQL on the target as its DBA, beside the gateway. */
  dba(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** Looks for secrets in everything the stack has, then ends and removes it. @throws Error naming where one was found */
  stop(): Promise<void>;
}

/** Starts a stack; resolves when all roles are ready and `web` has its socket. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const users = stackUsers();
  const store = options.store ?? 'postgres';
  const folder = await createStackFolder({
    ...{ users, store, gatewayData: options.gatewayData, settings: options.settings ?? {} },
    passphrases: options.passphrases ?? false,
  });
  const guard = spawnGuard(folder.path, folder.pids);
  const secrets = createSecrets();
  const { seed, words } = seedCanaries(options.seed ?? '', secrets.masked);
  const postgres = await startTarget(secrets, seed);
  const storePort = options.storePort?.(postgres.port) ?? postgres.port;
  const storeUrl = `postgres://countersign_store:${secrets.store}@127.0.0.1:${storePort}/control?sslmode=disable`;
  folder.privateFile(folder.storeUrl, storeUrl, users.server);
  const gatewayNode = users.separate ? process.execPath : path.join(folder.path, 'gateway-node');
  if (!users.separate) fs.cpSync(process.execPath, gatewayNode);
  const env = (role: RoleName) => ({ env: options.env?.[role] ?? {} });
  const roles = {
    server: createRole('server', folder, { user: users.server, node: process.execPath, ...env('server') }),
    agent: createRole('agent', folder, { user: users.agent, node: process.execPath, ...env('agent') }),
    gateway: createRole('gateway', folder, { user: users.gateway, node: gatewayNode, ...env('gateway') }),
  };
  const canaries = createStackCanaries({ folder, postgres, roles });
  watchSecrets(canaries, { secrets, folder, rows: words, rowsIn: postgres.dataDir });
  if (options.passphrases) {
    folder.privateFile(folder.passphrases.server, secrets.keystorePassphrase, users.server);
    folder.privateFile(folder.passphrases.agent, secrets.agentPassphrase, users.agent);
  }
  const tools = createTools({ users, folder, roles, canaries });
  const remove = async () => {
    await Promise.all(ROLES.map((role) => roles[role].end('SIGKILL')));
    await postgres.stop();
    fs.rmSync(folder.path, { recursive: true, force: true });
    guard.kill('SIGKILL');
  };
  let stopped: Promise<void> | undefined;
  const stop = () => {
    // Removed even when something was found.
    stopped ??= (options.isSearched === false ? Promise.resolve() : canaries.lookAtAll().then(expectNoLeak)).finally(
      remove,
    );
    return stopped;
  };
  try {
    roles.server.start();
    const secretCommand = tools.cli(['target', 'secret', 'shop-password'], {
      user: users.gateway,
      stdin: `${secrets.target}\n`,
    });
    expectOk('target secret', await secretCommand);
    await roles.server.ready();
    secrets.joinToken = await enrol(folder, users);
    canaries.add({ name: 'join token', value: secrets.joinToken, may: [] });
    roles.agent.start();
    roles.gateway.start();
    expectOk('apply', await tools.apply(declared({ options, users, folder, gatewayNode, port: postgres.port })));
    await Promise.all([roles.agent.ready(), roles.gateway.ready()]);
    await eventually('the socket of the target', () => fs.existsSync(path.join(tools.socketDir, '.s.PGSQL.5432')));
  } catch (error) {
    const logs = ROLES.map((role) => `--- ${role}\n${roles[role].logs()}`).join('\n');
    await remove();
    throw new Error(`the stack did not start: ${error instanceof Error ? error.message : String(error)}\n${logs}`, {
      cause: error,
    });
  }
  return {
    ...tools,
    ...{ users, folder, postgres, roles, secrets, canaries, stop },
    dba: (sql) => postgres.query(sql, [], 'shop'),
    [Symbol.asyncDispose]: stop,
  };
}

/** Policies that let `web` do whatever the protocol knows. */
export const ALLOW_ALL = `@id("web-all")
permit(principal == Identity::"spiffe://example.org/web", action in Action::"postgres:any", resource in Target::"shop");`;

async function startTarget(secrets: { target: string; store: string }, seed: string): Promise<TestPostgres> {
  const postgres = await startPostgres({
    users: { shop_app: secrets.target, countersign_store: secrets.store },
    databases: ['shop', 'control'],
  });
  await postgres.query('alter database control owner to countersign_store');
  await postgres.query(`grant create on schema public to shop_app; ${seed}`, [], 'shop');
  return postgres;
}

function createRole(
  name: RoleName,
  folder: StackFolder,
  options: { user: User; node: string; env: Readonly<Record<string, string>> },
): StackRole {
  return createRoleAt(folder.http[name], {
    ...{ name, file: options.node, args: [EXECUTABLE, name, '--config', folder.config] },
    ...{ user: options.user, env: options.env, logFile: folder.log(name), pidFile: path.join(folder.pids, name) },
  });
}

/** A role that answers /ready at that address. */
export function createRoleAt(http: string, options: Parameters<typeof createDaemon>[0]): StackRole {
  const { name } = options;
  const daemon = createDaemon(options);
  const readiness = async () => {
    const response = await fetch(`http://${http}/ready`, { signal: AbortSignal.timeout(2000) });
    const body: unknown = await response.json();
    const reasons = typeof body === 'object' && body !== null && 'reasons' in body ? body.reasons : [];
    return { status: response.status, reasons: Array.isArray(reasons) ? reasons.map(String) : [] };
  };
  return {
    start: daemon.start,
    end: daemon.end,
    signal: daemon.signal,
    logs: daemon.logs,
    runLogs: daemon.runLogs,
    get pid() {
      return daemon.pid;
    },
    get exitCode() {
      return daemon.exitCode;
    },
    readiness,
    async ready(withinMs = 120_000) {
      let seen = 'no answer';
      const failure = (cause?: unknown) =>
        new Error(`${name} is not ready (${daemon.exitCode ?? seen}):\n${daemon.logs().slice(-LOG_SHOWN)}`, { cause });
      const look = async () => {
        if (daemon.exitCode !== undefined) return true;
        const { status, reasons } = await readiness();
        seen = `${status} ${reasons.join('; ')}`;
        return status === 200;
      };
      await eventually(`${name} is ready`, look, { withinMs }).catch((cause) => {
        throw failure(cause);
      });
      if (daemon.exitCode !== undefined) throw failure();
    },
  };
}

/**
 * As the operator: the bundle for the agent's first contact, and its join token. Resolves to another token, which nobody uses: a used one is
 * part of its node's SPIFFE ID, and no secret.
 */
async function enrol(folder: StackFolder, users: Users): Promise<string> {
  const client = createRpcClient({
    clock: createSystemClock(),
    log: createSilentLog(),
    connect: { unix: folder.operatorSocket },
  });
  const options = { signal: new AbortController().signal, timeoutMs: 10_000 };
  try {
    const bundle = await client.unary(Bundle.method.getBundle, {}, options);
    const pem = bundle.x509Authorities.map(({ asn1 }) => encodePem('CERTIFICATE', Buffer.from(asn1))).join('');
    fs.writeFileSync(folder.trustBundle, pem, { mode: 0o644 });
    const { value } = await client.unary(
      Agent.method.createJoinToken,
      { ttl: 60, agentId: { trustDomain: 'example.org', path: NODE_PATH } },
      options,
    );
    folder.privateFile(folder.joinToken, value, users.agent);
    return (await client.unary(Agent.method.createJoinToken, { ttl: SPARE_TOKEN_TTL_SECONDS }, options)).value;
  } finally {
    await client.close();
  }
}

/** Alias of the stack's one node: an entry of a gateway must name its node. */
const NODE_PATH = '/node/first';

/** The entries, the target `shop` and the policies that every stack begins with. */
function declared(from: {
  options: StackOptions;
  users: Users;
  folder: StackFolder;
  gatewayNode: string;
  port: number;
}): Record<string, string> {
  const { options, users, folder, gatewayNode, port } = from;
  const own = process.getuid?.() ?? 0;
  const entry = (name: string, identity: string, selectors: readonly string[], more: object = {}) => ({
    ...{ kind: 'Entry', name, spec: { spiffeId: `spiffe://example.org${identity}`, selectors, ...more } },
  });
  const uid = (user: number | undefined) => `unix:uid:${user ?? own}`;
  const gateway = { dnsNames: [GATEWAY_NAME], parentId: `spiffe://example.org${NODE_PATH}` };
  const entries = users.separate
    ? [
        entry('gateway', '/countersign/gateway', [uid(users.gateway)], gateway),
        entry('web', '/web', [uid(users.web)]),
        entry('web-tests', '/web', [uid(own)]),
        entry('batch', '/batch', [uid(users.batch)]),
      ]
    : [
        entry('gateway', '/countersign/gateway', [uid(own), `unix:path:${gatewayNode}`], gateway),
        entry('web', '/web', [uid(own), `unix:path:${process.execPath}`]),
        entry('web-psql', '/web', [uid(own), `unix:path:${psqlBinary() ?? '/usr/bin/psql'}`]),
      ];
  const target = {
    kind: 'Target',
    name: 'shop',
    spec: {
      ...{ protocol: 'postgres', host: '127.0.0.1', port, database: 'shop', user: 'shop_app' },
      password: 'keystore:shop-password',
      listen: { host: '127.0.0.1', port: folder.directPort },
      ...options.target,
    },
  };
  const policies = Object.entries(options.policies ?? { 'web-all': ALLOW_ALL });
  return {
    'resources.yaml': [target, ...entries].map((one) => stringify(one)).join('---\n'),
    ...Object.fromEntries(policies.map(([name, text]) => [`${name}.cedar`, text])),
  };
}

/** What a test does with a running stack. */
function createTools(stack: {
  users: Users;
  folder: StackFolder;
  roles: Readonly<Record<RoleName, StackRole>>;
  canaries: StackCanaries;
}) {
  const { users, folder, roles, canaries } = stack;
  const watched = async (file: string, args: readonly string[], options: RunOptions) => {
    const finished = await run(file, args, options);
    canaries.sawRun([path.basename(file), ...args], options.env ?? {}, finished);
    return finished;
  };
  const socketDir = path.join(folder.targets, 'shop');
  let applied = 0;
  const cli: Stack['cli'] = (args, options = {}) => {
    const user = 'user' in options ? options.user : users.server;
    const cache = path.join(folder.path, `cache-${user ?? 'own'}`);
    if (!fs.existsSync(cache)) folder.privateFolder(path.basename(cache), user);
    canaries.sample();
    return watched(process.execPath, [EXECUTABLE, ...args], {
      ...options,
      user,
      // A sentence that is looked for is one line.
      env: { COUNTERSIGN_CONFIG: folder.config, NODE_COMPILE_CACHE: cache, COLUMNS: '500', ...options.env },
    });
  };
  const psql: Stack['psql'] = (sql, options = {}) =>
    watched(
      psqlBinary() ?? 'psql',
      ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', ...(options.args ?? []), '-f', '-'],
      {
        ...options,
        user: 'user' in options ? options.user : users.web,
        stdin: sql,
        env: { PGHOST: socketDir, PGUSER: 'workload', PGSSLMODE: 'disable', ...options.env },
      },
    );
  const apply: Stack['apply'] = async (files, { prune = false, wait = true } = {}) => {
    applied += 1;
    const directory = path.join(folder.path, `declared-${applied}`);
    fs.mkdirSync(directory);
    for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(directory, name), text);
    const before = updatesOf(roles.gateway);
    const finished = await cli(['apply', '-f', directory, '--yes', '--json', ...(prune ? ['--prune'] : [])]);
    if (wait && finished.code === 0 && changesRules(finished.stdout))
      await eventually('the gateway has what was applied', () => updatesOf(roles.gateway) > before);
    return finished;
  };
  const ledger: Stack['ledger'] = async (of = 'gateway') => {
    const reader = createDirectoryReader({
      clock: createSystemClock(),
      directory: path.join(folder.data[of], 'ledger'),
    });
    const entries: LedgerEntry[] = [];
    const signal = new AbortController().signal;
    for await (const entry of reader.tail({ count: 1_000_000, follow: false, signal })) entries.push(entry);
    return entries;
  };
  return { socketDir, cli, psql, apply, ledger };
}

/** The revision of targets and policies that the gateway says it works by; 0 before it was told of a target. */
function updatesOf(gateway: StackRole): number {
  const revisions = [...gateway.logs().matchAll(/"app\.gateway\.updated","revision":(\d+),"targets":[1-9]/g)];
  return Number(revisions.at(-1)?.[1] ?? 0);
}

/** True when the plan that `apply --json` printed changes a target or a policy. */
function changesRules(stdout: string): boolean {
  const report: unknown = JSON.parse(stdout);
  const changes = typeof report === 'object' && report !== null && 'changes' in report ? report.changes : [];
  return (
    Array.isArray(changes) &&
    changes.some(
      (change: { kind?: unknown; action?: unknown }) => change.kind !== 'Entry' && change.action !== 'unchanged',
    )
  );
}

function expectOk(what: string, { code, stdout, stderr }: Finished): void {
  if (code !== 0) throw new Error(`${what} ended with ${code}:\n${stdout}${stderr}`);
}

/** DNS name in the gateway's SVID, for clients that verify one. */
export const GATEWAY_NAME = 'gateway.test';
const LOG_SHOWN = 4000;
/** As long as any stack lives: once it can't be used any more a token is no secret. */
const SPARE_TOKEN_TTL_SECONDS = 86_400;
export const EXECUTABLE = path.join(import.meta.dirname, '../../bin/countersign.js');
