/**
 * HTTP through the gateway: the protocol member `http`.
 *
 * It promises that each request is understood in one way, decided and recorded before a byte of it reaches the upstream, that what goes there is made
 * anew from what was decided, with the target's credential and without the client's own, and that masked fields of an answer leave by nothing in it. It
 * must not know how a client was authenticated, where policies come from, or how the ledger is kept.
 *
 * The rooms: `meaning` (what a request asks of policy, and which fields go on), `session` (both directions of one client's connection, request by
 * request), `http2` (clients that send many at once, each stream by a lane of `session`) and `upstream` (the connection there, over which HTTP/1.1 is spoken whatever the upstream speaks, and its credential). `target.ts` puts them together; `local.ts` is the agent's half.
 */
import type { ProtocolMember } from '../../protocol.ts';
import { checkConfig, configSchema, routesOf } from './config.ts';
import { policySchema } from './meaning/policy-schema.ts';

/** The HTTP protocol member. */
export const member = {
  kind: 'protocol',
  id: 'http',
  summary:
    'HTTP/1.1 and HTTP/2: requests decided one by one, JSON fields masked by path, the API’s credential put in by the gateway.',
  config: configSchema,
  policySchema,
  checkConfig,
  namesServed: routesOf,
  command: 'request',
  load: async () => (await import('./path.ts')).path,
} as const satisfies ProtocolMember;
