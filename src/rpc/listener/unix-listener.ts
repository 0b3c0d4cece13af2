import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmdirSync,
  type Stats,
  unlinkSync,
} from 'node:fs';
import { connect, type Server } from 'node:net';
import { dirname, isAbsolute, join } from 'node:path';
import { type Clock, codeOf, messageOf, sleep } from '../../std/index.ts';
import { BACKLOG } from '../connection/transport.ts';
import { RpcSetupError } from '../errors.ts';

/**
 * A unix socket that listens, under a name of its own beside the one that clients know, until it is put there: so that it can take the place
 * of another's in one step, without a moment in which nobody is found. What it makes it removes, but never what another put in its place.
 */
export interface UnixListener {
  readonly path: string;
  /** Puts it under its name, where nobody else may listen. @throws RpcSetupError ERR_RPC_SOCKET_BUSY, ERR_RPC_SOCKET_UNSAFE, ERR_RPC_LISTEN */
  place(): Promise<void>;
  /** Puts it under its name in one step, whoever is found there until then. @throws RpcSetupError ERR_RPC_SOCKET_UNSAFE, ERR_RPC_LISTEN */
  replace(): void;
  /** Listens under its name again, if another was put there meanwhile; who came to that other is lost. @throws as `replace` */
  retake(): Promise<void>;
  /** Gives its name up, and closes once nothing has come for a second, after ten at the latest: whoever had found it by then is still let in. */
  fade(clock: Clock, signal: AbortSignal): Promise<void>;
  /** Lets nobody in any more. */
  close(): void;
}

/**
 * Opens a door: it listens, and nobody finds it yet. The file has `mode` from its first moment on. What a process that was killed has left
 * beside is removed. `createServer` makes what listens, again for each `retake`.
 * @throws RpcSetupError ERR_RPC_SOCKET_UNSAFE, ERR_RPC_LISTEN
 */
export async function openUnixListener(options: {
  path: string;
  mode: number;
  createServer: () => Server;
}): Promise<UnixListener> {
  const { path, mode } = options;
  checkPath(path);
  checkFolder(dirname(path));
  await removeLeftOver(dirname(path));
  const servers: Server[] = [];
  let accepted = 0;
  const bind = async () => {
    const server = options.createServer();
    server.on('connection', () => accepted++);
    const beside = await listenBeside(server, path, mode);
    servers.push(server);
    return { beside, stat: lstatSync(beside) };
  };
  let newest = await bind();
  // Once it is closed the system may give its number to another's.
  const isInPlace = () => servers.length > 0 && isSame(newest.stat, statOf(path));
  const close = () => {
    if (isInPlace()) unlinkSync(path);
    // Node takes the name away that a socket was bound under: long gone, or never given up.
    for (const server of servers.splice(0)) server.close();
  };
  return {
    path,
    async place() {
      await removeStale(path);
      moveExclusively(newest.beside, path);
    },
    replace: () => moveOver(newest.beside, path),
    async retake() {
      if (isInPlace()) return;
      newest = await bind();
      moveOver(newest.beside, path);
    },
    async fade(clock, signal) {
      if (isInPlace()) unlinkSync(path);
      // Each look after a turn of the event loop in which the kernel was asked: a process that was held up has not been quiet.
      // Not for ever: who holds a descriptor of the socket, or has it mounted, finds it without its name.
      for (let quiet = 0, looks = 0; quiet < QUIET_LOOKS && looks < LOOKS_MAX && !signal.aborted; looks++) {
        const seen = accepted;
        await sleep(clock, LOOK_MS, signal).catch(() => {}); // The abort is looked at above.
        quiet = accepted === seen ? quiet + 1 : 0;
      }
      close();
    },
    close,
  };
}

/** Listens under a new name in the folder of `path`; returns that. */
async function listenBeside(server: Server, path: string, mode: number): Promise<string> {
  try {
    // Nobody else ever has the same, in other process namespaces neither: Node will remove that name when this one is closed.
    const beside = mkdtempSync(`${dirname(path)}/${BESIDE_START}`);
    removeFolder(beside);
    await listen(server, beside, mode);
    return beside;
  } catch (cause) {
    throw new RpcSetupError('ERR_RPC_LISTEN', `can't listen on ${path}: ${messageOf(cause)}`, { cause });
  }
}

function listen(server: Server, path: string, mode: number): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    server.on('error', reject);
    // Node binds within listen(), so the mask holds for exactly that call; chmod alone would leave the file open for a moment.
    const umask = process.umask(~mode & 0o777);
    try {
      server.listen({ path, backlog: BACKLOG }, () => {
        server.removeListener('error', reject);
        chmodSync(path, mode);
        resolve();
      });
    } finally {
      process.umask(umask);
    }
  });
}

/** What has a name as {@link listenBeside} makes them, and serves nobody: a folder is there for the moment before its name is given to a socket. */
async function removeLeftOver(folder: string): Promise<void> {
  const uid = process.getuid?.();
  for (const name of readdirSync(folder)) {
    if (!BESIDE_NAME.test(name)) continue;
    const path = join(folder, name);
    const stat = statOf(path);
    if (stat?.uid !== uid) continue;
    if (stat?.isDirectory()) removeFolder(path);
    else if (stat?.isSocket() && !(await someoneListens(path))) remove(path);
  }
}

/** Whoever made it does the same and may be quicker, and one with something in it is not ours; of a name that stays taken, listening tells. */
function removeFolder(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // As said above.
  }
}

/** Gives a socket its name where nothing has it, in one step: of two that try one fails. */
function moveExclusively(beside: string, path: string): void {
  try {
    linkSync(beside, path);
    remove(beside);
  } catch {
    if (statOf(path) !== undefined) throw busy(path);
    moveOver(beside, path); // Not every file system gives a file two names.
  }
}

function moveOver(beside: string, path: string): void {
  checkSocket(path);
  try {
    renameSync(beside, path);
  } catch (cause) {
    throw new RpcSetupError('ERR_RPC_LISTEN', `can't put a socket at ${path}: ${messageOf(cause)}`, { cause });
  }
}

function checkPath(path: string): void {
  if (!isAbsolute(path)) throw new RpcSetupError('ERR_RPC_SOCKET_UNSAFE', `the socket path ${path} is not absolute`);
  const pathBytes = Math.max(Buffer.byteLength(path), Buffer.byteLength(join(dirname(path), BESIDE_EXAMPLE)));
  if (pathBytes > PATH_BYTES_MAX) {
    throw new RpcSetupError(
      'ERR_RPC_SOCKET_UNSAFE',
      `the socket path ${path} needs ${pathBytes} bytes, the system allows ${PATH_BYTES_MAX}`,
    );
  }
  checkSocket(path);
}

/** Whoever can write to the folder can put another socket in place of ours; the sticky bit prevents that. */
function checkFolder(folder: string): void {
  const stat = statOf(folder);
  if (stat === undefined) throw new RpcSetupError('ERR_RPC_LISTEN', `the socket's folder ${folder} does not exist`);
  if (!stat.isDirectory()) throw new RpcSetupError('ERR_RPC_SOCKET_UNSAFE', `${folder} is not a folder`);
  if ((stat.mode & 0o022) !== 0 && (stat.mode & 0o1000) === 0) {
    throw new RpcSetupError('ERR_RPC_SOCKET_UNSAFE', `others may write to the socket's folder ${folder}`);
  }
  const uid = process.getuid?.();
  if (uid !== undefined && stat.uid !== uid && stat.uid !== 0) {
    throw new RpcSetupError(
      'ERR_RPC_SOCKET_UNSAFE',
      `the socket's folder ${folder} belongs to user ${stat.uid}, not to user ${uid}`,
    );
  }
}

function checkSocket(path: string): Stats | undefined {
  const stat = statOf(path);
  if (stat === undefined || stat.isSocket()) return stat;
  throw new RpcSetupError('ERR_RPC_SOCKET_UNSAFE', `${path} exists and is no socket; it is left alone`);
}

async function removeStale(path: string): Promise<void> {
  if (checkSocket(path) === undefined) return;
  if (await someoneListens(path)) throw busy(path);
  remove(path);
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return;
    throw new RpcSetupError('ERR_RPC_LISTEN', `can't remove the stale socket ${path}: ${messageOf(cause)}`, { cause });
  }
}

/** Only a refused connection proves that nobody listens. */
function someoneListens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', (error) => {
      probe.destroy();
      resolve(!['ECONNREFUSED', 'ENOENT'].includes(codeOf(error) ?? ''));
    });
  });
}

function busy(path: string): RpcSetupError {
  return new RpcSetupError('ERR_RPC_SOCKET_BUSY', `another process listens on ${path}`);
}

function statOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

function isSame(one: Stats, other: Stats | undefined): boolean {
  return other !== undefined && one.ino === other.ino && one.dev === other.dev;
}

/** sockaddr_un on Linux has 108 bytes, the last of them zero. */
const PATH_BYTES_MAX = 107;
/** Of the name that it is made under until it is placed: shorter than most, and nobody else's, as `.config` would be. */
const BESIDE_START = '.~';
const BESIDE_EXAMPLE = `${BESIDE_START}Ab12Cd`;
const BESIDE_NAME = /^\.~[0-9A-Za-z]{6}$/;
const LOOK_MS = 250;
const QUIET_LOOKS = 4;
/** Ten seconds. */
const LOOKS_MAX = 40;
