import { performServerHandshake, type ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { endInOrder, endTogether } from '../../../../rpc/index.ts';
import type { Clock } from '../../../../std/index.ts';
import { createClientFrames } from '../../../../wire/http2/index.ts';
import { LAST_WORDS_MS } from '../../../listeners/close-in-time.ts';
import { encodeOwnAnswer, type OwnAnswer } from '../session/refusals/own-answers.ts';
import { isGrpcCall } from './request-head.ts';
import { sessionOptions } from './session-options.ts';
import { answerStream } from './stream-answer.ts';
import { watchedStream } from './watched-stream.ts';

/** Tells a client that speaks HTTP/2 why it is not served, as the answer to its first streams, and ends its connection. */
export function refuseHttp2(client: Duplex, clock: Clock, answer: OwnAnswer): void {
  const frames = createClientFrames();
  const stream = watchedStream(client, (chunk, sentBytes) => {
    const isFine = frames.pass(chunk, clock.monotonicMs(), sentBytes) === undefined;
    if (!isFine) client.destroy();
    return isFine;
  });
  const session = performServerHandshake(stream, sessionOptions);
  const late = clock.after(LAST_WORDS_MS, () => client.destroy());
  session.on('error', () => {}); // 'close' follows.
  session.on('stream', (one: ServerHttp2Stream, headers, _flags, rawHeaders) => {
    frames.take(one.id ?? 0);
    one.on('error', () => {});
    if (session.destroyed || one.destroyed) return;
    one.resume();
    const method = headers[':method'] === 'HEAD' ? 'HEAD' : 'GET';
    answerStream(one, {
      bytes: encodeOwnAnswer(answer, { isHead: method === 'HEAD', close: true, isGrpc: isGrpcCall(rawHeaders) }),
      method,
    });
    endInOrder(one);
    session.close();
  });
  endTogether({ session, socket: client, clock, ended: () => late.cancel() });
}
