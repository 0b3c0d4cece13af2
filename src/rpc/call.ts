import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { Code, codeName, type StatusCode, type StatusDetail } from '../wire/grpc/index.ts';

/** A call that ended with another status than OK: thrown by handlers to say so, and by clients that were told so. */
export class RpcError extends Error {
  readonly code: StatusCode;
  readonly details: readonly StatusDetail[];

  constructor(code: StatusCode, message: string, options: { details?: readonly StatusDetail[]; cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'RpcError';
    this.code = code;
    this.details = options.details ?? [];
  }

  override toString(): string {
    return `RpcError ${codeName(this.code)}: ${this.message}`;
  }
}

/**
 * Who is at the other end of a connection. `local`: a unix socket. `tls`: `chainDer` is the certificate chain as the peer sent it,
 * leaf first, *unverified*: empty when it sent none. Nobody is authorised by it before it was verified at each use.
 */
export type Peer =
  | { readonly kind: 'local'; readonly socket: Socket }
  | {
      readonly kind: 'tls';
      readonly socket: TLSSocket;
      readonly chainDer: readonly Buffer[];
      readonly remoteAddress: string;
    };

/** What a handler knows of the call it serves. */
export interface CallContext {
  readonly peer: Peer;
  /** Lower-case name to values in order, without HTTP/2's own headers. Binary values (`-bin`) are still base64. */
  readonly metadata: ReadonlyMap<string, readonly string[]>;
  /** Aborts on the caller's deadline, on cancellation, on loss of the connection, and when the server stops without grace. The reason is an {@link RpcError}. */
  readonly signal: AbortSignal;
  /** Aborts when the connection is to be closed in order (server stops, connection too old): a call that would go on for ever ends now, by throwing the reason. */
  readonly draining: AbortSignal;
  /** `/package.Service/Method`. */
  readonly method: string;
  /** Lives as long as the connection, shared by its calls: a place for what a caller wants to know once per connection. */
  readonly state: Map<symbol, unknown>;
  /** Says that the caller is known to whoever decides that: its connection is then no stranger's any more, of which there may be few at a time. */
  vouch(): void;
  /**
   * Watches the peer of this connection closely from now on: one that vanished, or whose host was cut off, is gone within nine seconds. For calls that
   * say to others that their caller is there. A peer whose own event loop stands still for six seconds counts as gone.
   */
  watchPeer(): void;
}

/** How one call is made. Without `timeoutMs` a call has no deadline but the signal. */
export interface CallOptions {
  /** Cancels the call. */
  readonly signal: AbortSignal;
  /** Sent to the server as deadline and kept here too. */
  readonly timeoutMs?: number;
  /** Extra headers; names lower-case. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** The error for a call that was given up: cancelled, unless the reason says more. */
export function abortStatus(signal: AbortSignal): RpcError {
  const reason: unknown = signal.reason;
  if (reason instanceof RpcError) return reason;
  if (reason instanceof DOMException && reason.name === 'TimeoutError') {
    return new RpcError(Code.DEADLINE_EXCEEDED, 'the deadline of the call has passed', { cause: reason });
  }
  return new RpcError(Code.CANCELLED, 'the call was cancelled', { cause: reason });
}

/** What is said of a call whose connection went away with it: whether the server has done it is not known. */
export const CONNECTION_LOST = 'the connection was lost';
