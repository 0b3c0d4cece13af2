import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  EndAnswerSchema,
  EndQuestionSchema,
  SessionsAnswerSchema,
  SessionsQuestionSchema,
} from '@countersign/sdk/contract/gen/countersign/control/v1/sessions_pb.ts';
import { type GatewayAddress, gatewayKey, type Questions } from '../questions/index.ts';
import type { Clock } from '../std/index.ts';
import { SessionsError } from './errors.ts';
import { createFollowing } from './follow-sessions.ts';
import { parseAnswered } from './parse-answered.ts';
import { type LiveSession, type LiveSessions, type SessionFilter, type SessionRef, sessionLimits } from './types.ts';

/** Creates them over questions; `present` tells the gateways that are connected, to any server. */
export function createLiveSessions(deps: {
  questions: Pick<Questions, 'ask'>;
  present: () => Promise<readonly GatewayAddress[]>;
  clock: Clock;
}): LiveSessions {
  const { questions, present, clock } = deps;
  const list: LiveSessions['list'] = async (filter, { limit, askedBy, signal }) => {
    const { gateway, ...asked } = filter;
    const question = create(SessionsQuestionSchema, { filter: { ...asked, gateway: '' }, limit });
    const body = toBinary(SessionsQuestionSchema, question);
    const gathering = createGathering(filter, limit);
    const gathered = await questions.ask(
      { kind: 'sessions.list', askedBy, body: gateway === '' ? body : await bodiesFor(gateway, body, present) },
      { waitMs: LIST_MS_MAX, signal, take: gathering.take },
    );
    return { ...gathered, ...gathering.result() };
  };
  return {
    list,
    follow: createFollowing({ list, clock }),
    async end(sessions, { reason, askedBy }) {
      if (sessions.length === 0) return { ended: [], answered: [], unanswered: [] };
      if (sessions.length > sessionLimits.sessions)
        throw new SessionsError('ERR_SESSIONS_REQUEST', `${sessionLimits.sessions} sessions are ended at once at most`);
      const wanted = byGateway(sessions);
      const body = Array.from(wanted.values(), ({ spiffeId, address, ids }) => ({
        ...{ spiffeId, address },
        body: toBinary(EndQuestionSchema, create(EndQuestionSchema, { ids: [...ids], reason })),
      }));
      const ended: SessionRef[] = [];
      const gathered = await questions.ask(
        { kind: 'sessions.end', askedBy, body },
        {
          waitMs: END_MS_MAX,
          signal: NEVER,
          take({ spiffeId, address }, page) {
            const ids = wanted.get(gatewayKey({ spiffeId, address }))?.ids ?? new Set();
            // What it was not told to end it may say what it likes of.
            for (const id of fromBinary(EndAnswerSchema, page, KNOWN_ALONE).ended)
              if (ids.delete(id)) ended.push({ spiffeId, address, id });
          },
        },
      );
      return { ...gathered, ended };
    },
  };
}

/** Puts together what gateways answer, and keeps the newest of it. */
function createGathering(filter: SessionFilter, limit: number) {
  let sessions: LiveSession[] = [];
  const seen = new Set<string>();
  let matching = 0;
  return {
    take(gateway: GatewayAddress, page: Uint8Array) {
      const answer = fromBinary(SessionsAnswerSchema, page, KNOWN_ALONE);
      const found = answer.sessions.map((session) => parseAnswered(session, gateway, filter));
      for (const session of found) {
        const key = `${gatewayKey(gateway)} ${session.id}`;
        if (seen.has(key)) throw new SessionsError('ERR_SESSIONS_ANSWER', 'two sessions have one id');
        seen.add(key);
      }
      if (answer.matching > MATCHING_MAX)
        throw new SessionsError('ERR_SESSIONS_ANSWER', 'no gateway has so many sessions');
      matching += Number(answer.matching);
      sessions = [...sessions, ...found].toSorted(newestFirst).slice(0, limit);
    },
    result: () => ({ sessions, matching }),
  };
}

function newestFirst(one: LiveSession, other: LiveSession): number {
  if (one.ageMs !== other.ageMs) return one.ageMs < other.ageMs ? -1 : 1;
  return one.id < other.id ? -1 : 1;
}

/** @throws SessionsError ERR_SESSIONS_GATEWAY */
async function bodiesFor(gateway: string, body: Uint8Array, present: () => Promise<readonly GatewayAddress[]>) {
  const named = (await present()).filter(({ spiffeId, address }) => spiffeId === gateway || address === gateway);
  if (named.length === 0) throw new SessionsError('ERR_SESSIONS_GATEWAY', `no gateway ${gateway} is connected`);
  const each = new Map(
    named.map(({ spiffeId, address }) => [gatewayKey({ spiffeId, address }), { spiffeId, address }]),
  );
  return Array.from(each.values(), (one) => ({ ...one, body }));
}

function byGateway(sessions: readonly SessionRef[]) {
  const wanted = new Map<string, GatewayAddress & { readonly ids: Set<string> }>();
  for (const { spiffeId, address, id } of sessions) {
    const key = gatewayKey({ spiffeId, address });
    const of = wanted.get(key) ?? { spiffeId, address, ids: new Set() };
    of.ids.add(id);
    wanted.set(key, of);
  }
  return wanted;
}

/** What has no name here is bounded by nothing, and would be passed on. */
const KNOWN_ALONE = { readUnknownFields: false };
const MATCHING_MAX = 1_000_000n;
const LIST_MS_MAX = 5_000;
/** A gateway waits some seconds for what it ends. */
const END_MS_MAX = 10_000;
/** What was accepted is carried out, whether or not whoever asked for it stays to see it. */
const NEVER = new AbortController().signal;
