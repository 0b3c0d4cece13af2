import { type Static, Type } from 'typebox';
import {
  cursorAfter,
  type Endpoint,
  endpointsOf,
  type Principal,
  pageInput,
  pageOf,
  principalName,
  readPage,
} from '../endpoint/index.ts';
import { isOneLine } from '../model/index.ts';
import type { Clock } from '../std/index.ts';
import { REASON_MAX } from './answer.ts';
import type { Approvals } from './approvals.ts';
import { ApprovalError } from './errors.ts';
import { followWaiting } from './follow.ts';
import type { Answerer, Approval, WholeApproval } from './types.ts';

/** What the endpoints of approvals work with. */
export interface ApprovalEndpointNeeds {
  readonly approvals: Pick<Approvals, 'waiting' | 'over' | 'find' | 'answer' | 'onChange'>;
  readonly clock: Clock;
}

const endpoint = endpointsOf<ApprovalEndpointNeeds>();
const closed = { additionalProperties: false } as const;

const id = Type.String({ pattern: '^[0-9a-f]{32}$', description: 'Id of the approval.' });
const digest = Type.String({
  pattern: '^[0-9a-f]{64}$',
  description: 'SHA-256 of all that the answer is about: what was seen is answered, and nothing else.',
});
const target = Type.String({ pattern: '^[a-z0-9][a-z0-9._-]{0,62}$', description: 'Name of the target.' });
const state = Type.Enum(['waiting', 'approved', 'denied', 'expired', 'withdrawn', 'spent'], {
  description:
    '`approved`: it may run, once, and has not begun. `spent`: its one use was taken. `withdrawn`: nobody waited any more; `reason` says why.',
});
const answerKind = Type.Enum(['approve', 'deny']);
const time = Type.String({ format: 'date-time' });
const fields = {
  ...{ id, digest, state, target },
  title: Type.String({ description: 'What it is, in one line.' }),
  identity: Type.String({ description: 'Who asks.' }),
  session: Type.String(),
  gateway: Type.String({ description: 'SPIFFE ID of the gateway that holds it.' }),
  since: time,
  until: { ...time, description: 'After that nobody can answer; time that is over means no.' },
  equals: Type.Integer({ description: 'How many equal operations wait, this one included.' }),
  rules: Type.Array(
    Type.Object(
      {
        name: Type.String(),
        count: Type.Optional(
          Type.Integer({ description: 'How many have to approve; absent: the rule is not declared any more.' }),
        ),
        approved: Type.Integer({ description: 'How many have.' }),
      },
      closed,
    ),
  ),
  answers: Type.Array(
    Type.Object({ by: Type.String(), answer: answerKind, at: time, reason: Type.Optional(Type.String()) }, closed),
  ),
  reason: Type.Optional(Type.String({ description: 'Of one that was denied or withdrawn.' })),
};
const approval = Type.Object(fields, closed);
const filterFields = {
  target: Type.Optional(target),
  identity: Type.Optional(Type.String({ maxLength: 2048, description: 'SPIFFE ID.' })),
};

const list = endpoint({
  name: 'approval.list',
  summary: 'Lists operations that wait for an answer, oldest first, equal ones as one; or what became of others.',
  method: 'GET',
  path: '/v1/approvals',
  input: Type.Object(
    {
      ...filterFields,
      over: Type.Optional(
        Type.Boolean({ description: 'Those that wait no more, newest first; they are kept for a day.' }),
      ),
      ...pageInput,
    },
    closed,
  ),
  about: { type: 'Approvals', of: narrowed },
  output: pageOf(approval, {}),
  paged: true,
  async handle(input, _call, { approvals }) {
    const { limit, cursor, over = false, target: at = '', identity = '' } = input;
    const question = ['approval.list', `${over}`, at, identity];
    const page = readPage({ limit, cursor }, question);
    const asked = { after: page.after === undefined ? undefined : Number(page.after), limit: page.limit + 1 };
    const filter = { target: at, identity };
    const found = over ? await approvals.over(filter, asked) : await approvals.waiting(filter, asked);
    const items = found.slice(0, page.limit);
    const last = items.at(-1);
    const isLast = found.length <= page.limit || last === undefined;
    return { items: items.map(shown), ...(isLast ? {} : { next: cursorAfter(`${last.number}`, question) }) };
  },
});

const get = endpoint({
  name: 'approval.get',
  summary: 'Shows one approval: what will run, for whom, and what the answer is bound to.',
  method: 'GET',
  path: '/v1/targets/{target}/approvals/{id}',
  input: Type.Object({ target, id }, closed),
  about: { type: 'Approvals', of: narrowed },
  output: Type.Object(
    {
      ...fields,
      shown: Type.Record(Type.String(), Type.Unknown(), {
        description:
          'Of the parsed operation, for people: `title`, `text`, `parameters`, and what else its protocol has.',
      }),
      subject: Type.Record(Type.String(), Type.Unknown(), {
        description: 'All that the answer is bound to: `digest` is the SHA-256 of its canonical JSON (RFC 8785).',
      }),
    },
    closed,
  ),
  async handle(input, _call, { approvals }) {
    const found = await approvals.find(input.id);
    if (found !== undefined && found.target === input.target) return whole(found);
    throw new ApprovalError('ERR_APPROVAL_UNKNOWN', `there is no approval ${input.id} at target ${input.target}`);
  },
});

const answer = endpoint({
  name: 'approval.answer',
  summary: 'Approves or denies an operation that waits, by the digest of what was seen.',
  description:
    'Nobody answers their own question, and each person once. An approved operation runs once; a denied one is refused with the reason. Said again, it is the same answer.',
  method: 'POST',
  path: '/v1/targets/{target}/approvals/{id}/answer',
  input: Type.Object(
    {
      ...{ target, id, digest, answer: answerKind },
      reason: Type.Optional(
        Type.String({ maxLength: REASON_MAX, description: 'One line; the client of a denied operation is told.' }),
      ),
      equals: Type.Optional(
        Type.Integer({
          ...{ minimum: 1, maximum: 1000 },
          description:
            'To how many equal operations it is given at most: this one, and the oldest of those that wait. 1 unless said.',
        }),
      ),
    },
    closed,
  ),
  about: { type: 'Approvals', of: narrowed },
  output: Type.Object(
    { id, state, answered: Type.Integer({ description: 'To how many operations it was given; 0: it was before.' }) },
    closed,
  ),
  idempotent: 'by-key',
  audit: {
    as: 'AnswerApproval',
    target: 'approvals',
    of: (input) => ({
      detail: {
        ...{ approval: input.id, digest: input.digest, answer: input.answer, target: input.target },
        equals: input.equals ?? 1,
        ...(input.reason === undefined || !isOneLine(input.reason) ? {} : { reason: input.reason }),
      },
      outcome: ({ state: became, answered }) => ({ state: became, answered }),
    }),
  },
  async handle({ reason = '', equals = 1, ...input }, { principal }, { approvals }) {
    return approvals.answer({ ...input, reason, equals, by: answererOf(principal) });
  },
});

const follow = endpoint({
  name: 'approval.follow',
  summary: 'Tells of the operations that wait for an answer, and again each time that changes.',
  description: 'Each event is the whole of it: the oldest 100, equal ones as one.',
  method: 'GET',
  path: '/v1/approval-events',
  input: Type.Object(filterFields, closed),
  about: { type: 'Approvals', of: narrowed },
  output: Type.Object({ approvals: Type.Array(approval), more: Type.Boolean() }, closed),
  async follow({ target: at = '', identity = '' }, { signal, lastEventId }, { approvals, clock }) {
    if (lastEventId !== undefined && !/^[0-9a-f]{16}$/.test(lastEventId))
      throw new ApprovalError('ERR_APPROVAL_REQUEST', 'Last-Event-ID is none of whoever follows approvals');
    const tell = await followWaiting({ approvals, clock }, { target: at, identity }, { signal, seen: lastEventId });
    return (send) => tell(({ items, more, digest: of }) => send({ approvals: items.map(shown), more }, of));
  },
});

/** What people and machines may ask of approvals. */
export const endpoints: readonly Endpoint<ApprovalEndpointNeeds>[] = [list, get, answer, follow];

function narrowed({ target: at, identity }: { readonly target?: string; readonly identity?: string }) {
  return { target: at, identity };
}

function answererOf(principal: Principal): Answerer {
  const name = principalName(principal);
  if (principal.kind !== 'person') return { name, kind: principal.kind, groups: [], email: undefined, byLink: false };
  const { groups, email, byLink } = principal;
  return { name, kind: 'person', groups, email, byLink };
}

function shown(one: Approval): Static<typeof approval> {
  const { sinceMs, untilMs, rules, answers, reason } = one;
  return {
    ...{ id: one.id, digest: one.digest, state: one.state, target: one.target, title: one.title },
    ...{ identity: one.identity, session: one.session, gateway: one.gateway, equals: one.equals },
    ...{ since: new Date(sinceMs).toISOString(), until: new Date(untilMs).toISOString() },
    rules: rules.map(({ name, count, approved }) => ({ name, ...(count === undefined ? {} : { count }), approved })),
    answers: answers.map(({ by, answer: said, atMs, reason: why }) => ({
      ...{ by, answer: said, at: new Date(atMs).toISOString() },
      ...(why === '' ? {} : { reason: why }),
    })),
    ...(reason === '' ? {} : { reason }),
  };
}

function whole(one: WholeApproval) {
  return { ...shown(one), shown: { ...one.shown }, subject: { ...one.subject } };
}
