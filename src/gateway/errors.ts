import { CodedError, type ErrorEntry, type ErrorTable } from '../std/index.ts';

/** Failures of the gateway. What a client is told is the protocol's own error; these are for operators. */
export const errorTable = {
  ERR_GATEWAY_TARGET_CONFIG: {
    status: 422,
    exit: 'config',
    meaning: 'A target’s config is not what its protocol needs.',
    remedy: 'Correct the target as the message says and apply it again.',
  },
  ERR_GATEWAY_PROTOCOL: {
    status: 422,
    exit: 'config',
    meaning: 'A target names a protocol that this gateway does not speak.',
    remedy: 'Use one of the protocols in the reference, or upgrade the gateway.',
  },
  ERR_GATEWAY_SECRET: {
    status: 503,
    exit: 'config',
    meaning: 'A secret that a target’s config refers to can’t be read.',
    remedy:
      'Check the reference. A file with a secret belongs to the gateway’s user, with mode 0600; one with certificates only may also be root’s, with mode 0644. Or put the secret into the keystore.',
  },
  ERR_GATEWAY_CERTIFICATE: {
    status: 503,
    exit: 'config',
    meaning: 'The certificate of a target’s own door, or its key, can’t be used.',
    remedy:
      'Give listen.certificate a PEM chain, its leaf first, and listen.key the key of that leaf, not encrypted. The gateway reads both again by itself.',
  },
  ERR_GATEWAY_LISTEN: {
    status: 503,
    exit: 'unavailable',
    meaning: 'The gateway can’t listen where it was told to.',
    remedy: 'Choose another address, or stop what uses it.',
  },
  ERR_GATEWAY_TARGET_AWAY: {
    status: 503,
    exit: 'unavailable',
    meaning: 'The target can’t be reached, or ended the connection.',
    remedy: 'Check that the target runs and that the gateway’s host may connect to it.',
  },
  ERR_GATEWAY_TARGET_TLS: {
    status: 502,
    exit: 'config',
    meaning: 'The target has no TLS, or its certificate does not prove who it should be.',
    remedy:
      'Give the target a certificate that its roots verify, or name its CA as sslRoots: file:PATH, or set sslMode on purpose.',
  },
  ERR_GATEWAY_TARGET_LOGIN: {
    status: 502,
    exit: 'config',
    meaning: 'The target refused the gateway’s own credential.',
    remedy: 'Check user and password reference of the target, and the target’s pg_hba.conf.',
  },
  ERR_GATEWAY_TARGET_PROTOCOL: {
    status: 502,
    exit: 'unavailable',
    meaning: 'The target sent what the protocol does not allow at that point.',
    remedy: 'Check what is listening at the target’s address; look for a broken proxy between.',
  },
} as const satisfies ErrorTable;

/** A failure of the gateway. */
export class GatewayError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
