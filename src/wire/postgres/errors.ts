import { CodedError, type ErrorEntry, type ErrorTable } from '../../std/index.ts';

/** Every way a PostgreSQL message can be refused by the codec. */
export const errorTable = {
  ERR_PG_LENGTH: {
    status: 400,
    exit: 'unavailable',
    meaning: 'A message announces a length that no message can have.',
    remedy: 'The peer does not speak the PostgreSQL protocol, or bytes were lost; look at what is connected.',
  },
  ERR_PG_TOO_LONG: {
    status: 413,
    exit: 'unavailable',
    meaning: 'A message is longer than the limit for its direction.',
    remedy: 'Split the value or raise nothing: the limit protects the memory of every other session.',
  },
  ERR_PG_MALFORMED: {
    status: 400,
    exit: 'unavailable',
    meaning: 'The inside of a message does not have the shape that its type demands.',
    remedy: 'The peer is broken or hostile; the session was ended.',
  },
  ERR_PG_STARTUP: {
    status: 400,
    exit: 'unavailable',
    meaning: 'The first packet is no start-up packet, or holds doubled, unfinished or non-UTF-8 parameters.',
    remedy: 'Check that the client speaks PostgreSQL protocol 3 and sends UTF-8 parameters.',
  },
  ERR_PG_AUTHENTICATION: {
    status: 502,
    exit: 'unavailable',
    meaning: 'The target asks for an authentication that is not supported, or fails its own half of the exchange.',
    remedy:
      'Use scram-sha-256 (or md5, password over TLS) in the target’s pg_hba.conf, and check whom you are connected to.',
  },
} as const satisfies ErrorTable;

/** A message that the codec refuses. */
export class PostgresWireError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
