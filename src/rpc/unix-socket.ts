import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { dirname, isAbsolute } from 'node:path';
import { codeOf, messageOf } from '../std/index.ts';
import { RpcSetupError } from './errors.ts';
import { BACKLOG } from './transport.ts';

/**
 * Makes `server` listen on the unix socket `path`, the file having `mode` from its first moment on. A socket file that nobody
 * listens on any more is replaced; anything else in the way is refused.
 * @throws RpcSetupError ERR_RPC_SOCKET_BUSY, ERR_RPC_SOCKET_UNSAFE, ERR_RPC_LISTEN
 */
export async function listenOnUnixSocket(server: Server, path: string, mode: number): Promise<void> {
  checkPath(path);
  checkFolder(dirname(path));
  await removeStale(path);
  await new Promise<void>((resolve, reject) => {
    const onError = (cause: Error) =>
      reject(new RpcSetupError('ERR_RPC_LISTEN', `can't listen on ${path}: ${cause.message}`, { cause }));
    server.on('error', onError);
    // Node binds within listen(), so the mask holds for exactly that call; chmod alone would leave the file open for a moment.
    const umask = process.umask(~mode & 0o777);
    try {
      server.listen({ path, backlog: BACKLOG }, () => {
        server.removeListener('error', onError);
        chmodSync(path, mode);
        resolve();
      });
    } finally {
      process.umask(umask);
    }
  });
}

function checkPath(path: string): void {
  if (!isAbsolute(path)) throw new RpcSetupError('ERR_RPC_SOCKET_UNSAFE', `the socket path ${path} is not absolute`);
  const pathBytes = Buffer.byteLength(path);
  if (pathBytes > PATH_BYTES_MAX) {
    throw new RpcSetupError(
      'ERR_RPC_SOCKET_UNSAFE',
      `the socket path ${path} has ${pathBytes} bytes, the system allows ${PATH_BYTES_MAX}`,
    );
  }
}

/** Whoever can write to the folder can put another socket in place of ours; the sticky bit prevents that. */
function checkFolder(folder: string): void {
  const stat = lstatSync(folder, { throwIfNoEntry: false });
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

async function removeStale(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) {
    throw new RpcSetupError('ERR_RPC_SOCKET_UNSAFE', `${path} exists and is no socket; it is left alone`);
  }
  if (await someoneListens(path)) {
    throw new RpcSetupError('ERR_RPC_SOCKET_BUSY', `another process listens on ${path}`);
  }
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

/** sockaddr_un on Linux has 108 bytes, the last of them zero. */
const PATH_BYTES_MAX = 107;
