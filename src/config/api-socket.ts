import { basename, dirname, join } from 'node:path';

/** `api.sock` beside `server.sock`; beside a socket of another name one that tells the two servers of one folder apart. */
export function apiSocketOf(socket: string): string {
  const stem = basename(socket).replace(/\.sock$/, '');
  return join(dirname(socket), stem === 'server' ? 'api.sock' : `${stem}-api.sock`);
}
