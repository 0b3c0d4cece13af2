/**
 * The sessions that run on all gateways: asks for them, and has them ended.
 *
 * It promises: what is listed is as gateways say it at that moment, each of its own sessions alone, and none of it can move a cursor or fill a
 * memory; what is ended is what was named, by its gateway and its id, and nothing that came since; gateways that did not answer are named. It
 * keeps nothing. It must not know who may ask.
 */
export { checkFilter, checkReason } from './check-asked.ts';
export { endpoints, type SessionEndpointNeeds } from './endpoints.ts';
export { errorTable, SessionsError } from './errors.ts';
export { createLiveSessions } from './live-sessions.ts';
export {
  type EndedSessions,
  type ListedSessions,
  type LiveSession,
  type LiveSessions,
  type SessionFilter,
  type SessionRef,
  sessionLimits,
} from './types.ts';
