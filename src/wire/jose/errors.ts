import { CodedError, type ErrorEntry, type ErrorTable } from '../../std/index.ts';

/** What the JOSE codecs refuse. */
export const errorTable = {
  ERR_JWT: {
    status: 400,
    exit: 'no',
    meaning: 'The text is not a compact JWT with the header and claims that are read here.',
    remedy: 'Fetch a fresh token; the message names the part at fault.',
  },
  ERR_JWT_KEY: {
    status: 400,
    exit: 'config',
    meaning: 'A key does not fit the signing algorithm, or is too weak.',
    remedy: 'Use ES256 with P-256, ES384 with P-384, or RS and PS algorithms with RSA of 2048 bits or more.',
  },
  ERR_JWKS: {
    status: 400,
    exit: 'no',
    meaning: 'The text is not a JSON Web Key Set that can be read.',
    remedy: 'Publish the key set again; every key needs its kty, kid and public parameters.',
  },
} as const satisfies ErrorTable;

/** A failure of the JOSE codecs. */
export class JoseError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
