import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';
import { eventually } from '../../test/support/eventually.ts';
import type { User } from '../../test/support/processes.ts';

/** A server of somebody else's that runs. */
export interface Peer {
  readonly port: number;
  /** Of all its processes. */
  pids(): readonly number[];
  stop(): void;
}

export interface PeerOptions {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly user: User;
  readonly port: number;
}

/** What a peer is told of the way to it and from it. */
export interface PeerWay {
  /** An empty folder that `user` owns. */
  readonly folder: string;
  readonly user: User;
  readonly port: number;
  readonly upstreamPort: number;
  /** PEM files that `user` may read; clients must show a certificate of that authority. */
  readonly tls: { readonly cert: string; readonly key: string; readonly ca: string };
  /** Of the field Authorization that it adds. */
  readonly authorization: string;
}

/** Starts it and waits until it listens. */
export async function startPeer({ name, file, args, env, user, port }: PeerOptions): Promise<Peer> {
  const child = spawn(file, args, {
    ...(user === undefined ? {} : { uid: user, gid: user }),
    cwd: '/',
    env: { PATH: '/usr/sbin:/usr/bin:/bin', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-LOG_KEPT);
  });
  // By SIGTERM, so that it ends its workers.
  const end = () => void child.kill('SIGTERM');
  process.once('exit', end);
  await eventually(`${name} listens on ${port}`, () => {
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}: ${log}`);
    return answers(port);
  });
  const { pid = 0 } = child;
  return {
    port,
    pids: () => [pid, ...childrenOf(pid)],
    stop() {
      end();
      process.off('exit', end);
    },
  };
}

/** A file that the user may read. */
export function ownFile(folder: string, user: User, { name, text }: { name: string; text: string | Buffer }): string {
  const made = path.join(folder, name);
  fs.writeFileSync(made, text, { mode: 0o600 });
  if (user !== undefined) fs.chownSync(made, user, user);
  return made;
}

function childrenOf(pid: number): readonly number[] {
  const text = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect(port, '127.0.0.1');
    probe.once('error', () => resolve(false));
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
  });
}

const LOG_KEPT = 4000;
