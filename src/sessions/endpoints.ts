import type { TrustDomain } from '@countersign/sdk/identity';
import { type Static, Type } from 'typebox';
import {
  type Endpoint,
  type EndpointCall,
  endpointsOf,
  type FoundSubjects,
  notFound,
  type Principal,
  principalName,
} from '../endpoint/index.ts';
import { isOneLine } from '../model/index.ts';
import { type Clock, sha256 } from '../std/index.ts';
import { checkFilter, checkReason } from './check-asked.ts';
import { SessionsError } from './errors.ts';
import {
  type ListedSessions,
  type LiveSession,
  type LiveSessions,
  type SessionFilter,
  type SessionRef,
  sessionLimits,
} from './types.ts';

/** What the endpoints of sessions work with. */
export interface SessionEndpointNeeds {
  readonly sessions: LiveSessions;
  readonly clock: Pick<Clock, 'now'>;
  readonly trustDomain: TrustDomain;
}

const endpoint = endpointsOf<SessionEndpointNeeds>();
const closed = { additionalProperties: false } as const;

const sessionId = Type.String({ pattern: '^[0-9a-f]{1,64}$', description: 'Unique among those of its gateway.' });
const gatewayFields = {
  gatewaySpiffeId: Type.String({ maxLength: 2048, minLength: 1 }),
  gatewayAddress: Type.String({ maxLength: 512, minLength: 1, description: 'Where agents reach it: host:port.' }),
};
const sessionRef = Type.Object({ id: sessionId, ...gatewayFields }, closed);
const operation = Type.Object(
  {
    action: Type.String({ description: 'As policies name it.' }),
    shape: Type.String({ description: 'What was done, without its values.' }),
    durationMs: Type.Integer(),
  },
  closed,
);
const session = Type.Object(
  {
    id: sessionId,
    ...gatewayFields,
    identity: Type.String(),
    target: Type.String(),
    door: Type.Enum(['agent', 'direct']),
    peer: Type.Optional(Type.String({ description: 'The other end of its connection.' })),
    node: Type.Optional(Type.String({ description: 'SPIFFE ID, as its agent says.' })),
    process: Type.Optional(
      Type.Object({ pid: Type.Integer(), uid: Type.Integer(), executable: Type.String() }, closed),
    ),
    application: Type.Optional(Type.String({ description: 'As the client calls itself; anybody can say anything.' })),
    driver: Type.Optional(Type.String()),
    since: Type.String({ format: 'date-time' }),
    current: Type.Optional(operation),
    last: Type.Optional(operation),
    operations: Type.Integer(),
    denials: Type.Integer(),
    items: Type.Integer({ description: 'Of operations that are over.' }),
    bytesIn: Type.Integer(),
    bytesOut: Type.Integer(),
    masks: Type.Array(Type.String({ description: 'Field and kind, as of now.' })),
    masksLeftOut: Type.Integer({ description: 'There are more than are told.' }),
  },
  closed,
);
const gathered = {
  answered: Type.Integer({ description: 'How many gateways have answered.' }),
  unanswered: Type.Array(Type.Object({ spiffeId: Type.String(), address: Type.String(), why: Type.String() }, closed), {
    description: 'Those that have not: what runs there is not known.',
  }),
};
const listed = Type.Object(
  {
    sessions: Type.Array(session, { description: 'Newest first.' }),
    matching: Type.Integer({ description: 'How many match, those left out included.' }),
    ...gathered,
  },
  closed,
);
const filterFields = {
  id: Type.Optional(sessionId),
  identity: Type.Optional(
    Type.String({
      maxLength: 2048,
      description: 'A SPIFFE ID, or the path of one in the trust domain of the server; ending in `/*` those below it.',
    }),
  ),
  target: Type.Optional(Type.String({ maxLength: 256 })),
  node: Type.Optional(Type.String({ maxLength: 2048, description: 'SPIFFE ID.' })),
  gateway: Type.Optional(Type.String({ maxLength: 2048, description: 'Address or SPIFFE ID.' })),
  olderThanSeconds: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000_000 })),
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: sessionLimits.listed, description: 'The newest; 100 unless said.' }),
  ),
};
const filter = Type.Object(filterFields, closed);

const list = endpoint({
  name: 'session.list',
  summary: 'Lists the sessions that run on all gateways, newest first.',
  description: 'Gateways are asked; one that does not answer within some seconds is named.',
  method: 'GET',
  path: '/v1/sessions',
  input: filter,
  about: { type: 'Sessions', of: narrowed },
  output: listed,
  async handle(input, call, { sessions, clock, trustDomain }) {
    const asked = { limit: input.limit ?? LISTED, askedBy: nameOf(call.principal), signal: call.signal };
    return told(await reaching(() => sessions.list(filterOf(input, trustDomain), asked)), clock.now());
  },
});

const get = endpoint({
  name: 'session.get',
  summary: 'Shows one session that runs.',
  method: 'GET',
  path: '/v1/sessions/{id}',
  input: Type.Object({ id: sessionId, gateway: filterFields.gateway }, closed),
  about: { type: 'Sessions', of: () => ({}), found: ({ target, identity }) => ({ target, identity }) },
  output: session,
  async handle(input, call, { sessions, clock, trustDomain }) {
    const asked = { limit: 2, askedBy: nameOf(call.principal), signal: call.signal };
    const { sessions: found, unanswered } = await sessions.list(filterOf(input, trustDomain), asked);
    const [one, another] = found;
    if (another !== undefined)
      throw new SessionsError('ERR_SESSIONS_REQUEST', `two gateways have a session ${input.id}; name the gateway`);
    if (one !== undefined) return sessionOf(one, clock.now());
    if (unanswered.length > 0)
      throw new SessionsError(
        'ERR_SESSIONS_UNANSWERED',
        `no session ${input.id} is found; ${unanswered.length} of the gateways did not answer`,
      );
    throw notFound(`no session ${input.id} is found; /v1/records has what one that ended did`);
  },
});

const follow = endpoint({
  name: 'session.follow',
  summary: 'Tells of the sessions that run, and again each time one begins, ends or does something.',
  description: 'Each event is the whole of it; gateways are asked every two seconds, once for all who follow the same.',
  method: 'GET',
  path: '/v1/session-events',
  input: filter,
  about: { type: 'Sessions', of: narrowed },
  output: listed,
  async follow(input, call, { sessions, clock, trustDomain }) {
    let seen = call.lastEventId;
    if (seen !== undefined && !/^[0-9a-f]{16}$/.test(seen))
      throw new SessionsError('ERR_SESSIONS_REQUEST', 'Last-Event-ID is none of whoever follows sessions');
    const asked = { limit: input.limit ?? LISTED, askedBy: nameOf(call.principal), signal: call.signal };
    const tell = await reaching(() => sessions.follow(filterOf(input, trustDomain), asked));
    return (send) =>
      tell(async (now) => {
        const id = digestOf(now);
        if (id === seen) return;
        await send(told(now, clock.now()), id);
        seen = id;
      });
  },
});

const endInput = Type.Object(
  {
    sessions: Type.Array(sessionRef, { minItems: 1, maxItems: sessionLimits.listed }),
    reason: Type.Optional(Type.String({ maxLength: sessionLimits.reason, description: 'One line, for the ledgers.' })),
  },
  closed,
);

const end = endpoint({
  name: 'session.end',
  summary: 'Ends sessions, each by its gateway and its id: what was seen, and nothing that came since.',
  description:
    'What runs is cancelled at its target. A gateway that does not answer is named; what became of its sessions is not known.',
  method: 'POST',
  path: '/v1/end-sessions',
  bodyBytesMax: 1024 * 1024,
  input: endInput,
  output: Type.Object({ ended: Type.Array(sessionRef), ...gathered }, closed),
  about: { type: 'Sessions', of: () => ({}), look: findNamed },
  idempotent: 'by-key',
  audit: {
    as: 'EndSessions',
    target: 'sessions',
    of: ({ sessions, reason = '' }) => ({
      detail: {
        ...(reason === '' || !isOneLine(reason) ? {} : { reason }),
        count: sessions.length,
        sessions: sessions.map(({ id }) => id),
        gateways: Array.from(new Set(sessions.map(({ gatewayAddress }) => gatewayAddress))),
      },
      outcome: ({ ended, unanswered }) => ({
        ended: ended.length,
        ...(unanswered.length === 0 ? {} : { unanswered: unanswered.map(({ address }) => address) }),
      }),
    }),
  },
  async handle({ sessions: named, reason = '' }, { principal }, { sessions }) {
    checkReason(reason);
    const refs = named.map(({ id, gatewaySpiffeId, gatewayAddress }) => ({
      ...{ id, spiffeId: gatewaySpiffeId, address: gatewayAddress },
    }));
    const became = await sessions.end(refs, { reason, askedBy: nameOf(principal) });
    return { ended: became.ended.map(refOf), answered: became.answered.length, unanswered: became.unanswered };
  },
});

/** What people and machines may ask of sessions. */
export const endpoints: readonly Endpoint<SessionEndpointNeeds>[] = [list, get, follow, end];

/** A path and all below it is no one identity, and all that it finds begins so. */
function narrowed({ target, identity = '' }: Static<typeof filter>) {
  if (identity.endsWith('/*')) return { target, identityWithin: identity.slice(0, -1) };
  return { target, identity };
}

/** What runs of those that are named, for whom it depends on that; what is not there any more is left out, and can't come again. */
async function findNamed(
  input: Static<typeof endInput>,
  call: EndpointCall,
  { sessions }: SessionEndpointNeeds,
): Promise<FoundSubjects<Static<typeof endInput>>> {
  if (input.sessions.length > sessionLimits.ids)
    throw new SessionsError(
      'ERR_SESSIONS_REQUEST',
      `who may end some sessions and not others ends ${sessionLimits.ids} at once at most`,
    );
  const named = new Map(input.sessions.map((one) => [keyOf(one), one]));
  const ids = Array.from(new Set(input.sessions.map(({ id }) => id)));
  const {
    sessions: found,
    unanswered,
    matching,
  } = await sessions.list(
    { ids, identity: '', target: '', node: '', gateway: '', olderThanMs: 0n },
    { limit: sessionLimits.sessions, askedBy: nameOf(call.principal), signal: call.signal },
  );
  const asked = new Set(input.sessions.map((one) => gatewayOf(one)));
  const silent = unanswered.find(({ spiffeId, address }) => asked.has(JSON.stringify([spiffeId, address])));
  if (silent !== undefined || matching > found.length)
    throw new SessionsError(
      'ERR_SESSIONS_UNANSWERED',
      `nothing was ended: ${silent === undefined ? 'a gateway' : silent.address} has not said what runs there`,
    );
  const there = found.flatMap((one) => named.get(keyOf(one)) ?? []);
  const subjects = found.filter((one) => named.has(keyOf(one))).map(({ target, identity }) => ({ target, identity }));
  return { input: { ...input, sessions: there }, subjects };
}

function keyOf(one: Static<typeof sessionRef>): string {
  return JSON.stringify([one.id, gatewayOf(one)]);
}

function gatewayOf({ gatewaySpiffeId, gatewayAddress }: Omit<Static<typeof sessionRef>, 'id'>): string {
  return JSON.stringify([gatewaySpiffeId, gatewayAddress]);
}

/** That no gateway is called as a filter says is the filter's fault, not the list's. */
async function reaching<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof SessionsError && error.code === 'ERR_SESSIONS_GATEWAY')
      throw new SessionsError('ERR_SESSIONS_REQUEST', error.message, { cause: error });
    throw error;
  }
}

/** For the ledgers of gateways: the person where the machine tells. */
function nameOf(principal: Principal): string {
  return principal.kind === 'operator' ? (principal.text ?? principalName(principal)) : principalName(principal);
}

function filterOf(input: Partial<Static<typeof filter>>, trustDomain: TrustDomain): SessionFilter {
  const { id, identity: named = '', target = '', node = '', gateway = '', olderThanSeconds = 0 } = input;
  const olderThanMs = BigInt(olderThanSeconds) * 1000n;
  const identity = named.startsWith('/') ? `spiffe://${trustDomain}${named}` : named;
  const asked = { ids: id === undefined ? [] : [id], identity, target, node, gateway, olderThanMs };
  checkFilter(asked);
  return asked;
}

function told({ sessions, matching, answered, unanswered }: ListedSessions, nowMs: number): Static<typeof listed> {
  return {
    sessions: sessions.map((one) => sessionOf(one, nowMs)),
    ...{ matching, answered: answered.length },
    unanswered: unanswered.map(({ spiffeId, address, why }) => ({ spiffeId, address, why })),
  };
}

function sessionOf(one: LiveSession, nowMs: number): Static<typeof session> {
  const { id, gatewaySpiffeId, gatewayAddress, identity, target, door, pid, uid, executable, current, last } = one;
  const texts = { peer: one.peer, node: one.node, application: one.application, driver: one.driver };
  return {
    ...{ id, gatewaySpiffeId, gatewayAddress, identity, target, door: door === 'agent' ? door : 'direct' },
    ...Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== '')),
    ...(pid === 0 ? {} : { process: { pid, uid, executable } }),
    since: new Date(Math.max(0, nowMs - Number(one.ageMs))).toISOString(),
    ...(current === undefined ? {} : { current: operationOf(current) }),
    ...(last === undefined ? {} : { last: operationOf(last) }),
    ...{ operations: Number(one.operations), denials: Number(one.denials), items: Number(one.items) },
    ...{ bytesIn: Number(one.bytesIn), bytesOut: Number(one.bytesOut) },
    ...{ masks: [...one.masks], masksLeftOut: one.masksLeftOut },
  };
}

function operationOf({ action, shape, durationMs }: NonNullable<LiveSession['current']>): Static<typeof operation> {
  return { action, shape, durationMs: Number(durationMs) };
}

function refOf({ id, spiffeId, address }: SessionRef): Static<typeof sessionRef> {
  return { id, gatewaySpiffeId: spiffeId, gatewayAddress: address };
}

/** Of all but how long things have run, which is never the same. */
function digestOf({ sessions, matching, unanswered }: ListedSessions): string {
  const state = sessions.map((one) => [
    ...[one.id, one.gatewaySpiffeId, one.gatewayAddress, `${one.operations}`, `${one.denials}`],
    ...[one.current?.action ?? '', one.current?.shape ?? '', one.masks, one.masksLeftOut],
  ]);
  const text = JSON.stringify([state, matching, unanswered]);
  return sha256(Buffer.from(text)).toString('hex').slice(0, 16);
}

/** When nothing is said: a screenful. */
const LISTED = 100;
