import { chmod, lstat } from 'node:fs/promises';
import { dirname, isAbsolute, normalize } from 'node:path';
import { checkFolderPath, makeFolders } from '../private-files/index.ts';
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
  checkFolderPath(folder);
}
