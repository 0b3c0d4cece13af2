import type { Socket } from 'node:net';
import {
  createResponseReader,
  encodeChunk,
  encodeLastChunk,
  encodeRequestHead,
  encodeResponseHead,
  type RequestHead,
  type RequestReader,
} from '../../wire/http1/index.ts';

/**
 * Sends one request on, written anew, and its answer back as it is; then both ends are closed, since the next request may be for another host. Only what
 * became another protocol stays, both ways.
 */
export function forwardRequest(request: {
  readonly client: Socket;
  readonly far: Socket;
  readonly reader: RequestReader;
  readonly head: RequestHead;
}): void {
  const { client, far, reader, head } = request;
  const break_ = () => {
    client.resetAndDestroy();
    far.destroy();
  };
  client.once('close', () => far.destroy());
  far.once('close', () => {
    if (far.readableEnded) client.destroySoon();
    else if (!client.destroyed) client.write('', () => client.resetAndDestroy());
  });
  try {
    far.write(encodeHead(head));
    if (head.expectsContinue) client.write(CONTINUE);
    const body = bodyPump({ far, reader, isChunked: head.body.kind === 'chunked' });
    const hear = (bytes: Buffer) => {
      try {
        reader.push(bytes);
        flow();
      } catch {
        break_();
      }
    };
    const flow = () => {
      const step = body();
      if (step === 'full') {
        client.pause();
        far.once('drain', () => {
          try {
            if (!client.destroyed) flow();
          } catch {
            break_();
          }
        });
      } else if (step === 'more') client.resume();
      else {
        client.off('data', hear);
        if (head.upgrade === undefined)
          client.resume(); // Nothing more of it is heard.
        else client.pause();
      }
    };
    client.on('data', hear);
    flow();
  } catch {
    break_();
    return;
  }
  if (head.upgrade === undefined) far.pipe(client);
  else followUpgrade(request);
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

/** Nothing of the client's is sent behind a request for another protocol, until the answer has changed it; another answer ends it all. */
function followUpgrade({ client, far, reader, head }: Parameters<typeof forwardRequest>[0]): void {
  const answers = createResponseReader({ allowObsText: true });
  answers.expect(head.method, head.upgrade);
  const hear = (bytes: Buffer) => {
    client.write(bytes);
    try {
      answers.push(bytes);
      for (let event = answers.next(); event !== undefined; event = answers.next()) {
        if (event.kind === 'head' && event.head.upgrade !== undefined) {
          far.off('data', hear);
          const rest = reader.takeRest();
          if (rest.length > 0) far.write(rest);
          far.pipe(client);
          client.pipe(far);
          return;
        }
        if (event.kind !== 'end') continue;
        far.end();
        client.end();
        return;
      }
    } catch {
      far.destroy();
    }
  };
  far.on('data', hear);
  far.once('end', () => client.end());
}

function encodeHead(head: RequestHead): Buffer {
  const { method, target, host, fields, body, upgrade, acceptsTrailers } = head;
  const more = upgrade === undefined ? { close: true } : { upgrade };
  return encodeRequestHead({ method, target, host, fields, body, trailers: acceptsTrailers, ...more });
}

const CONTINUE = encodeResponseHead({ status: 100, fields: [], body: { kind: 'none' } });
