import { CodedError, type ErrorEntry, type ErrorTable } from '../std/index.ts';

/** What can go wrong before any call is made. */
export const errorTable = {
  ERR_RPC_SOCKET_BUSY: {
    status: 500,
    exit: 'unavailable',
    meaning: 'Another process listens on the unix socket.',
    remedy: 'Stop the other process or configure another socket path.',
  },
  ERR_RPC_SOCKET_UNSAFE: {
    status: 500,
    exit: 'config',
    meaning:
      'The path of the unix socket is not safe to use: a symbolic link, not a socket, too long, or in a folder that others may write to.',
    remedy: 'Use a folder that belongs to the user that runs the process and that nobody else can write to.',
  },
  ERR_RPC_LISTEN: {
    status: 500,
    exit: 'unavailable',
    meaning: 'The server could not listen on its address.',
    remedy: 'Read the message: the address is in use, not of this machine, or not permitted.',
  },
} as const satisfies ErrorTable;

/** A server could not be set up. */
export class RpcSetupError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
