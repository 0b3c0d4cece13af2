import { type Exchange, newExchange, noHead } from '../exchange.ts';
import { encodeGrpcEnd } from './grpc-refusal.ts';
import { encodeOwnAnswer, type OwnAnswer } from './own-answers.ts';

/** A stream of HTTP/2 whose requests come by a connection of HTTP/1.1 within the process. */
export interface ServedStream {
  /** Its answer, of which some was shown, breaks off: that is why. */
  broken(answer: OwnAnswer): void;
}

/** The gateway's own answer to a request. */
export function answerTo({ head, isGrpc }: Exchange, answer: OwnAnswer, close: boolean): Buffer {
  return encodeOwnAnswer(answer, { isHead: head.method === 'HEAD', isGrpc, close });
}

/** What a session says as it ends, and how its connection does: see `endClient`. `isBehind`: something of an answer waits; `isCut`: one was cut. */
export function lastWord(
  exchange: Exchange | undefined,
  answer: OwnAnswer | undefined,
  { stream, isBehind, isCut }: { stream: ServedStream | undefined; isBehind: boolean; isCut: boolean },
): { readonly last: Buffer | undefined; readonly isCut: boolean; readonly breaks: boolean } {
  const isShown = exchange?.answer?.isShown === true && !exchange.isAnswered;
  const isAmid = isCut || isBehind || exchange?.phase === 'tunnel' || isShown;
  const isOwed = answer !== undefined && !isAmid && exchange?.isAnswered !== true;
  if (isOwed) return { last: answerTo(exchange ?? newExchange(noHead), answer, true), isCut: false, breaks: false };
  const last = isBehind || isCut ? undefined : endTo(exchange, answer, stream);
  const breaks = isAmid && last === undefined && exchange?.answer?.endsByClose === true;
  return { last, isCut: isAmid && last === undefined, breaks };
}

/**
 * The end of an answer of which some was shown, as clients of gRPC take it for a failure: undefined where there is none. Only on a stream: between two of
 * HTTP/1.1 may be others, that know nothing of gRPC and take for whole what has an end.
 */
export function endTo(
  exchange: Exchange | undefined,
  answer: OwnAnswer | undefined,
  stream: ServedStream | undefined,
): Buffer | undefined {
  if (exchange === undefined || answer === undefined || stream === undefined) return undefined;
  const takes = exchange.isGrpc && exchange.phase !== 'tunnel' && exchange.answer?.takesTrailers === true;
  return takes && !exchange.isAnswered ? encodeGrpcEnd(answer) : undefined;
}
