/**
 * PostgreSQL through the gateway: the protocol member `postgres`.
 *
 * It promises that each statement is understood, decided and recorded before it reaches the server, that masked columns are masked by
 * where they come from, and that a denial is an ordinary error of the server. It must not know how a client was authenticated, where
 * policies come from, or how the ledger is kept.
 *
 * The rooms: `login` (how a client comes in, and how the gateway logs in at the server), `catalog` (what is at the server, kept fresh, and held
 * against what policies name), `session` (both directions of one session, request by request) and `sql` (what a text means). `target.ts` puts
 * them together; `local.ts` is the agent's half.
 */
import type { ProtocolMember } from '../../protocol.ts';
import { checkConfig, configSchema, databasesOf } from './config.ts';
import { policySchema } from './sql/policy-schema.ts';

/** The PostgreSQL protocol member. */
export const member = {
  kind: 'protocol',
  id: 'postgres',
  summary: 'PostgreSQL wire protocol 3.0 and 3.2: statements decided one by one, columns masked by provenance.',
  config: configSchema,
  policySchema,
  checkConfig,
  namesServed: databasesOf,
  command: 'sql',
  load: async () => (await import('./path.ts')).path,
} as const satisfies ProtocolMember;
