import { isOneLine, liveSessionLimits } from '../model/index.ts';
import { SessionsError } from './errors.ts';
import { type SessionFilter, sessionLimits } from './types.ts';

/** What is asked reaches gateways and their ledgers. @throws SessionsError ERR_SESSIONS_REQUEST */
export function checkFilter({ ids, identity, target, node, gateway }: SessionFilter): void {
  if (ids.length > sessionLimits.ids) throw wrong(`a filter has ${sessionLimits.ids} ids at most`);
  for (const text of [...ids, identity, target, node, gateway])
    if (text.length > liveSessionLimits.identity || !isOneLine(text)) throw wrong('a filter is no line of text');
}

/** @throws SessionsError ERR_SESSIONS_REQUEST */
export function checkReason(reason: string): void {
  if (reason.length > sessionLimits.reason || !isOneLine(reason))
    throw wrong(`the reason is one line of ${sessionLimits.reason} characters at most`);
}

function wrong(message: string): SessionsError {
  return new SessionsError('ERR_SESSIONS_REQUEST', message);
}
