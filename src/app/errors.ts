import { CodedError, type ErrorEntry, type ErrorTable } from '../std/index.ts';

export const errorTable = {
  ERR_APP_CONFIG: {
    status: 500,
    exit: 'config',
    meaning: 'The settings of a role do not fit together.',
    remedy: 'Mend the setting that the message names.',
  },
  ERR_APP_LISTEN: {
    status: 503,
    exit: 'unavailable',
    meaning: 'The address for /live, /ready and /metrics can not be listened on.',
    remedy: 'Read the message: the address is in use, not of this machine, or not permitted.',
  },
  ERR_APP_KEY: {
    status: 500,
    exit: 'config',
    meaning: 'A key file is damaged, or does not belong to the others beside it.',
    remedy: 'Bring the key files back from one copy. Without them, what they sealed is lost.',
  },
  ERR_APP_WORKER: {
    status: 503,
    exit: 'unavailable',
    meaning: 'A process that `gateway.workers` asks for ended while it started, or can not be one of that gateway.',
    remedy: 'Read the message, or its own last line, above in the log of the gateway, which has the reason.',
  },
  ERR_APP_SERVER_IDENTITY: {
    status: 502,
    exit: 'unavailable',
    meaning: 'Whoever answers at the address of the server did not prove to be the server of this trust domain.',
    remedy:
      'See the reason in the message. For unknown-issuer: the server lost its keystore or its store, or the address leads elsewhere. For expired or not-yet-valid: compare the clocks of both machines.',
  },
} as const satisfies ErrorTable;

/** What keeps a role from starting. */
export class AppError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
