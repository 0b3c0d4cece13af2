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

/** By the last bytes of either side, and by what a client that does not wait for answers is still owed. */
class FollowedSession implements LocalSession {
  readonly #fromGateway = Buffer.alloc(AT_REST.length);
  readonly #fromClient = Buffer.alloc(TERMINATE.length);
  readonly #requests = new MessageWalk('untyped');
  readonly #answers = new MessageWalk('typed');
  #isAnswered = false;
  /** ReadyForQuery, so many; the first is that of the start. */
  #owed = 1;
  #isSimple = false;
  #isCopying = false;

  saw(from: 'client' | 'gateway', bytes: Buffer): void {
    keepTail(from === 'client' ? this.#fromClient : this.#fromGateway, bytes);
    this.#isAnswered = from === 'gateway';
    if (from === 'client') this.#requests.walk(bytes, (type) => this.#asked(type));
    else this.#answers.walk(bytes, (type) => this.#answered(type));
  }

  /** Words are heard behind ReadyForQuery, whatever it says of a transaction, and not behind Terminate. */
  place() {
    const isReady = this.#fromGateway.subarray(0, READY.length).equals(READY);
    if (!isReady || this.#fromClient.equals(TERMINATE)) return 'amid';
    return this.#isAnswered && this.#owed <= 0 && this.#fromGateway.equals(AT_REST) ? 'rest' : 'between';
  }

  #asked(type: number): void {
    if (type === QUERY || type === EXECUTE) this.#isSimple = type === QUERY;
    if (type === QUERY || type === SYNC || type === FUNCTION_CALL) this.#owed++;
    if (!this.#isCopying || (type !== COPY_DONE && type !== COPY_FAIL)) return;
    // A Sync that came while rows were expected is answered by nobody.
    this.#isCopying = false;
    this.#owed = this.#isSimple ? 1 : 0;
  }

  #answered(type: number): void {
    if (type === READY_FOR_QUERY) this.#owed--;
    if (type === COPY_IN) this.#isCopying = true;
    else if (type === ERROR || type === READY_FOR_QUERY) this.#isCopying = false;
  }
}

/** Finds where messages begin, and of what type they are; nothing of them is kept. Bytes that are none are walked over as if they were. */
class MessageWalk {
  #hasType: boolean;
  #head = 0;
  #type = 0;
  #length = 0;
  #left = 0;

  /** `untyped`: it begins with the packets of a start, which have no type. */
  constructor(kind: 'typed' | 'untyped') {
    this.#hasType = kind === 'typed';
  }

  walk(bytes: Buffer, begun: (type: number) => void): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#left > 0) {
        const passed = Math.min(this.#left, bytes.length - at);
        this.#left -= passed;
        at += passed;
        continue;
      }
      // Nearly always a head is there whole.
      if (this.#hasType && this.#head === 0 && at + HEAD_BYTES <= bytes.length) {
        this.#left = Math.max(0, bytes.readUInt32BE(at + 1) - 4);
        begun(bytes[at] ?? 0);
        at += HEAD_BYTES;
      } else this.#take(bytes[at++] ?? 0, begun);
    }
  }

  #take(byte: number, begun: (type: number) => void): void {
    if (this.#hasType && this.#head === 0) this.#type = byte;
    else this.#length = this.#length * 256 + byte;
    if (++this.#head < (this.#hasType ? HEAD_BYTES : HEAD_BYTES - 1)) return;
    this.#left = Math.max(0, this.#length - 4);
    if (this.#hasType) begun(this.#type);
    // One that asks for encryption, or cancels, is followed by another without a type.
    else this.#hasType = this.#length !== ENCRYPTION_REQUEST_BYTES;
    this.#head = 0;
    this.#length = 0;
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
const [QUERY, SYNC, FUNCTION_CALL, EXECUTE, COPY_DONE, COPY_FAIL] = typesOf('QSFEcf');
const [READY_FOR_QUERY, COPY_IN, ERROR] = typesOf('ZGE');
/** Of a message with a type: that, and its length. */
const HEAD_BYTES = 5;
const ENCRYPTION_REQUEST_BYTES = 8;

function typesOf(letters: string): readonly number[] {
  return Array.from(letters, (letter) => letter.charCodeAt(0));
}
