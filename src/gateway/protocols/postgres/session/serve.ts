import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Log } from '../../../../std/index.ts';
import {
  type ErrorText,
  encodeAuthenticationOk,
  encodeBackendKeyData,
  encodeNegotiateVersion,
  encodeParameterStatus,
  encodeReadyForQuery,
  encodeTerminate,
} from '../../../../wire/postgres/index.ts';
import type { Pipeline } from '../../../sessions/pipeline.ts';
import { endOf, type GatewaySession } from '../../../sessions/session.ts';
import { endClient, endTarget } from '../end-connections.ts';
import type { CancelKey } from '../login/cancel.ts';
import type { SessionStart } from '../login/startup.ts';
import type { Upstream } from '../login/upstream.ts';
import { ledgerText, refusalText } from '../refusal.ts';
import { Answers } from './answers.ts';
import { Conversation, type ConversationDeps } from './conversation.ts';
import { Requests } from './requests.ts';

/** What one running session is made of. */
export interface ServeOptions {
  readonly session: GatewaySession;
  readonly upstream: Upstream;
  readonly start: SessionStart;
  readonly key: CancelKey;
  /** Bytes that came behind the start-up packet. */
  readonly rest: Buffer;
  readonly conversation: ConversationDeps;
  readonly log: Log;
  refreshCatalog(): Promise<void>;
  cancelUpstream(): Promise<void>;
  /** Gets what to do when the client cancels: false where nothing is held for people that ends by it. */
  onCancel(cancelHeld: () => boolean): void;
  /** As `cancelUpstream`, of a session that has ended: its connection is held until this settles, which is soon. */
  endUpstream(): Promise<void>;
}

/** Carries one session between client and target until either side, or the session's signal, ends it. Owns both sockets. */
export function serve(options: ServeOptions): Promise<void> {
  return new Carrier(options).run();
}

class Carrier {
  readonly #options: ServeOptions;
  readonly #client: Duplex;
  readonly #target: Socket;
  readonly #conversation: Conversation;
  readonly #requests: Requests;
  readonly #pipeline: Pipeline;
  readonly #answers: Answers;
  readonly #finished = Promise.withResolvers<void>();
  #over = false;
  /** The client wants nothing more than what it has asked for. */
  #leaving = false;
  /** The target was told that nothing more comes. */
  #dismissed = false;
  /** The session ends, with that error if there is one, when the client has got what still waits for the ledger. */
  #ending: { readonly error: ErrorText | undefined } | undefined;

  constructor(options: ServeOptions) {
    this.#options = options;
    this.#client = options.session.client;
    this.#target = options.upstream.socket;
    this.#conversation = new Conversation(options.conversation);
    const fail = (error: ErrorText) => this.#finish(error);
    const guard = (act: () => void) => {
      this.#guard(act);
      this.#flow();
      this.#drainWhenIdle();
      this.#endWhenDelivered();
    };
    const { log } = options;
    this.#pipeline = options.session.gate.pipeline({
      forward: (pieces) => write(this.#target, pieces),
      deliver: (pieces) => this.#deliver(pieces),
      resume: () => this.#requests.pump(),
      stop: (running, limit) => {
        this.#requests.stopOperation();
        this.#answers.stopOperation(running, limit);
      },
      fail: (of, error) => fail(of === 'requests' ? ledgerText('FATAL', error) : LEDGER_LOST),
      guard,
    });
    const pipeline = this.#pipeline;
    const requests = {
      refreshCatalog: () => this.#waitFor(options.refreshCatalog(), 'gateway.postgres.catalog_failed'),
      fail,
      guard,
      terminated: () => this.#leave(),
    };
    this.#requests = new Requests(this.#conversation, { port: requests, pipeline });
    const answers = {
      cancel: () => this.#waitFor(options.cancelUpstream(), 'gateway.postgres.cancel_failed'),
      fail,
      ended: () => this.#end(undefined),
    };
    this.#answers = new Answers(this.#conversation, { port: answers, pipeline, log });
  }

  run(): Promise<void> {
    const { session, log, rest } = this.#options;
    const client = this.#client;
    const target = this.#target;
    this.#options.onCancel(() => {
      const isHeld = !this.#over && this.#pipeline.isHolding;
      if (isHeld) this.#pipeline.endHold('cancelled');
      return isHeld;
    });
    session.signal.addEventListener('abort', this.#onEnd, { once: true });
    session.drain.addEventListener('abort', this.#drainWhenIdle, { once: true });
    client.on('data', (chunk: Buffer) => this.#guard(() => this.#fromClient(chunk)));
    target.on('data', (chunk: Buffer) => this.#guard(() => this.#fromTarget(chunk)));
    client
      .on('drain', this.#flow)
      .on('end', () => this.#guard(() => this.#clientEnded()))
      .on('close', this.#clientGone)
      .on('error', this.#clientGone);
    target.on('error', (error) => log.warn('gateway.postgres.target_lost', { error }));
    target.on('drain', this.#flow).on('end', this.#targetGone).on('close', this.#targetGone);
    if (session.signal.aborted) this.#onEnd();
    else if (client.destroyed) this.#clientGone();
    else if (target.destroyed) this.#targetGone();
    else if (session.drain.aborted) this.#finish(refusalText(endOf(session.drain)));
    else {
      write(client, greeting(this.#options));
      if (rest.length > 0) this.#requests.push(rest);
      this.#guard(() => this.#requests.pump());
      this.#flow();
    }
    return this.#finished.promise;
  }

  #fromClient(chunk: Buffer) {
    if (this.#over || this.#ending !== undefined) return;
    this.#requests.push(chunk);
    this.#requests.pump();
    this.#flow();
  }

  #fromTarget(chunk: Buffer) {
    if (this.#over) return;
    const conversation = this.#conversation;
    this.#answers.take(chunk);
    this.#release();
    if (conversation.catalogChanged && conversation.idle) {
      conversation.catalogChanged = false;
      const taken = this.#options.refreshCatalog().then(() => conversation.snapshotTaken());
      this.#waitFor(taken, 'gateway.postgres.catalog_failed');
    }
    this.#requests.pump();
    this.#flow();
    this.#drainWhenIdle();
    this.#endWhenDelivered();
  }

  /** Reads from each side only as long as the other takes, and nothing has to wait. */
  readonly #flow = () => {
    if (this.#over) return;
    this.#account();
    if (this.#over) return; // It was this session that held too much.
    if ((this.#requests.stuck && !this.#requests.readsOn) || this.#target.writableNeedDrain) this.#client.pause();
    else this.#client.resume();
    if (this.#pipeline.isCongested || this.#client.writableLength > UNTAKEN_BYTES_MAX) this.#target.pause();
    else this.#target.resume();
  };

  /** What runs at the target would go on there until that looks at its client: every five seconds, or, before version 14, when it is done. */
  readonly #onEnd = () => {
    const { session, endUpstream } = this.#options;
    const { replies } = this.#conversation;
    const runs = replies.length > 0 || replies.open;
    this.#finish(refusalText(endOf(session.signal)), runs ? endUpstream : undefined);
  };

  readonly #drainWhenIdle = () => {
    const { drain } = this.#options.session;
    if (!drain.aborted || !this.#conversation.idle || !this.#pipeline.isDelivered) return;
    // What was read and waits, for a catalog say, was asked for in time.
    if (!this.#requests.stuck) this.#finish(refusalText(endOf(drain)));
  };

  /** Whoever waits for people has gone with it; what else it asked for is carried out, as by PostgreSQL itself. */
  #clientEnded() {
    this.#pipeline.endHold('gone');
    this.#requests.end();
  }

  readonly #clientGone = () => this.#finish(undefined);

  readonly #targetGone = () => this.#end(this.#leaving ? undefined : TARGET_LOST);

  /** The client said goodbye. As by PostgreSQL itself, what it asked for before is carried out and answered first. */
  #leave() {
    this.#leaving = true;
    this.#endWhenDelivered();
    if (this.#over) return;
    // Without the end of this side: what stands between (a pooler, a balancer) may take that for the end of both.
    this.#dismissed = true;
    write(this.#target, [encodeTerminate()]);
  }

  #end(error: ErrorText | undefined) {
    this.#ending ??= { error };
    this.#endWhenDelivered();
  }

  #endWhenDelivered() {
    if (!this.#pipeline.isDelivered) return;
    if (this.#ending !== undefined) this.#finish(this.#ending.error);
    else if (this.#leaving && this.#conversation.replies.length === 0) this.#finish(undefined);
  }

  /** Tells what is held for this session in memory; if all sessions hold too much, that may be its end. */
  #account() {
    const { statements, portals, factsBytes } = this.#conversation;
    const read = this.#requests.heldBytes + this.#answers.heldBytes;
    const unsent = this.#pipeline.heldBytes + this.#client.writableLength + this.#target.writableLength;
    this.#options.session.memory.hold(read + unsent + statements.bytes + portals.bytes + factsBytes);
  }

  #deliver(pieces: readonly Buffer[]) {
    if (!this.#over) write(this.#client, pieces, this.#delivered);
  }

  readonly #delivered = () => {
    this.#release();
    this.#flow();
  };

  /** Once the client has taken all that there was, its memory can be used again: long answers pass through the same few buffers. */
  #release() {
    if (this.#client.writableLength > 0 || !this.#pipeline.isDelivered || this.#answers.holdsChunk) return;
    this.#answers.recycle();
    this.#options.upstream.release();
  }

  /** Holds the client's messages back while that goes on; they are judged by what is known then, whether it went well or not. */
  #waitFor(work: Promise<void>, event: string) {
    const go = this.#requests.wait();
    work
      .catch((error) => this.#options.log.warn(event, { error }))
      .finally(() => {
        if (this.#over) return;
        this.#guard(go);
        this.#flow();
        this.#drainWhenIdle();
      });
  }

  /** Whatever is thrown here is a bug; it costs this session, not the gateway, and nothing more is forwarded. */
  #guard(act: () => void) {
    try {
      act();
    } catch (error) {
      this.#options.log.error('gateway.postgres.session_bug', { error });
      this.#finish({ severity: 'FATAL', sqlstate: 'XX000', message: 'the gateway failed; the session is ended' });
    }
  }

  #finish(error: ErrorText | undefined, cancel?: () => Promise<void>) {
    if (this.#over) return;
    this.#over = true;
    this.#options.session.signal.removeEventListener('abort', this.#onEnd);
    this.#options.session.drain.removeEventListener('abort', this.#drainWhenIdle);
    this.#requests.stop();
    this.#answers.stop();
    this.#pipeline.close();
    this.#endTarget(cancel);
    const last = this.#answers.isAmid ? undefined : error;
    endClient(this.#client, last, this.#conversation.encoding.coding.encode);
    this.#finished.resolve();
  }

  /**
   * What is cancelled is so first: process and key are this connection's own only as long as it is held; a pooler may give both to the next one.
   */
  #endTarget(cancel: (() => Promise<void>) | undefined) {
    const { log, conversation } = this.#options;
    const target = this.#target;
    const end = () => endTarget(target, conversation.clock, this.#dismissed ? undefined : encodeTerminate());
    if (cancel === undefined || target.destroyed) return end();
    target.resume(); // Nobody takes it any more, and a target that can't write does not hear.
    cancel()
      .catch((error) => log.warn('gateway.postgres.cancel_failed', { error }))
      .finally(end);
  }
}

function greeting(options: ServeOptions): Buffer[] {
  const { start, upstream, key } = options;
  const messages: Buffer[] = [];
  if (start.negotiate !== undefined) messages.push(encodeNegotiateVersion(start.minor, start.negotiate));
  messages.push(encodeAuthenticationOk());
  for (const [name, value] of upstream.parameters) messages.push(encodeParameterStatus(name, value));
  messages.push(encodeBackendKeyData(key.processId, key.key), encodeReadyForQuery('I'));
  return messages;
}

/**
 * One system call for small pieces, and one for many. `taken` hears when the stream has taken them, unless they are few bytes behind
 * nothing else: so whoever waits for more than that many bytes to be taken will hear of it.
 */
function write(stream: Duplex, pieces: readonly Buffer[], taken?: () => void): void {
  const [first] = pieces;
  if (first === undefined || stream.destroyed || stream.writableEnded) return;
  let bytes = 0;
  for (const piece of pieces) bytes += piece.length;
  const isFew = bytes <= JOIN_BYTES_MAX;
  const heard = isFew && stream.writableLength === 0 ? undefined : taken;
  if (pieces.length === 1 || isFew) {
    stream.write(pieces.length === 1 ? first : Buffer.concat(pieces, bytes), heard);
    return;
  }
  stream.cork();
  for (const [i, piece] of pieces.entries()) stream.write(piece, i === pieces.length - 1 ? heard : undefined);
  stream.uncork();
}

/** What a client has not taken when the target is not read on; more than `write` lets pass unheard. */
const UNTAKEN_BYTES_MAX = 32 * 1024;
const TARGET_LOST: ErrorText = {
  severity: 'FATAL',
  sqlstate: '08006',
  message: 'the gateway lost the connection to the target',
  hint: 'Whether the last statement was carried out is not known. Connect again.',
};
const LEDGER_LOST: ErrorText = {
  severity: 'FATAL',
  sqlstate: '58030',
  message: 'the gateway’s ledger can not be written',
};
/** Copying this much costs less than a vector write with many parts. */
const JOIN_BYTES_MAX = 16 * 1024;
