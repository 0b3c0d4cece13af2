import { BodyReader } from './body.ts';
import { Http1Error } from './errors.ts';
import { Input } from './input.ts';
import type { Http1Limits } from './limits.ts';
import type { BodyEvent, BodyLength } from './message.ts';

/** Reads the messages of one direction of one connection. */
export interface MessageReader<Event> {
  /** Takes the next bytes of the connection; they must not change afterwards. How many are held is for the caller to bound, by reading. */
  push(chunk: Buffer): void;
  /**
   * What comes next; undefined while more bytes are needed, and for ever once the connection has ended between messages. `data` is a part of
   * what was pushed, not a copy.
   *
   * @throws Http1Error for whatever can not be read in one way alone, and then always: nothing behind it means anything.
   */
  next(): Event | undefined;
  /**
   * Says that no more bytes come. What was pushed can still be read.
   *
   * @throws ERR_HTTP1_CUT when that is amid a message; or `next` does, once what was pushed is read.
   */
  finish(): void;
  /** Bytes held that were not shown yet. */
  readonly bufferedBytes: number;
  /** All bytes that were not read, which are no longer held: what follows an upgrade. */
  takeRest(): Buffer;
  /** As that, from the head on that was read last, or that could not be: whoever gets it reads that message anew. Not once its body was begun. */
  takeFromHead(): Buffer;
  /** True when the message before was read to its end and nothing of a next one has come. */
  readonly isBetween: boolean;
}

/** What differs between requests and responses. */
export interface HeadReader<HeadEvent> {
  /** The text of the next head; undefined while it has not come whole. */
  lines(input: Input): string | undefined;
  /** Undefined for `body`: another head follows at once. */
  read(text: string): { readonly event: HeadEvent; readonly body: BodyLength | undefined };
  /** True when a message has begun though nothing of its next head may be there. */
  readonly isAmid: boolean;
}

export function createMessageReader<HeadEvent>(
  limits: Http1Limits,
  heads: HeadReader<HeadEvent>,
): MessageReader<HeadEvent | BodyEvent> {
  const input = new Input();
  const body = new BodyReader(input, limits);
  let isFinished = false;
  let failure: unknown;
  let lastHead = '';

  const isCut = () => body.isWaiting || (body.hasEnded && (heads.isAmid || input.bufferedBytes > 0));
  const checkCut = () => {
    if (isFinished && isCut()) throw new Http1Error('ERR_HTTP1_CUT', 'the connection ended within a message');
    return undefined;
  };
  const read = () => {
    if (!body.hasEnded) return body.next() ?? checkCut();
    lastHead = '';
    const text = heads.lines(input);
    if (text === undefined) return checkCut();
    lastHead = text;
    const head = heads.read(text);
    if (head.body !== undefined) body.begin(head.body);
    return head.event;
  };
  /** Whatever is thrown once is thrown ever after. */
  const guarded = <T>(work: () => T): T => {
    if (failure !== undefined) throw failure;
    try {
      return work();
    } catch (error) {
      failure = error;
      throw error;
    }
  };

  return {
    push: (chunk) => input.push(chunk),
    next: () => guarded(read),
    finish() {
      isFinished = true;
      body.finish();
      if (failure === undefined && !input.hasUnread) guarded(checkCut);
    },
    get bufferedBytes() {
      return input.bufferedBytes;
    },
    takeRest: () => input.takeRest(),
    takeFromHead: () => Buffer.concat([Buffer.from(lastHead, 'latin1'), input.takeRest()]),
    get isBetween() {
      return body.hasEnded && !heads.isAmid && input.bufferedBytes === 0;
    },
  };
}
