import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  EndAnswerSchema,
  EndQuestionSchema,
  LiveSessionSchema,
  type SessionFilter,
  SessionsAnswerSchema,
  SessionsQuestionSchema,
} from '@countersign/sdk/contract/gen/countersign/control/v1/sessions_pb.ts';
import type { Gateway, LiveOperation, LiveSession } from '../../gateway/index.ts';
import { inOneLine, liveSessionLimits, matchesSession } from '../../model/index.ts';
import type { AnswerHandler } from './gateway-questions.ts';

/** What a gateway answers of its sessions, and does with them when it is told to. */
export function sessionAnswers(
  gateway: Pick<Gateway, 'liveSessions' | 'endSessions'>,
): Readonly<Record<'sessions.list' | 'sessions.end', AnswerHandler>> {
  return {
    'sessions.list': {
      acts: false,
      async answer({ body }) {
        const { filter, limit } = fromBinary(SessionsQuestionSchema, body);
        const matching = gateway.liveSessions().filter((session) => matches(session, filter));
        const newest = matching.toSorted((one, other) => one.ageMs - other.ageMs).slice(0, limit);
        return pagesOf(newest.map(messageOf), matching.length);
      },
    },
    'sessions.end': {
      acts: true,
      async answer({ body, askedBy }) {
        const { ids, reason } = fromBinary(EndQuestionSchema, body);
        const ended = await gateway.endSessions(new Set(ids), { by: askedBy, why: reason });
        return [toBinary(EndAnswerSchema, create(EndAnswerSchema, { ended: [...ended] }))];
      },
    },
  };
}

function matches(session: LiveSession, filter: SessionFilter | undefined): boolean {
  return filter === undefined || matchesSession(filter, { ...session, node: session.caller?.nodeId ?? '' });
}

function messageOf(session: LiveSession): MessageInitShape<typeof LiveSessionSchema> {
  const { id, identity, target, door, peer, caller, client, current, last, masks } = session;
  const { text } = liveSessionLimits;
  return {
    ...{ id, identity, door, target: inOneLine(target, text), peer: inOneLine(peer ?? '', text) },
    node: inOneLine(caller?.nodeId ?? '', liveSessionLimits.identity),
    pid: caller?.process.pid ?? 0,
    uid: caller?.process.uid ?? 0,
    executable: inOneLine(caller?.process.executable ?? '', text),
    application: inOneLine(client.application ?? '', text),
    driver: inOneLine(client.driver ?? '', text),
    ageMs: whole(session.ageMs),
    ...(current === undefined ? {} : { current: operationOf(current) }),
    ...(last === undefined ? {} : { last: operationOf(last) }),
    operations: whole(session.operations),
    denials: whole(session.denials),
    items: whole(session.items),
    bytesIn: whole(session.bytesIn),
    bytesOut: whole(session.bytesOut),
    masks: masks.slice(0, liveSessionLimits.masks).map((mask) => inOneLine(mask, text)),
    masksLeftOut: Math.max(0, masks.length - liveSessionLimits.masks),
  };
}

function operationOf({ action, shape, durationMs }: LiveOperation) {
  const { text, shape: shapeMax } = liveSessionLimits;
  return { action: inOneLine(action, text), shape: inOneLine(shape, shapeMax), durationMs: whole(durationMs) };
}

/** Pages of so many bytes; of more sessions than these have room for, the oldest are left out. */
function pagesOf(sessions: readonly MessageInitShape<typeof LiveSessionSchema>[], matching: number): Uint8Array[] {
  const pages: MessageInitShape<typeof LiveSessionSchema>[][] = [[]];
  let bytes = 0;
  for (const session of sessions) {
    const size = toBinary(LiveSessionSchema, create(LiveSessionSchema, session)).length;
    if (bytes + size > PAGE_BYTES) {
      if (pages.length === PAGES_MAX) break;
      pages.push([]);
      bytes = 0;
    }
    pages.at(-1)?.push(session);
    bytes += size + FIELD_BYTES;
  }
  return pages.map((page, index) =>
    toBinary(
      SessionsAnswerSchema,
      create(SessionsAnswerSchema, { sessions: page, matching: BigInt(index === 0 ? matching : 0) }),
    ),
  );
}

function whole(value: number): bigint {
  return BigInt(Math.round(value));
}

/** Less than the server takes: what stands around the sessions has room. */
const PAGE_BYTES = 200 * 1024;
const PAGES_MAX = 30;
const FIELD_BYTES = 8;
