/**
 * The REST API of a Countersign server for pages that the server itself serves: the same client, by `fetch`.
 *
 * It promises what the client of `sdk/src/client` does, but for who the server is: that the browser has made sure of. It must not know `node:`.
 */
export type {
  ApiAnswer,
  ApiCallOptions,
  ApiClient,
  ApiEvent,
  ApiFollowOptions,
  PagedName,
} from '../client/api-client.ts';
export { ApiProblem } from '../client/api-problem.ts';
export type { CallName, FollowName, Operations } from '../client/operations.generated.ts';
export { createBrowserClient } from './browser-client.ts';
