/** Debian's pgbouncer as the peer: session mode, SCRAM to the server, clients by trust, with or without TLS to them. */
import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';
import { eventually } from '../../test/support/eventually.ts';
import type { User } from '../../test/support/processes.ts';

export interface PgbouncerOptions {
  /** An empty folder that `user` owns. */
  readonly folder: string;
  /** Never root: pgbouncer refuses it. */
  readonly user: User;
  readonly port: number;
  readonly server: {
    readonly port: number;
    readonly database: string;
    readonly user: string;
    readonly password: string;
  };
  /** PEM files that `user` may read. With them clients must use TLS and show a certificate of that authority. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca: string };
}

export interface Pgbouncer {
  readonly pid: number;
  readonly port: number;
  stop(): void;
}

/** Starts one and waits until it listens. */
export async function startPgbouncer(options: PgbouncerOptions): Promise<Pgbouncer> {
  const { folder, user, port, server, tls } = options;
  const file = (name: string, text: string) => {
    const made = path.join(folder, name);
    fs.writeFileSync(made, text, { mode: 0o600 });
    if (user !== undefined) fs.chownSync(made, user, user);
    return made;
  };
  const users = file('users.txt', `"${server.user}" "${server.password}"\n`);
  const config = [
    '[databases]',
    `${server.database} = host=127.0.0.1 port=${server.port}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = trust',
    `auth_file = ${users}`,
    'pool_mode = session',
    `max_client_conn = ${CONNECTIONS_MAX}`,
    `default_pool_size = ${CONNECTIONS_MAX}`,
    'ignore_startup_parameters = extra_float_digits',
    'server_tls_sslmode = disable',
    ...(tls === undefined
      ? ['client_tls_sslmode = disable']
      : [
          'client_tls_sslmode = verify-ca',
          `client_tls_cert_file = ${tls.cert}`,
          `client_tls_key_file = ${tls.key}`,
          `client_tls_ca_file = ${tls.ca}`,
        ]),
    'log_connections = 0',
    'log_disconnections = 0',
    '',
  ];
  // Through a shell, since each client is two sockets and the usual limit is 1,024.
  const args = [
    '-c',
    'ulimit -n "$(ulimit -H -n)"; exec pgbouncer "$1"',
    'pgbouncer',
    file('pgbouncer.ini', config.join('\n')),
  ];
  const child = spawn('/bin/sh', args, {
    ...(user === undefined ? {} : { uid: user, gid: user }),
    cwd: '/',
    env: { PATH: '/usr/sbin:/usr/bin:/bin' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-LOG_KEPT);
  });
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  await eventually(`pgbouncer listens on ${port}`, () => refuseDead(child, () => log) && answers(port));
  return {
    port,
    pid: child.pid ?? 0,
    stop() {
      kill();
      process.off('exit', kill);
    },
  };
}

function refuseDead(child: ChildProcess, log: () => string): true {
  if (child.exitCode !== null) throw new Error(`pgbouncer ended with ${child.exitCode}: ${log()}`);
  return true;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect(port, '127.0.0.1');
    probe.once('connect', () => resolve(true)).once('error', () => resolve(false));
    probe.once('connect', () => probe.destroy());
  });
}

/** More than any case opens. */
const CONNECTIONS_MAX = 1100;
const LOG_KEPT = 4000;
