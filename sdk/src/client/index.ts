/**
 * The REST API of a Countersign server, with types.
 *
 * It promises that every operation of `docs/reference/openapi.json` can be called with its input's type and answers with its output's, that a server
 * is who it should be before anything is sent to it, and that a problem keeps its code. It must not know anything but `node:` and identities.
 */
export type {
  ApiAnswer,
  ApiCallOptions,
  ApiClient,
  ApiEvent,
  ApiFollowOptions,
  PagedName,
} from './api-client.ts';
export { ApiProblem } from './api-problem.ts';
export { lookupOf } from './localhost.ts';
export type { CallName, FollowName, Operations } from './operations.generated.ts';
export { type ApiPlace, createApiClient } from './transport.ts';
