import type { Socket } from 'node:net';
import type { Clock } from '../../std/index.ts';
import {
  encodeChunk,
  encodeLastChunk,
  encodeRequestHead,
  encodeResponseHead,
  type RequestHead,
  type RequestReader,
} from '../../wire/http1/index.ts';
import { forwardAnswer } from './forward-answer.ts';

/** One request, and where it goes. */
export interface Forwarded {
  readonly client: Socket;
  readonly far: Socket;
  readonly reader: RequestReader;
  readonly head: RequestHead;
  readonly clock: Clock;
  /** Told when the other end's answer is none, and the client has heard nothing yet. */
  refuse(): void;
}

/**
 * Sends one request on, and its answer back, both written anew; then both ends are closed, since the next request may be for another host. Only what
 * became another protocol stays, both ways.
 */
export function forwardRequest(request: Forwarded): void {
  const { client, far, head } = request;
  const cut = () => {
    far.destroy();
    if (!client.destroyed) client.write('', () => client.resetAndDestroy());
  };
  let isAnswered = false;
  let stop = () => {};
  const answered = () => {
    isAnswered = true;
    stop();
  };
  const fail = () => {
    answered();
    far.destroy();
    if (client.bytesWritten <= (head.expectsContinue ? CONTINUE.length : 0)) request.refuse();
    else cut();
  };
  client.once('close', () => far.destroy());
  far.once('close', () => {
    if (!isAnswered && !client.destroyed) fail();
  });
  try {
    far.write(encodeHead(head));
    if (head.expectsContinue) client.write(CONTINUE);
    stop = sendBody(request, cut);
    forwardAnswer(request, {
      whole() {
        answered();
        far.destroy();
      },
      changed(rest) {
        answered();
        followChanged(request, rest);
      },
      broken: fail,
    });
  } catch {
    cut();
  }
}

/** Sends what comes of the body, as fast as the other end takes it; a client that leaves amid it ends both. Returns what stops it. */
function sendBody({ client, far, reader, head }: Forwarded, cut: () => void): () => void {
  const body = bodyPump({ far, reader, isChunked: head.body.kind === 'chunked' });
  const stop = () => {
    client.off('data', hear).off('end', cut);
    if (head.upgrade === undefined) client.resume(); // Nothing more of it is heard.
  };
  const flow = () => {
    try {
      const step = body();
      if (step === 'more') {
        if (client.readableEnded) return cut();
        client.resume();
      } else if (step === 'full') {
        client.pause();
        far.once('drain', () => {
          if (!client.destroyed) flow();
        });
      } else {
        stop();
        // Nothing of it is sent behind a request for another protocol, until the answer has changed it.
        if (head.upgrade !== undefined) client.pause();
      }
    } catch {
      cut();
    }
  };
  const hear = (bytes: Buffer) => {
    reader.push(bytes);
    flow();
  };
  client.on('data', hear).once('end', cut);
  flow();
  return stop;
}

/** Each time it is asked, it sends what has come of the body. Throws what the codec refuses. */
function bodyPump({ far, reader, isChunked }: { far: Socket; reader: RequestReader; isChunked: boolean }) {
  return (): 'more' | 'full' | 'over' => {
    for (let event = reader.next(); event !== undefined; event = reader.next()) {
      if (event.kind === 'head') return 'over';
      if (event.kind === 'end') {
        if (isChunked) far.write(encodeLastChunk(event.trailers));
        return 'over';
      }
      for (const piece of isChunked ? encodeChunk(event.bytes) : [event.bytes]) far.write(piece);
      if (far.writableNeedDrain) return 'full';
    }
    return 'more';
  };
}

/** Another protocol is spoken from now on, both ways. */
function followChanged({ client, far, reader }: Forwarded, rest: Buffer): void {
  if (rest.length > 0) client.write(rest);
  const early = reader.takeRest();
  if (early.length > 0) far.write(early);
  far.once('close', () => {
    if (far.readableEnded) client.destroySoon();
    else if (!client.destroyed) client.write('', () => client.resetAndDestroy());
  });
  far.pipe(client);
  client.pipe(far);
}

function encodeHead(head: RequestHead): Buffer {
  const { method, target, host, fields, body, upgrade, acceptsTrailers } = head;
  const more = upgrade === undefined ? { close: true } : { upgrade };
  return encodeRequestHead({ method, target, host, fields, body, trailers: acceptsTrailers, ...more });
}

const CONTINUE = encodeResponseHead({ status: 100, fields: [], body: { kind: 'none' } });
