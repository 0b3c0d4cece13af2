/** PostgreSQL at the agent's socket. */
import type { LocalOpening, LocalProtocol, LocalRefusal, LocalSession } from '../../../model/index.ts';
import { encodeError, readStartupPacket } from '../../../wire/postgres/index.ts';

export const local: LocalProtocol = {
  id: 'postgres',
  socketFile: '.s.PGSQL.5432',
  speaksFirst: 'client',
  opening,
  /** The same at either place. */
  refusal: ({ kind, message, hint }) => encodeError({ severity: 'FATAL', sqlstate: SQLSTATES[kind], message, hint }),
  follow: () => new FollowedSession(),
  client: {
    program: 'psql',
    /** libpq's own default names are kept from failing where the user id has no name. */
    environment: (folder, env) => ({
      PGHOST: folder,
      PGPORT: '5432',
      PGUSER: env['PGUSER'] ?? 'workload',
      PGSSLMODE: 'disable',
      PGGSSENCMODE: 'disable',
    }),
    /** JDBC opens no Unix socket. libpq's variables stay with the folder. */
    loopback: ({ host, port }) => ({ COUNTERSIGN_JDBC_URL: `jdbc:postgresql://${host}:${port}/` }),
  },
};

function opening(received: Buffer): LocalOpening {
  const read = readOpening(received);
  if (read === undefined) return { step: 'more' };
  switch (read.packet.kind) {
    case 'ssl-request':
    case 'gss-request':
      return { step: 'decline', bytes: read.bytes, answer: Buffer.from('N') };
    case 'cancel':
      return { step: 'aside', bytes: read.bytes };
    case 'startup':
      return { step: 'ready' };
  }
}

/** What is no start-up packet is answered as if it were one: the text of the refusal is the best that can be said to it. */
function readOpening(received: Buffer) {
  try {
    return readStartupPacket(received);
  } catch {
    return { packet: { kind: 'startup' }, bytes: received.length } as const;
  }
}

/** By the last bytes of either side: messages are cut at the gateway, not here. */
class FollowedSession implements LocalSession {
  readonly #fromGateway = Buffer.alloc(AT_REST.length);
  readonly #fromClient = Buffer.alloc(TERMINATE.length);
  #isAnswered = false;

  saw(from: 'client' | 'gateway', bytes: Buffer): void {
    keepTail(from === 'client' ? this.#fromClient : this.#fromGateway, bytes);
    this.#isAnswered = from === 'gateway';
  }

  /** Words are heard behind ReadyForQuery, whatever it says of a transaction, and not behind Terminate. */
  place() {
    const isReady = this.#fromGateway.subarray(0, READY.length).equals(READY);
    if (!isReady || this.#fromClient.equals(TERMINATE)) return 'amid';
    return this.#isAnswered && this.#fromGateway.equals(AT_REST) ? 'rest' : 'between';
  }
}

function keepTail(tail: Buffer, bytes: Buffer): void {
  const kept = Math.max(0, tail.length - bytes.length);
  tail.copyWithin(0, tail.length - kept);
  bytes.copy(tail, kept, Math.max(0, bytes.length - tail.length));
}

const SQLSTATES: Readonly<Record<LocalRefusal['kind'], string>> = {
  identity: '28000', // invalid_authorization_specification
  gateway: '08006', // connection_failure
  starting: '57P03', // cannot_connect_now
  busy: '53300', // too_many_connections
  stopping: '57P01', // admin_shutdown
};
/** ReadyForQuery without its status. */
const READY = Buffer.from('Z\0\0\0\x05', 'latin1');
/** Outside of a transaction. */
const AT_REST = Buffer.from('Z\0\0\0\x05I', 'latin1');
const TERMINATE = Buffer.from('X\0\0\0\x04', 'latin1');
