import { Code, encodeStatusMessage, type StatusCode } from '../../../../../wire/grpc/index.ts';
import { encodeResponseHead } from '../../../../../wire/http1/index.ts';
import type { OwnAnswer } from './own-answers.ts';

/** The same as gRPC has it: a status alone, behind which nothing comes. @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md */
export function encodeGrpcRefusal(answer: OwnAnswer, { close }: { readonly close: boolean }): Buffer {
  const { message, hint, policies = [], retryAfterS } = answer;
  const told = policies.length === 0 ? '' : ` (policies: ${policies.slice(0, POLICIES_TOLD_MAX).join(', ')})`;
  return encodeResponseHead({
    ...{ status: 200, body: { kind: 'none' }, close },
    fields: [
      { name: 'content-type', value: 'application/grpc' },
      { name: 'grpc-status', value: String(statusOf(answer)) },
      { name: 'grpc-message', value: encodeStatusMessage(`${message}${told}: ${hint}`).trim() },
      ...(retryAfterS === undefined ? [] : [{ name: 'grpc-retry-pushback-ms', value: String(retryAfterS * 1000) }]),
    ],
  });
}

/** What a client of gRPC does next depends on it: whether it may ask again, above all. */
function statusOf({ status, reason }: OwnAnswer): StatusCode {
  if (reason === 'over-limit') return Code.RESOURCE_EXHAUSTED;
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
