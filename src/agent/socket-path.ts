import { chmod, lstat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, isAbsolute, normalize } from 'node:path';
import { checkWay, makeFolders } from '../private-files/index.ts';
import { codeOf } from '../std/index.ts';
import { AgentError } from './errors.ts';

/**
 * Makes the folder of a socket that other users connect to (mode 0755) and checks the whole way to it: a folder that others may
 * write would let them put their own socket in place of ours.
 * @throws AgentError ERR_AGENT_SOCKET (a path in another form, a link), PrivateFileError ERR_PRIVATE_FILE_UNSAFE, ERR_PRIVATE_FILE_IO
 */
export async function prepareSocketFolder(folder: string): Promise<void> {
  if (!isAbsolute(folder) || normalize(folder) !== folder) {
    throw new AgentError('ERR_AGENT_SOCKET', `${folder} is not an absolute path in its shortest form`);
  }
  const made = makeFolders(folder, 0o755);
  // The umask may have taken away what workloads of other users need to get through.
  if (made !== undefined) for (let at = folder; at.length >= made.length; at = dirname(at)) await chmod(at, 0o755);
  if ((await lstat(folder)).isSymbolicLink()) throw new AgentError('ERR_AGENT_SOCKET', `${folder} is a symbolic link`);
  checkWay(folder);
}

/**
 * Clears the way for listening at `path`: removes a socket that nobody listens on any more, refuses everything else.
 * @throws AgentError ERR_AGENT_SOCKET
 */
export async function clearSocketPath(path: string): Promise<void> {
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
    throw new AgentError(
      'ERR_AGENT_SOCKET',
      `${path} is longer than the ${SOCKET_PATH_BYTES_MAX} bytes of a socket path`,
    );
  }
  try {
    const stat = await lstat(path);
    if (!stat.isSocket()) throw new AgentError('ERR_AGENT_SOCKET', `${path} exists and is not a socket`);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  if (await somebodyListens(path)) throw new AgentError('ERR_AGENT_SOCKET', `another process listens on ${path}`);
  await unlink(path);
}

function somebodyListens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // Only a refused connection proves that the listener is gone; anything else (no permission, a full backlog) may be alive.
    socket.on('error', (error) => resolve(codeOf(error) !== 'ECONNREFUSED'));
  });
}

/** sun_path has 108 bytes with its terminator. */
const SOCKET_PATH_BYTES_MAX = 107;
