import { Code, encodeStatusMessage, type StatusCode } from '../../../../../wire/grpc/index.ts';
import { encodeLastChunk, encodeResponseHead, type Field } from '../../../../../wire/http1/index.ts';
import type { OwnAnswer } from './own-answers.ts';

/** The same as gRPC has it: a status alone, behind which nothing comes. @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md */
export function encodeGrpcRefusal(answer: OwnAnswer, { close }: { readonly close: boolean }): Buffer {
  const { retryAfterS } = answer;
  return encodeResponseHead({
    ...{ status: 200, body: { kind: 'none' }, close },
    fields: [
      { name: 'content-type', value: 'application/grpc' },
      ...statusFields(answer),
      ...(retryAfterS === undefined ? [] : [{ name: 'grpc-retry-pushback-ms', value: String(retryAfterS * 1000) }]),
    ],
  });
}

/** The same behind messages that were shown: a body in chunks ends with it. */
export function encodeGrpcEnd(answer: OwnAnswer): Buffer {
  return encodeLastChunk(statusFields(answer));
}

/** What to do next stands at its end, so what goes before that is cut where all of it would be too long. */
function statusFields(answer: OwnAnswer): readonly Field[] {
  const { message, hint, policies = [] } = answer;
  const told = policies.length === 0 ? '' : ` (policies: ${policies.slice(0, POLICIES_TOLD_MAX).join(', ')})`;
  const why = encodeStatusMessage(`${message}${told}`);
  const next = encodeStatusMessage(`: ${hint}`);
  const mostChars = Math.max(0, MESSAGE_CHARS_MAX - next.length);
  // No code of a byte is cut in two.
  const shown =
    why.length <= mostChars ? why : `${why.slice(0, mostChars - CUT.length).replace(/%[0-9A-F]?$/, '')}${CUT}`;
  return [
    { name: 'grpc-status', value: String(statusOf(answer)) },
    { name: 'grpc-message', value: `${shown}${next}`.trim() },
  ];
}

/** What a client of gRPC does next depends on it: whether it may ask again, above all. */
function statusOf({ status, reason }: OwnAnswer): StatusCode {
  if (reason === 'over-limit') return status === 504 ? Code.DEADLINE_EXCEEDED : Code.RESOURCE_EXHAUSTED;
  if (reason === 'target-answer') return Code.INTERNAL;
  return STATUSES.get(status) ?? (status >= 500 ? Code.INTERNAL : Code.INVALID_ARGUMENT);
}

const STATUSES: ReadonlyMap<number, StatusCode> = new Map([
  [401, Code.UNAUTHENTICATED],
  [403, Code.PERMISSION_DENIED],
  [404, Code.UNIMPLEMENTED],
  [408, Code.UNAVAILABLE],
  [413, Code.RESOURCE_EXHAUSTED],
  [429, Code.RESOURCE_EXHAUSTED],
  [501, Code.UNIMPLEMENTED],
  [502, Code.UNAVAILABLE],
  [503, Code.UNAVAILABLE],
  [504, Code.UNAVAILABLE],
]);
const POLICIES_TOLD_MAX = 10;
/** All fields of a head are 8 KiB for some clients. */
const MESSAGE_CHARS_MAX = 2_048;
const CUT = '...';
