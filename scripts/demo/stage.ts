import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { shellWord } from '../../src/cli/terminal/shell-word.ts';
import { createWatch } from '../../test/support/canaries/watch.ts';
import { startPostgres, type TestPostgres } from '../../test/support/postgres.ts';
import { API_POLICY, type Api, apiTarget, startApi } from './api.ts';
import { invitation } from './invitation.ts';
import { type Shown, StepFailed } from './teller.ts';

/** Somebody who runs programs on this machine: the client with an entry, or a stranger without one. */
export interface Person {
  readonly name: string;
  readonly uid: number;
  /** The program that the person runs; for the tour's scripts, a Node of the person's own. */
  readonly node: string;
}

/** Everything that the tour needs, running. */
export interface Stage extends Shown {
  readonly directory: string;
  readonly targetSocketDir: string;
  readonly apiSocketDir: string;
  readonly password: string;
  readonly client: Person;
  readonly stranger: Person;
  readonly postgres: TestPostgres;
  readonly api: Api;
  /** Runs the command line; resolves to what it printed. Never throws for its exit code. */
  countersign(args: readonly string[], input?: string): Promise<Output>;
  /** Runs one of the tour's scripts as that person, who has no credential. */
  runAs(person: Person, script: string, args: readonly string[], input?: string): Promise<Output>;
  invitation(): readonly string[];
  logs(): string;
  close(): Promise<void>;
}

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Boots PostgreSQL with a small shop, an API, and `countersign dev`. */
export async function createStage(): Promise<Stage> {
  checkPlace();
  const directory = mkdtempSync(join(tmpdir(), 'countersign-demo-'));
  chmodSync(directory, 0o755);
  const password = randomBytes(18).toString('base64url');
  // Where a run of everything collects what it made up, to look for it in all that is left at the end.
  const canaries = createWatch({ registry: process.env['CANARY_REGISTRY'], traces: false });
  canaries.add({ name: 'password of the demo', value: password, may: [] });
  const api = await startApi();
  canaries.add({ name: 'key of the API of the demo', value: api.key, may: [] });
  const postgres = await startPostgres({ users: { shop_app: password }, databases: ['shop'] });
  await postgres.query(SHOP, [], 'shop');
  const home = join(directory, 'home');
  const [client, stranger] = people(directory);
  const dev = await startDev(home);
  const config = join(home, 'countersign.yaml');
  const command = join(directory, 'cs');
  const words = [process.execPath, EXECUTABLE, '--config', config].map(shellWord).join(' ');
  writeFileSync(command, `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
  const stage: Stage = {
    directory,
    targetSocketDir: join(home, 'run/targets/shop'),
    apiSocketDir: join(home, 'run/targets/api'),
    ...{ password, client, stranger, postgres, api },
    countersign: (args, input) =>
      output(spawn(command, args, { cwd: directory, env: { ...process.env, COLUMNS } }), input),
    runAs: (person, script, args, input) =>
      output(
        spawn(person.node, [join(import.meta.dirname, script), ...args], {
          cwd: '/',
          ...(person.uid === process.getuid?.() ? {} : { uid: person.uid, gid: person.uid }),
          env: { PATH: process.env['PATH'] ?? '' },
        }),
        input,
      ),
    invitation: () =>
      invitation({
        ...{ directory, command, targetSocketDir: join(home, 'run/targets/shop'), hasPsql: psqlPath() !== undefined },
        orders:
          client.node === process.execPath
            ? { uid: client.uid }
            : { node: client.node, script: join(import.meta.dirname, 'client.ts') },
      }),
    logs: dev.logs,
    async close() {
      await dev.stop();
      await api.close();
      await postgres.stop();
      rmSync(directory, { recursive: true, force: true });
    },
    lines: [
      `PostgreSQL ${await version(postgres)} holds a table customers; the role shop_app, with a random password, may do anything to it.`,
      'An HTTP API wants a random key with each request. Nobody but the gateway will have the password and the key.',
    ],
    facts: { directory },
  };
  return stage;
}

/**
 * As root, two users of their own. Otherwise one user runs two programs: each is a copy (a hard link where it can be) of Node under another
 * path, which the agent tells apart as well.
 */
function people(directory: string): [Person, Person] {
  const uid = process.getuid?.() ?? 0;
  if (uid === 0 && canRunAs(CLIENT_UID)) {
    return [
      { name: 'client', uid: CLIENT_UID, node: process.execPath },
      { name: 'stranger', uid: STRANGER_UID, node: process.execPath },
    ];
  }
  const own = (name: string): Person => {
    const node = join(directory, `${name}-node`);
    try {
      linkSync(process.execPath, node);
    } catch {
      copyFileSync(process.execPath, node); // Another file system.
    }
    return { name, uid, node };
  };
  return [own('client'), own('stranger')];
}

/** Whether that user may run Node and read the tour's scripts: not where the checkout lies in a private folder. */
function canRunAs(uid: number): boolean {
  return (
    spawnSync(process.execPath, ['--check', join(import.meta.dirname, 'client.ts')], { cwd: '/', uid, gid: uid })
      .status === 0
  );
}

async function startDev(home: string): Promise<{ stop(): Promise<void>; logs(): string }> {
  mkdirSync(home, { mode: 0o755 }); // Whatever the umask: it refuses a folder that others may write.
  const child = spawn(process.execPath, [EXECUTABLE, 'dev', '--dir', home, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  child.stderr.on('data', (chunk) => {
    text += chunk;
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const deadlineMs = performance.now() + START_MS_MAX;
  while (!text.includes('"state":"running"')) {
    if (child.exitCode !== null || performance.now() > deadlineMs) {
      child.kill('SIGKILL');
      throw new Error(`countersign dev did not start:\n${text}`);
    }
    await delay(20);
  }
  return {
    logs: () => text,
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** The resources of the tour, as an operator would write them. */
export function writeResources(stage: Stage): string {
  const folder = join(stage.directory, 'resources');
  mkdirSync(folder, { recursive: true });
  const own = (person: Person) =>
    JSON.stringify([
      `unix:uid:${person.uid}`,
      ...(person.node === process.execPath ? [] : [`unix:path:${realpathSync(person.node)}`]),
    ]);
  const you = process.getuid?.() ?? 0;
  const psql = stage.client.node === process.execPath ? undefined : psqlPath();
  writeFileSync(
    join(folder, 'shop.yaml'),
    `kind: Target
name: shop
spec:
  protocol: postgres
  host: ${stage.postgres.host}
  port: ${stage.postgres.port}
  database: shop
  user: shop_app
  password: keystore:shop-password
---
kind: Entry
name: orders-service
spec:
  spiffeId: spiffe://example.org/orders
  selectors: ${own(stage.client)}
---
kind: Entry
name: you
spec:
  spiffeId: spiffe://example.org/you
  selectors: ${JSON.stringify([`unix:uid:${you}`, ...(stage.client.node === process.execPath ? [] : [`unix:path:${psql ?? '/usr/bin/psql'}`])])}
`,
  );
  writeFileSync(join(folder, 'shop.cedar'), POLICY);
  writeFileSync(join(folder, 'api.yaml'), apiTarget(stage.api));
  writeFileSync(join(folder, 'api.cedar'), API_POLICY);
  return folder;
}

/** The program behind `psql`: on Debian the command is a script that starts another. */
function psqlPath(): string | undefined {
  const found = spawnSync('sh', ['-c', 'ls /usr/lib/postgresql/*/bin/psql 2>/dev/null | tail -1; command -v psql'], {
    encoding: 'utf8',
  }).stdout.split('\n')[0];
  return found ? realpathSync(found) : undefined;
}

function output(child: ChildProcess, input = ''): Promise<Output> {
  return new Promise((resolve, reject) => {
    let [stdout, stderr] = ['', ''];
    child.stdout?.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr?.on('data', (chunk) => {
      stderr += chunk;
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
    child.stdin?.on('error', () => {}); // A child that does not read its input says so by its exit code.
    child.stdin?.end(input);
  });
}

/** What PostgreSQL and Unix sockets ask of a machine, said before anything is made. */
function checkPlace(): void {
  try {
    userInfo();
  } catch {
    throw new StepFailed(
      `PostgreSQL runs only for a user with a name, and user ${process.getuid?.()} has no line in /etc/passwd`,
    );
  }
  if (tmpdir().length > TMPDIR_CHARS_MAX)
    throw new StepFailed(`the path of a socket would be too long below ${tmpdir()}; set TMPDIR to a shorter one`);
}

async function version(postgres: TestPostgres): Promise<string> {
  const [row] = await postgres.query('show server_version');
  return String(row?.['server_version'] ?? '');
}

const EXECUTABLE = join(import.meta.dirname, '../../bin/countersign.js');
/** Of 80, behind the indent of what is shown. */
const COLUMNS = '77';
const CLIENT_UID = 12001;
const STRANGER_UID = 12002;
const START_MS_MAX = 30_000;
/** A socket's path has at most 107 bytes; ours add some 60 to the folder's. */
const TMPDIR_CHARS_MAX = 45;

const SHOP = `
create table customers (id int primary key, name text not null, ssn text not null, city text);
insert into customers values (1, 'Ada Lovelace', '123-45-6789', 'London'), (2, 'Grace Hopper', '987-65-4321', 'New York');
grant all on customers to shop_app;
`;

const POLICY = `// Who may do what to the shop. Everything else is refused.
@id("services-connect")
permit(
  principal in TrustDomain::"example.org",
  action == Action::"postgres:connect",
  resource in Target::"shop"
);

@id("customers-without-ssn")
@mask("ssn:redact")
@limit("rows=1000")
permit(
  principal in TrustDomain::"example.org",
  action == Action::"postgres:select",
  resource == Postgres::Table::"shop/shop/public/customers"
);
`;
