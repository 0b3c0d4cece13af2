import type { TrustDomain } from '@countersign/sdk/identity';
import { type Static, Type } from 'typebox';
import { cursorAfter, type Endpoint, endpointsOf, pageInput, pageOf, readPage } from '../endpoint/index.ts';
import type { Records } from './records.ts';
import { identityNamed, type RecordFilter } from './search/filter.ts';
import type { RecordEntry } from './search/search.ts';

/** What the endpoints of the record work with. */
export interface RecordEndpointNeeds {
  readonly records: Pick<Records, 'search' | 'show' | 'follow'>;
  readonly trustDomain: TrustDomain;
}

const endpoint = endpointsOf<RecordEndpointNeeds>();
const COUNT_MAX = 999_999_999_999_999;
const closed = { additionalProperties: false } as const;

const text = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 512, description }));
const count = (description: string) => Type.Optional(Type.Integer({ minimum: 0, maximum: COUNT_MAX, description }));
const filterFields = {
  identity: text('Whose: a SPIFFE ID, or the path of one in the trust domain of the server.'),
  node: text('The node whose agent vouched for the process behind a session, as `identity`.'),
  ...{
    target: text('Which target.'),
    action: text('What was done, as the protocol names it.'),
    session: text('Of one session.'),
  },
  kind: text('Such as `denial`.'),
  object: text('What was reached, by the last parts of its name: `public.customers`.'),
  column: text('What was read, written or masked of it.'),
  policy: text('Which policy allowed or refused it.'),
  ...{ reason: text('Why it was refused.'), status: text('How it ended, such as `failed`.') },
  shape: text('Operations that differ in values only.'),
  code: text("The protocol's own code."),
  masked: Type.Optional(Type.Boolean({ description: 'True: only what was masked.' })),
  ...{ rowsMin: count('Rows of the answer, at least.'), rowsMax: count('Rows of the answer, at most.') },
  ...{ bytesMin: count('Bytes of the answer, at least.'), bytesMax: count('Bytes of the answer, at most.') },
  sinceMs: count('Not before: epoch milliseconds by the clock of the writer.'),
  untilMs: count('Not after.'),
  log: Type.Optional(Type.Integer({ minimum: 1, maximum: 999_999_999, description: 'Of one log.' })),
};
const filterInput = Type.Object(filterFields, closed);
const place = {
  log: Type.Integer({ minimum: 1, maximum: 999_999_999, description: 'Number of the log.' }),
  position: Type.Integer({
    minimum: 0,
    maximum: COUNT_MAX,
    description: 'In that log; together the id of the entry, for good.',
  }),
};
const record = Type.Object(
  {
    ...place,
    entry: Type.Record(Type.String(), Type.Unknown(), {
      description: 'As its writer wrote and signed it; fields that are not known here may be in it.',
    }),
  },
  closed,
);

const recordSearch = endpoint({
  name: 'record.search',
  summary: 'Finds entries of all ledgers, newest first; all that is set must hold.',
  description: 'A page may have fewer entries than its limit, and even none, while `next` leads on.',
  method: 'GET',
  path: '/v1/records',
  input: Type.Object({ ...filterFields, ...pageInput }, closed),
  about: { type: 'Records', of: narrowed },
  output: pageOf(record, {}),
  paged: true,
  async handle(input, { signal }, { records, trustDomain }) {
    const { limit, cursor, ...asked } = input;
    const question = ['record.search', JSON.stringify(Object.entries(asked).sort())];
    const page = readPage({ limit, cursor }, question);
    const found = await records.search(filterOf(asked, trustDomain), {
      ...{ size: page.limit, cursor: page.after, signal },
    });
    const items = found.entries.map(recordOf);
    return found.next === undefined ? { items } : { items, next: cursorAfter(found.next, question) };
  },
});

const recordGet = endpoint({
  name: 'record.get',
  summary: 'Shows one entry.',
  method: 'GET',
  path: '/v1/records/{log}/{position}',
  input: Type.Object(place, closed),
  about: { type: 'Records', of: () => ({}) },
  output: record,
  handle: async ({ log, position }, _call, { records }) => recordOf(await records.show(log, position)),
});

const recordFollow = endpoint({
  name: 'record.follow',
  summary: 'Tells of entries as they come to the record; all that is set must hold.',
  description:
    'From now on, or from behind the event whose id is given in `Last-Event-ID`: nothing is left out, and nothing told twice. Within a log in its order.',
  method: 'GET',
  path: '/v1/record-events',
  input: filterInput,
  output: record,
  about: { type: 'Records', of: narrowed },
  async follow(input, { signal, lastEventId }, { records, trustDomain }, send) {
    const entries = records.follow(filterOf(input, trustDomain), { after: lastEventId, signal });
    for await (const one of entries) await send(recordOf(one), one.cursor);
  },
});

/** What people and machines may ask of the record. */
export const endpoints: readonly Endpoint<RecordEndpointNeeds>[] = [recordSearch, recordGet, recordFollow];

/** All that is found is of that target and that identity: the filter compares whole names. */
function narrowed({ target, identity }: Static<typeof filterInput>) {
  return { target, identity };
}

function filterOf(asked: Static<typeof filterInput>, trustDomain: TrustDomain): RecordFilter {
  const { identity, node, ...rest } = asked;
  const idOf = (name: string | undefined) => (name === undefined ? name : identityNamed(name, trustDomain));
  return { ...rest, actor: idOf(identity), node: idOf(node) };
}

function recordOf({ log, position, entry }: RecordEntry): Static<typeof record> {
  return { log, position, entry: { ...entry } };
}
