import { create } from '@bufbuild/protobuf';
import { Sessions } from '@countersign/sdk/contract';
import {
  type SessionFilter as SessionFilterMessage,
  SessionFilterSchema,
  type SessionRef as SessionRefMessage,
} from '@countersign/sdk/contract/gen/countersign/control/v1/sessions_pb.ts';
import { isSessionId } from '../model/index.ts';
import type { Gathered } from '../questions/index.ts';
import { type CallContext, implement, type RpcService } from '../rpc/index.ts';
import { checkFilter, checkReason, type LiveSessions, type SessionRef, sessionLimits } from '../sessions/index.ts';
import type { Audit } from './audit.ts';
import { type Authorizer, actorOf } from './authorize.ts';
import { invalid } from './status.ts';

/** What operators ask of the sessions that run. */
export function sessionsService(deps: {
  sessions: LiveSessions;
  authorizer: Pick<Authorizer, 'callerOf'>;
  audit: Audit;
}): RpcService {
  const { sessions, authorizer, audit } = deps;
  return implement(Sessions, {
    async listSessions(request, context, send) {
      const filter = parseFilter(request.filter);
      const limit = parseLimit(request.limit);
      const askedBy = personOf(authorizer, context);
      const listed = await sessions.list(filter, { limit, askedBy, signal: context.signal });
      for (let start = 0; start < listed.sessions.length; start += SESSIONS_PER_MESSAGE)
        await send({ sessions: listed.sessions.slice(start, start + SESSIONS_PER_MESSAGE) });
      await send({ outcome: outcomeOf(listed, listed.matching) });
    },
    async endSessions(request, context) {
      const { reason } = request;
      checkReason(reason);
      const refs = request.sessions.map(parseRef);
      if (refs.length === 0) throw invalid('no session is named');
      if (refs.length > sessionLimits.sessions)
        throw invalid(`${sessionLimits.sessions} sessions are ended at once at most`);
      const askedBy = personOf(authorizer, context);
      const detail = {
        ...(reason === '' ? {} : { reason }),
        count: refs.length,
        sessions: refs.slice(0, AUDITED_MAX).map(({ id }) => id),
        gateways: Array.from(new Set(refs.map(({ address }) => address))).slice(0, AUDITED_MAX),
      };
      const ended = await audit.act(
        context,
        {
          ...{ target: 'sessions', detail },
          outcome: (of: Awaited<ReturnType<LiveSessions['end']>>) => ({
            ended: of.ended.length,
            ...(of.unanswered.length === 0
              ? {}
              : { unanswered: of.unanswered.slice(0, AUDITED_MAX).map(({ address }) => address) }),
          }),
        },
        () => sessions.end(refs, { reason, askedBy }),
      );
      return { ended: ended.ended.map(refMessage), outcome: outcomeOf(ended, ended.ended.length) };
    },
  });
}

/** Who asks, for the ledgers of gateways: the person where the machine tells. */
function personOf(authorizer: Pick<Authorizer, 'callerOf'>, context: CallContext): string {
  const caller = authorizer.callerOf(context);
  return caller.role === 'admin' && caller.operator !== undefined ? caller.operator.text : actorOf(caller);
}

/** @throws SessionsError ERR_SESSIONS_REQUEST */
function parseFilter(message: SessionFilterMessage | undefined) {
  const filter = message ?? create(SessionFilterSchema);
  checkFilter(filter);
  return filter;
}

/** @throws RpcError INVALID_ARGUMENT */
function parseLimit(limit: number): number {
  if (limit > sessionLimits.sessions) throw invalid(`${sessionLimits.sessions} sessions are listed at most`);
  return limit === 0 ? sessionLimits.listed : limit;
}

/** @throws RpcError INVALID_ARGUMENT */
function parseRef({ gatewaySpiffeId, gatewayAddress, id }: SessionRefMessage): SessionRef {
  if (!isSessionId(id)) throw invalid('no session has such an id');
  if (gatewaySpiffeId === '' || gatewayAddress === '') throw invalid('a session is named with its gateway');
  return { spiffeId: gatewaySpiffeId, address: gatewayAddress, id };
}

function refMessage({ spiffeId, address, id }: SessionRef) {
  return { gatewaySpiffeId: spiffeId, gatewayAddress: address, id };
}

function outcomeOf({ answered, unanswered }: Gathered, matching: number) {
  return {
    matching: BigInt(matching),
    answered: answered.length,
    unanswered: unanswered.map(({ spiffeId, address, why }) => ({ spiffeId, address, why })),
  };
}

/** Of the largest, some megabytes. */
const SESSIONS_PER_MESSAGE = 100;
/** More would not fit a ledger entry. */
const AUDITED_MAX = 1000;
