import { CodedError, type ErrorEntry, type ErrorTable } from '../std/index.ts';

export const errorTable = {
  ERR_ATTEST_REFUSED: {
    status: 403,
    exit: 'no',
    meaning:
      'The proof does not hold: a token used, unknown or expired, a signature or chain that fails, a banned node.',
    remedy: 'Give the agent a fresh proof; for a banned node delete its record first.',
  },
  ERR_ATTEST_BANNED: {
    status: 403,
    exit: 'no',
    meaning: 'The node is banned.',
    remedy: 'To let it in again, delete its record with `countersign node delete`; it then attests anew.',
  },
  ERR_ATTEST_PAYLOAD: {
    status: 400,
    exit: 'no',
    meaning: 'What was sent is not in the form that the attestor expects.',
    remedy: 'Use an agent of the same protocol version; check which attestor both sides name.',
  },
  ERR_ATTEST_TYPE: {
    status: 400,
    exit: 'config',
    meaning: 'The server does not accept that kind of node attestation.',
    remedy: 'Name the attestor in server.attestors, or use one that is named there.',
  },
  ERR_ATTEST_PEER: {
    status: 403,
    exit: 'no',
    meaning: 'The process at the other end of the socket could not be told.',
    remedy: 'Connect from the same machine and process namespace; see the message for what the kernel said.',
  },
  ERR_ATTEST_WORKLOAD: {
    status: 503,
    exit: 'unavailable',
    meaning: 'A fact about the calling process could not be read.',
    remedy: 'The process may have ended; else see that the agent may read /proc.',
  },
  ERR_ATTEST_CONFIG: {
    status: 500,
    exit: 'config',
    meaning: 'The configuration of an attestor is wrong, or names a file that can not be read.',
    remedy: 'Mend the setting or the file that the message names; a file with a secret needs mode 0600 (chmod 600).',
  },
  ERR_NODE_REQUEST: {
    status: 400,
    exit: 'usage',
    meaning: 'A request about nodes or join tokens is malformed.',
    remedy: 'Mend the value that the message names.',
  },
} as const satisfies ErrorTable;

/** Failures of attestation. To the caller of the wire only code and kind of message go, never what a verifier expected. */
export class AttestationError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
