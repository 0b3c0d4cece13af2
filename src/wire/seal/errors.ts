import { CodedError, type ErrorEntry, type ErrorTable } from '../../std/index.ts';

/** What sealing and opening refuse. */
export const errorTable = {
  ERR_SEAL_KEY: {
    status: 500,
    exit: 'config',
    meaning: 'A sealing key does not have 32 bytes.',
    remedy: 'Restore the key file from its backup; it must hold exactly what was written when it was made.',
  },
  ERR_SEAL_FORMAT: {
    status: 500,
    exit: 'config',
    meaning: 'The bytes are not a sealed value of a version that is known, or they are cut off.',
    remedy: 'Restore the file from a backup; it was truncated or is another file.',
  },
  ERR_SEAL_BROKEN: {
    status: 500,
    exit: 'config',
    meaning: 'A sealed value does not open: it was edited, belongs elsewhere, or the key or passphrase is another one.',
    remedy: 'Check that passphrase or key file belong to this data folder; else restore the file from a backup.',
  },
  ERR_SEAL_SIZE: {
    status: 500,
    exit: 'internal',
    meaning: 'A value is too large to seal.',
    remedy: 'Report it: only small secrets are sealed.',
  },
} as const satisfies ErrorTable;

/** A failure of sealing or opening; never says anything of the contents. */
export class SealError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
