import { type Static, Type } from 'typebox';
import { type Endpoint, endpointsOf, principalName } from '../../endpoint/index.ts';
import type { RecordEndpointNeeds } from '../endpoints.ts';
import { filterOf, recordFilterSchema } from '../search/filter-words.ts';
import type { RecordHold } from './holds.ts';

const endpoint = endpointsOf<RecordEndpointNeeds>();
const closed = { additionalProperties: false } as const;
const name = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$', description: 'What the hold is called.' });
const reason = Type.String({
  minLength: 1,
  maxLength: 500,
  pattern: '^[^\\u0000-\\u001f\\u007f]*$',
  description: 'Why, in one line.',
});
const hold = Type.Object(
  {
    ...{ name, reason },
    selection: Type.String({ description: 'What it keeps, as JSON.' }),
    by: Type.String({ description: 'Who did it.' }),
    at: Type.String({ format: 'date-time' }),
  },
  closed,
);

const holdAdd = endpoint({
  name: 'record-hold.add',
  summary: 'Keeps what is selected in the record, whatever rule of retention says otherwise, until it is lifted.',
  description: 'From the answer on nothing of it leaves any more. What has left before is not brought back.',
  method: 'POST',
  path: '/v1/record-holds',
  input: Type.Object({ name, reason, filter: recordFilterSchema }, closed),
  output: hold,
  idempotent: 'by-key',
  audit: {
    as: 'HoldRecords',
    target: 'record',
    of: (asked) => ({
      detail: { hold: asked.name, reason: asked.reason, selection: JSON.stringify(asked.filter) },
      outcome: () => ({}),
    }),
  },
  async handle(asked, { principal }, { records, trustDomain }) {
    const filter = filterOf(asked.filter, trustDomain);
    return holdOf(await records.addHold({ ...asked, filter, by: principalName(principal) }));
  },
});

const holdList = endpoint({
  name: 'record-hold.list',
  summary: 'Lists what is kept in the record whatever its age, by name.',
  method: 'GET',
  path: '/v1/record-holds',
  input: Type.Object({}, closed),
  output: Type.Object({ holds: Type.Array(hold) }, closed),
  handle: async (_asked, _call, { records }) => ({ holds: (await records.listHolds()).map(holdOf) }),
});

const holdLift = endpoint({
  name: 'record-hold.lift',
  summary: 'Lifts a hold: what it has kept goes by the rules of retention again.',
  method: 'DELETE',
  path: '/v1/record-holds/{name}',
  input: Type.Object({ name }, closed),
  output: hold,
  audit: {
    as: 'LiftHold',
    target: 'record',
    of: (asked) => ({
      detail: { hold: asked.name },
      outcome: ({ selection }) => ({ selection }),
    }),
  },
  handle: async (asked, _call, { records }) => holdOf(await records.liftHold(asked.name)),
});

/** What people and machines may say of what the record keeps. */
export const holdEndpoints: readonly Endpoint<RecordEndpointNeeds>[] = [holdAdd, holdList, holdLift];

function holdOf({ name: called, reason: why, filter, by, atMs }: RecordHold): Static<typeof hold> {
  return { name: called, reason: why, selection: JSON.stringify(filter), by, at: new Date(atMs).toISOString() };
}
