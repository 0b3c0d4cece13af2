/**
 * Tells a client why it gets no session, in the words of the protocol it is about to speak, so that the reason shows where its
 * user looks. One row per protocol: the name of its socket file, and how a refusal is said.
 */
export const targetProtocols: Readonly<Record<string, TargetProtocol>> = {
  postgres: {
    socketFile: '.s.PGSQL.5432',
    opening: readPostgresOpening,
    refusal: postgresRefusal,
    // ReadyForQuery outside of a transaction.
    restEnding: Buffer.from('Z\0\0\0\x05I', 'latin1'),
    isOpen: isPostgresOpen,
    isAside: isPostgresCancel,
  },
};

/** How one protocol looks to the local socket. */
export interface TargetProtocol {
  /** What clients of the protocol look for in the folder that they are given as host. */
  readonly socketFile: string;
  /**
   * Reads the client's opening from what has come so far: how far a refusal may be said (`ready`), what to answer first (a
   * negotiation that is declined), or that the client wants no answer at all.
   */
  readonly opening: (received: Buffer) => Opening;
  /** Also ends a session that is open, between two of its messages. */
  readonly refusal: (refusal: Refusal) => Buffer;
  /** The last bytes of an answer behind which the client has nothing open, such as a transaction. */
  readonly restEnding: Buffer;
  /**
   * True when a session is open, and between two messages of the gateway, by the last bytes of both sides, as many as `restEnding` has: a gateway
   * that ends it there without a word was not told to by its client.
   */
  readonly isOpen: (last: { readonly fromGateway: Buffer; readonly fromClient: Buffer }) => boolean;
  /** True when a client's first bytes are about another session, and begin none. */
  readonly isAside: (first: Buffer) => boolean;
}

export type Opening =
  | { readonly step: 'more' }
  | { readonly step: 'decline'; readonly consumed: number; readonly answer: Buffer }
  | { readonly step: 'ready' }
  | { readonly step: 'silence' };

/**
 * Why there is no session. `identity`: the process has none; `gateway`: none reachable; `starting`: the agent knows too little yet;
 * `busy`: the process has too many; `stopping`: the agent ends.
 */
export interface Refusal {
  readonly kind: 'identity' | 'gateway' | 'starting' | 'busy' | 'stopping';
  readonly message: string;
  /** What the user can do. */
  readonly hint: string;
}

/** @see PostgreSQL protocol, "Message Formats": StartupMessage, SSLRequest, GSSENCRequest, CancelRequest */
function readPostgresOpening(received: Buffer): Opening {
  if (received.length < 8) return { step: 'more' };
  const length = received.readUInt32BE(0);
  const code = received.readUInt32BE(4);
  if (length === 8 && (code === SSL_REQUEST || code === GSSENC_REQUEST)) {
    return { step: 'decline', consumed: 8, answer: Buffer.from('N') };
  }
  if (code === CANCEL_REQUEST) return { step: 'silence' };
  // What is no startup packet is answered as if it were one: the text of the refusal is the best that can be said to it.
  if (length < 8 || length > STARTUP_BYTES_MAX) return { step: 'ready' };
  return received.length < length ? { step: 'more' } : { step: 'ready' };
}

/** @see PostgreSQL protocol, "Message Formats": CancelRequest */
function isPostgresCancel(first: Buffer): boolean {
  return first.length >= 8 && first.length === first.readUInt32BE(0) && first.readUInt32BE(4) === CANCEL_REQUEST;
}

/** Behind ReadyForQuery, whatever it says of a transaction, and not behind Terminate. */
function isPostgresOpen(last: { readonly fromGateway: Buffer; readonly fromClient: Buffer }): boolean {
  const isReady = last.fromGateway.subarray(0, READY.length).equals(READY);
  return isReady && !last.fromClient.subarray(-TERMINATE.length).equals(TERMINATE);
}

/** A FATAL ErrorResponse. @see PostgreSQL protocol, "Error and Notice Message Fields" */
function postgresRefusal(refusal: Refusal): Buffer {
  const fields: readonly [string, string][] = [
    ['S', 'FATAL'],
    ['V', 'FATAL'],
    ['C', SQLSTATES[refusal.kind]],
    ['M', refusal.message],
    ['H', refusal.hint],
  ];
  const body = fields.map(([tag, text]) => `${tag}${text.replaceAll('\0', ' ')}\0`).join('');
  const bytes = Buffer.from(`${body}\0`, 'utf8');
  const head = Buffer.alloc(5);
  head.write('E', 0, 'latin1');
  head.writeUInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}

const SQLSTATES: Readonly<Record<Refusal['kind'], string>> = {
  identity: '28000', // invalid_authorization_specification
  gateway: '08006', // connection_failure
  starting: '57P03', // cannot_connect_now
  busy: '53300', // too_many_connections
  stopping: '57P01', // admin_shutdown
};
const READY = Buffer.from('Z\0\0\0\x05', 'latin1');
const TERMINATE = Buffer.from('X\0\0\0\x04', 'latin1');
const SSL_REQUEST = 80877103;
const GSSENC_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;
/** PostgreSQL's own limit on a startup packet. */
const STARTUP_BYTES_MAX = 10_000;
