/** The two ways of a client to a target: through the agent's socket, and directly by TLS with the files of its SVID. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import pg from 'pg';
import { eventually } from './eventually.ts';
import { createDaemon, type Daemon } from './processes.ts';
import type { Door } from './raw-session.ts';
import { EXECUTABLE, GATEWAY_NAME, type Stack } from './stack.ts';

export interface Way {
  /** For psql: environment that leads it there. */
  readonly env: Readonly<Record<string, string>>;
  readonly door: Door;
  /** Opens a connection of node-postgres. */
  connect(more?: object): Promise<pg.Client>;
}

/** Through the agent. */
export function agentWay(stack: Stack): Way {
  const { socketDir } = stack;
  return {
    env: { PGHOST: socketDir, PGUSER: 'workload', PGSSLMODE: 'disable' },
    door: { path: path.join(socketDir, '.s.PGSQL.5432') },
    connect: (more) => open(stack, { host: socketDir, port: 5432, user: 'workload', database: 'shop', ...more }),
  };
}

/** Starts `countersign svid fetch --dir --watch` as `web`, into a folder of its own unless told another, and waits for its files. */
export async function startSvidFiles(
  stack: Stack,
  folder: string = stack.folder.privateFolder('svid-web', stack.users.web),
): Promise<{ folder: string; daemon: Daemon }> {
  stack.canaries.allowTraces(folder);
  const daemon = createDaemon({
    name: 'svid',
    file: process.execPath,
    args: [
      EXECUTABLE,
      'svid',
      'fetch',
      '--dir',
      folder,
      '--watch',
      '--pk8',
      '--workload-api',
      stack.folder.workloadApi,
    ],
    user: stack.users.web,
    env: {},
    logFile: path.join(stack.folder.path, 'svid.log'),
    pidFile: path.join(stack.folder.pids, 'svid'),
  });
  daemon.start();
  await eventually(
    'the files of the SVID',
    () => ['svid.pem', 'key.pem', 'key.pk8', 'bundle.pem'].every((name) => fs.existsSync(path.join(folder, name))),
    { withinMs: 60_000 },
  );
  return { folder, daemon };
}

/** How such a folder proves its owner to the gateway, by `node:tls`. */
export function svidFiles(folder: string) {
  const read = (name: string) => fs.readFileSync(path.join(folder, name), 'utf8');
  return { ca: read('bundle.pem'), cert: read('svid.pem'), key: read('key.pem'), servername: GATEWAY_NAME };
}

/** Directly, with those files; `negotiation` as libpq's `sslnegotiation`. */
export function directWay(stack: Stack, files: string, negotiation: 'postgres' | 'direct'): Way {
  const file = (name: string) => path.join(files, name);
  const port = stack.folder.directPort;
  const tls = svidFiles(files);
  return {
    env: {
      PGHOST: GATEWAY_NAME,
      PGHOSTADDR: '127.0.0.1',
      PGPORT: String(port),
      PGUSER: 'workload',
      PGDATABASE: 'shop',
      PGSSLMODE: 'verify-full',
      PGSSLCERT: file('svid.pem'),
      PGSSLKEY: file('key.pem'),
      PGSSLROOTCERT: file('bundle.pem'),
    },
    door: { port, tls, negotiate: negotiation === 'direct' ? 'direct' : 'request' },
    connect: (more) =>
      open(stack, {
        ...{ host: '127.0.0.1', port, user: 'workload', database: 'shop', sslnegotiation: negotiation },
        ssl: { ...tls }, // The driver hides the key in the object it is given, which a copy made later would lack.
        ...more,
      }),
  };
}

async function open(stack: Stack, config: object): Promise<pg.Client> {
  const client = new pg.Client(config);
  client.on('error', () => {}); // A connection ended from the other side rejects the query that runs; that is enough.
  // Part of the driver since it exists, but not of its types: each message of the server's, whoever waits for it.
  const { connection } = client as unknown as { connection: NodeJS.EventEmitter };
  for (const event of ['errorMessage', 'notice'])
    connection.on(event, (told: object) =>
      stack.canaries.saw(`${event} to node-postgres`, JSON.stringify({ ...told, ...messageIn(told) })),
    );
  await client.connect();
  return client;
}

/** An Error's own message, which is not put into JSON. */
function messageIn(told: object): { message?: string } {
  return told instanceof Error ? { message: told.message } : {};
}
