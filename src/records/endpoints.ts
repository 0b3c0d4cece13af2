import type { TrustDomain } from '@countersign/sdk/identity';
import { type Static, Type } from 'typebox';
import { cursorAfter, type Endpoint, endpointsOf, pageInput, pageOf, readPage } from '../endpoint/index.ts';
import type { Records } from './records.ts';
import { COUNT_MAX, filterFields, filterOf, recordFilterSchema } from './search/filter-words.ts';
import type { RecordEntry } from './search/search.ts';

/** What the endpoints of the record work with. */
export interface RecordEndpointNeeds {
  readonly records: Pick<Records, 'search' | 'show' | 'follow'>;
  readonly trustDomain: TrustDomain;
}

const endpoint = endpointsOf<RecordEndpointNeeds>();
const closed = { additionalProperties: false } as const;
const filterInput = recordFilterSchema;
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
  async follow(input, { signal, lastEventId }, { records, trustDomain }) {
    const entries = await records.follow(filterOf(input, trustDomain), { after: lastEventId, signal });
    return async (send) => {
      for await (const { record: one, cursor } of entries)
        await send(one === undefined ? undefined : toldOf(one), cursor);
    };
  },
});

/** What people and machines may ask of the record. */
export const endpoints: readonly Endpoint<RecordEndpointNeeds>[] = [recordSearch, recordGet, recordFollow];

/** All that is found is of that target and that identity: the filter compares whole names. */
function narrowed({ target, identity }: Static<typeof filterInput>) {
  return { target, identity };
}

function recordOf({ log, position, entry }: RecordEntry): Static<typeof record> {
  return { log, position, entry: { ...entry } };
}

/** One and the same for all who follow: its text is made once. */
function toldOf(one: RecordEntry): Static<typeof record> {
  const known = told.get(one);
  if (known !== undefined) return known;
  const made = recordOf(one);
  told.set(one, made);
  return made;
}

const told = new WeakMap<RecordEntry, Static<typeof record>>();
