/**
 * The server's surface: the SPIRE server API and Countersign's control API over gRPC, and features' endpoints over REST.
 *
 * It promises that every call is authorised anew against who the peer is at that moment, that what is not listed is refused, that
 * no act of an operator happens unrecorded, and that errors become statuses only here. It must not know how anything is issued,
 * stored or attested: it asks the features' doors.
 *
 * `messages/` turns what features have into messages and back; `gateways/` is what gateways are told, and what is known of them; `access/` decides by
 * policies who may do what, `rest/` serves endpoints, and `apply/` is what is done alike by both doors.
 */

export { type AccessPolicies, createAccessPolicies } from './access/access-policies.ts';
export { accessSchema } from './access/access-schema.ts';
export { builtInPolicy } from './access/built-in-policy.ts';
export { defaultPolicy } from './access/default-policy.ts';
export { endpoints } from './access/endpoints.ts';
export { accessMigrations } from './access/migrations.ts';
export { endpointsOfKinds } from './apply/endpoints.ts';
export type { WriteAudit } from './audit.ts';
export { createRest, type RestDeps } from './rest/create-rest.ts';
export { restMigrations } from './rest/idempotency.ts';
export type { RestServer } from './rest/rest-server.ts';
export { createServerApi, type ServerApi, type ServerApiDeps } from './server-api.ts';
