import { isOneLine, isSessionId, liveSessionLimits, matchesSession } from '../model/index.ts';
import type { GatewayAddress } from '../questions/index.ts';
import { SessionsError } from './errors.ts';
import type { LiveSession, SessionFilter } from './types.ts';

/**
 * What a gateway says of one of its sessions, which operators read on their terminals: within its limits, one line each. Whose session it is,
 * is told by the connection that the answer came over; what it says of that itself is dropped. @throws SessionsError ERR_SESSIONS_ANSWER
 */
export function parseAnswered(session: LiveSession, gateway: GatewayAddress, filter: SessionFilter): LiveSession {
  const { text, identity, shape, masks } = liveSessionLimits;
  if (!isSessionId(session.id)) throw wrong('the id of a session is none');
  if (session.door !== 'agent' && session.door !== 'direct') throw wrong('a session came by neither door');
  checkText(session.identity, identity);
  checkText(session.node, identity);
  for (const told of [session.target, session.peer, session.executable, session.application, session.driver])
    checkText(told, text);
  for (const operation of [session.current, session.last]) {
    checkText(operation?.action ?? '', text);
    checkText(operation?.shape ?? '', shape);
  }
  if (session.masks.length > masks) throw wrong('a session has more masks than are told');
  for (const mask of session.masks) checkText(mask, text);
  if (!matchesSession(filter, session)) throw wrong('a session was not asked for');
  return { ...session, gatewaySpiffeId: gateway.spiffeId, gatewayAddress: gateway.address };
}

function checkText(told: string, charsMax: number): void {
  if (told.length > charsMax) throw wrong(`a text has more than ${charsMax} characters`);
  if (!isOneLine(told)) throw wrong('a text is not one line of characters that can be shown');
}

function wrong(message: string): SessionsError {
  return new SessionsError('ERR_SESSIONS_ANSWER', message);
}
