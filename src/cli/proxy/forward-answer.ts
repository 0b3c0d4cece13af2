import type { Socket } from 'node:net';
import type { Clock } from '../../std/index.ts';
import {
  createResponseReader,
  encodeChunk,
  encodeLastChunk,
  encodeResponseHead,
  type RequestHead,
  type ResponseEvent,
  type ResponseHead,
} from '../../wire/http1/index.ts';
import { endBehindAnswer } from './answers.ts';

/** What has become of an answer: it was sent whole; it was another protocol's beginning; or it is none that can be read. */
export interface AnswerEnds {
  whole(): void;
  /** `rest`: what came of it already. */
  changed(rest: Buffer): void;
  broken(): void;
}

/**
 * Sends the one answer on, read and written anew with `connection: close`, and nothing of what its sender says behind it. A client that kept the connection
 * would ask another host by it next, and take that for its answer.
 */
export function forwardAnswer(
  { client, far, head, clock }: { client: Socket; far: Socket; head: RequestHead; clock: Clock },
  ends: AnswerEnds,
): void {
  const answers = createResponseReader(LIMITS);
  answers.expect(head.method, head.upgrade);
  const encode = createAnswerEncoder(head);
  let isOver = false;
  const end = (how: () => void) => {
    isOver = true;
    far.off('data', hear).off('end', cutOff);
    how();
  };
  const send = (event: ResponseEvent) => {
    for (const piece of encode(event)) client.write(piece);
    if (event.kind === 'head' && event.head.upgrade !== undefined) end(() => ends.changed(answers.takeRest()));
    if (event.kind === 'end')
      end(() => {
        endBehindAnswer(client, clock);
        ends.whole();
      });
  };
  const flow = () => {
    try {
      for (let event = answers.next(); event !== undefined && !isOver; event = answers.next()) {
        send(event);
        if (isOver || !client.writableNeedDrain) continue;
        far.pause();
        client.once('drain', () => {
          far.resume();
          if (!isOver) flow();
        });
        return;
      }
    } catch {
      if (!isOver) end(ends.broken);
    }
  };
  const hear = (bytes: Buffer) => {
    answers.push(bytes);
    flow();
  };
  const cutOff = () => {
    try {
      answers.finish();
    } catch {
      return end(ends.broken);
    }
    flow();
    if (!isOver && !client.writableNeedDrain) end(ends.broken);
  };
  far.on('data', hear).once('end', cutOff);
}

/** What of an answer is written: of HTTP/1.0 its client reads no chunks. */
function createAnswerEncoder({ method, version }: RequestHead): (event: ResponseEvent) => readonly Buffer[] {
  let isChunked = false;
  return (event) => {
    switch (event.kind) {
      case 'informational':
        return version === '1.0' ? [] : [encodeHead(event.head, { body: { kind: 'none' } })];
      case 'head': {
        const { head } = event;
        isChunked = head.body.kind === 'chunked' && version === '1.1';
        const body = head.body.kind === 'chunked' && !isChunked ? { kind: 'close' as const } : head.body;
        const { upgrade, announcedBytes } = head;
        const more = upgrade === undefined ? { close: true } : { upgrade };
        return [encodeHead(head, { body, announcedBytes, answersHead: method === 'HEAD', ...more })];
      }
      case 'data':
        return isChunked ? encodeChunk(event.bytes) : [event.bytes];
      case 'end':
        return isChunked ? [encodeLastChunk(event.trailers)] : [];
      default:
        return event satisfies never;
    }
  };
}

function encodeHead(
  { status, reason, fields }: ResponseHead,
  more: Omit<Parameters<typeof encodeResponseHead>[0], 'status' | 'fields'>,
): Buffer {
  return encodeResponseHead({ status, reason, fields, allowObsText: true, ...more });
}

/** Servers elsewhere say much, and not all in ASCII. */
const LIMITS = { allowObsText: true, headBytesMax: 128 * 1024, fieldsMax: 500 };
