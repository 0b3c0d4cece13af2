import { create } from '@bufbuild/protobuf';
import type { Operations } from '@countersign/sdk/client';
import {
  type LiveSession,
  LiveSessionSchema,
} from '@countersign/sdk/contract/gen/countersign/control/v1/sessions_pb.ts';
import { notAnswered } from './ask-sessions.ts';

/** All sessions at one moment, as REST tells of them. */
export type ToldSessions = Operations['session.follow']['event'];
type ToldSession = ToldSessions['sessions'][number];

/** What became of a session since the moment before; `runs`: it was there at first. */
export interface SessionChange {
  readonly what: 'runs' | 'began' | 'does' | 'ended';
  readonly session: LiveSession;
}

/** Finds what has changed from one moment to the next. */
export interface SessionChanges {
  next(
    told: ToldSessions,
    nowMs: number,
  ): { readonly changed: readonly SessionChange[]; readonly warnings: readonly string[] };
}

/** Creates it. A session is said to have ended only where its gateway has answered, and no more are there than were listed. */
export function createSessionChanges(): SessionChanges {
  let known: ReadonlyMap<string, ToldSession> | undefined;
  let silent: ReadonlySet<string> = new Set();
  let wereLeftOut = false;
  return {
    next(told, nowMs) {
      const now = new Map(told.sessions.map((session) => [keyOf(session), session]));
      const changed: SessionChange[] = [];
      const add = (what: SessionChange['what'], session: ToldSession) =>
        changed.push({ what, session: liveSession(session, nowMs) });
      for (const [key, session] of [...now].toReversed()) {
        const before = known?.get(key);
        if (before === undefined) add(known === undefined ? 'runs' : 'began', session);
        else if (stateOf(before) !== stateOf(session)) add('does', session);
      }
      const away = new Map(told.unanswered.map((gateway) => [gatewayOf(gateway.spiffeId, gateway.address), gateway]));
      const isCut = told.matching > told.sessions.length;
      const oldest = told.sessions.at(-1)?.since ?? '';
      for (const [key, session] of known ?? []) {
        if (now.has(key)) continue;
        const isUnknown = away.has(gatewayOf(session.gatewaySpiffeId, session.gatewayAddress));
        // Those that were listed no more for newer ones are shown again once there is room.
        if (isUnknown) now.set(key, session);
        else if (!(isCut && session.since <= oldest)) add('ended', session);
      }
      const warnings = [...away]
        .filter(([key]) => !silent.has(key))
        .map(([, gateway]) => `${notAnswered(gateway)}; what runs there is not known`);
      if (isCut && !wereLeftOut)
        warnings.push(`more sessions match than the ${told.sessions.length} newest, which are shown`);
      [known, silent, wereLeftOut] = [now, new Set(away.keys()), isCut];
      return { changed, warnings };
    },
  };
}

/** What is told apart: all but how long things have run. */
function stateOf({ operations, denials, current, masks, masksLeftOut }: ToldSession): string {
  return JSON.stringify([operations, denials, current?.action, current?.shape, masks, masksLeftOut]);
}

function keyOf({ id, gatewaySpiffeId, gatewayAddress }: ToldSession): string {
  return `${id} ${gatewayOf(gatewaySpiffeId, gatewayAddress)}`;
}

function gatewayOf(spiffeId: string, address: string): string {
  return `${spiffeId} ${address}`;
}

/** As gRPC has it. */
function liveSession(told: ToldSession, nowMs: number): LiveSession {
  const { since, process, current, last, masks, ...same } = told;
  const operation = (one: ToldSession['current']) => one && { ...one, durationMs: BigInt(one.durationMs) };
  return create(LiveSessionSchema, {
    ...{ id: same.id, gatewaySpiffeId: same.gatewaySpiffeId, gatewayAddress: same.gatewayAddress },
    ...{ identity: same.identity, target: same.target, door: same.door, peer: same.peer ?? '', node: same.node ?? '' },
    ...{ application: same.application ?? '', driver: same.driver ?? '' },
    ...(process ?? {}),
    ageMs: BigInt(Math.max(0, nowMs - Date.parse(since))),
    ...(current === undefined ? {} : { current: operation(current) }),
    ...(last === undefined ? {} : { last: operation(last) }),
    ...{ operations: BigInt(same.operations), denials: BigInt(same.denials), items: BigInt(same.items) },
    ...{ bytesIn: BigInt(same.bytesIn), bytesOut: BigInt(same.bytesOut) },
    ...{ masks: [...masks], masksLeftOut: same.masksLeftOut },
  } as Parameters<typeof create<typeof LiveSessionSchema>>[1]); // Fields that are not there are left out, not undefined.
}
