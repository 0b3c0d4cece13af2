/**
 * The server's surface: the SPIRE server API and Countersign's control API over gRPC.
 *
 * It promises that every call is authorised anew against who the peer is at that moment, that what is not listed is refused, that
 * no act of an operator happens unrecorded, and that errors become statuses only here. It must not know how anything is issued,
 * stored or attested: it asks the features' doors.
 *
 * `messages/` turns what features have into messages and back; `gateways/` is what gateways are told, and what is known of them.
 */
export type { WriteAudit } from './audit.ts';
export { createServerApi, type ServerApi, type ServerApiDeps } from './server-api.ts';
