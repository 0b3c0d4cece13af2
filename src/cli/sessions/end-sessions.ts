import { Sessions } from '@countersign/sdk/contract';
import type {
  LiveSession,
  SessionRef,
  UnansweredGateway,
} from '@countersign/sdk/contract/gen/countersign/control/v1/sessions_pb.ts';
import type { RpcClient } from '../../rpc/index.ts';
import type { CliContext } from '../command.ts';
import { CALL_TIMEOUT_MS } from '../connections/server-options.ts';

/** What became of sessions that were to be ended. */
export interface EndedSessions {
  /** By this. */
  readonly ended: readonly LiveSession[];
  /** Their gateway has answered, and had them no more. */
  readonly over: readonly LiveSession[];
  /** Their gateway has not answered, or not whole. */
  readonly unknown: readonly LiveSession[];
  readonly unanswered: readonly UnansweredGateway[];
}

/** Ends those sessions, and nothing that came since. @throws RpcError */
export async function endSessions(
  client: RpcClient,
  { signal }: Pick<CliContext, 'signal'>,
  { sessions, reason }: { readonly sessions: readonly LiveSession[]; readonly reason: string },
): Promise<EndedSessions> {
  const refs = sessions.map(({ gatewaySpiffeId, gatewayAddress, id }) => ({ gatewaySpiffeId, gatewayAddress, id }));
  const options = { signal, timeoutMs: CALL_TIMEOUT_MS };
  const answer = await client.unary(Sessions.method.endSessions, { sessions: refs, reason }, options);
  const unanswered = answer.outcome?.unanswered ?? [];
  const told = new Set(answer.ended.map(keyOf));
  const silent = new Set(unanswered.map(({ spiffeId, address }) => `${spiffeId} ${address}`));
  const rest = sessions.filter((session) => !told.has(keyOf(session)));
  const isSilent = ({ gatewaySpiffeId, gatewayAddress }: LiveSession) =>
    silent.has(`${gatewaySpiffeId} ${gatewayAddress}`);
  return {
    ended: sessions.filter((session) => told.has(keyOf(session))),
    over: rest.filter((session) => !isSilent(session)),
    unknown: rest.filter(isSilent),
    unanswered,
  };
}

function keyOf({ gatewaySpiffeId, gatewayAddress, id }: Pick<SessionRef, 'gatewaySpiffeId' | 'gatewayAddress' | 'id'>) {
  return `${gatewaySpiffeId} ${gatewayAddress} ${id}`;
}
