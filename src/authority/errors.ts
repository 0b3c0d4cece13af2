import { CodedError, type ErrorEntry, type ErrorTable } from '../std/index.ts';

/** What can go wrong in the authority and its keystores. */
export const errorTable = {
  ERR_AUTHORITY_NOT_READY: {
    status: 503,
    exit: 'unavailable',
    meaning: 'No signing key of that kind is active, or the active one has expired.',
    remedy: 'Look in the log why the next key could not be made; check the clock, the store and the keystore.',
  },
  ERR_AUTHORITY_REQUEST: {
    status: 400,
    exit: 'usage',
    meaning: 'An SVID was asked for that may not be issued.',
    remedy: 'The message names what is wrong: the key, the SPIFFE ID, a DNS name, the audience or the lifetime.',
  },
  ERR_AUTHORITY_SELF_CHECK: {
    status: 500,
    exit: 'internal',
    meaning: 'What was signed is not what was asked for; it was thrown away.',
    remedy:
      'Stop issuing from this server and look at its memory and keystore. Of EC signatures only a sample is verified, so up to fifteen SVIDs that verify nowhere may have left it before.',
  },
  ERR_AUTHORITY_NOT_FOUND: {
    status: 404,
    exit: 'no',
    meaning: 'There is no authority with that id.',
    remedy: 'List the authorities; an id is the key id shown there.',
  },
  ERR_AUTHORITY_STATE: {
    status: 409,
    exit: 'no',
    meaning: 'The authority is not in a state that allows this step.',
    remedy:
      'Only an old authority can be tainted, and only a tainted one revoked: prepare and activate the next one first.',
  },
  ERR_AUTHORITY_BUNDLE: {
    status: 400,
    exit: 'usage',
    meaning: 'A bundle can not be taken: it is for the own trust domain, too large, or holds something unreadable.',
    remedy: 'Fetch the bundle again from the trust domain it is for.',
  },
  ERR_AUTHORITY_JOURNAL: {
    status: 500,
    exit: 'config',
    meaning: 'A row of the journal of keys can not be read.',
    remedy: 'Restore the database from a backup.',
  },
  ERR_AUTHORITY_KEYS_LOST: {
    status: 500,
    exit: 'config',
    meaning:
      'The keystore has lost the key by which agents and gateways know this server; nothing was made in its place.',
    remedy:
      'Bring the keystore folder back from its backup, or the store, if that is the older of the two. If there is none, start once with `countersign server --accept-loss`: new authorities are made, and each agent must be given a fresh bundle.',
  },
  ERR_AUTHORITY_STORE_LOST: {
    status: 500,
    exit: 'config',
    meaning:
      'The store has lost what it knew of authorities, while keys of this server, or agents that it issued to, are there.',
    remedy:
      'See that server.store names the right database, or bring it back from its backup. If its data is lost, start once with `countersign server --accept-loss`: new authorities are made, and all nodes attest anew.',
  },
  ERR_AUTHORITY_OPTIONS: {
    status: 500,
    exit: 'config',
    meaning: 'A lifetime of keys or SVIDs is out of bounds.',
    remedy: 'Correct the value that the message names.',
  },
  ERR_KEYSTORE_CONFIG: {
    status: 500,
    exit: 'config',
    meaning: 'The keystore is configured with something it can not use.',
    remedy: 'Correct the key that the message names; the reference page of the keystore lists what is allowed.',
  },
  ERR_KEYSTORE_UNSAFE: {
    status: 500,
    exit: 'config',
    meaning: 'A file or folder of the keystore belongs to someone else, or others may read or write it.',
    remedy: 'Set owner and mode as the message says, after checking that nobody copied the keys.',
  },
  ERR_KEYSTORE_PASSPHRASE: {
    status: 500,
    exit: 'config',
    meaning: 'The passphrase does not open the keystore, or is missing.',
    remedy: 'Give the passphrase that the keystore was made with.',
  },
  ERR_KEYSTORE_DAMAGED: {
    status: 500,
    exit: 'config',
    meaning: 'A file of the keystore was truncated or edited.',
    remedy: 'Restore it from a backup; or remove it, and the server makes a new key, which every agent will fetch.',
  },
  ERR_KEYSTORE_IO: {
    status: 503,
    exit: 'io',
    meaning: 'The keystore could not read or write a file.',
    remedy: 'Look at the disk and its permissions; the cause is in the log.',
  },
  ERR_KEYSTORE_LOCKED: {
    status: 503,
    exit: 'unavailable',
    meaning: 'Another process uses this keystore folder.',
    remedy: 'Stop the other server, or give this one its own folder.',
  },
  ERR_KEYSTORE_KEY: {
    status: 400,
    exit: 'internal',
    meaning: 'A key id is malformed, taken already, or there are too many keys.',
    remedy: 'Report it: ids are made by the server.',
  },
  ERR_KEYSTORE_CLOSED: {
    status: 503,
    exit: 'unavailable',
    meaning: 'The keystore is not open: not started yet, or stopped.',
    remedy: 'Nothing while the server stops; otherwise report it.',
  },
} as const satisfies ErrorTable;

/** A failure of the authority or of a keystore. */
export class AuthorityError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
