import type { TrustDomain } from '@countersign/sdk/identity';
import { type Static, Type } from 'typebox';
import {
  cursorAfter,
  type Endpoint,
  endpointsOf,
  pageInput,
  pageOf,
  principalName,
  readPage,
} from '../endpoint/index.ts';
import { formatTime } from '../std/index.ts';
import { EXPORT_ORIGIN } from './export/statement.ts';
import type { LogView } from './log/log-rows.ts';
import type { Records } from './records.ts';
import { COUNT_MAX, filterFields, filterOf, recordFilterSchema } from './search/filter-words.ts';
import type { RecordEntry } from './search/search.ts';

/** What the endpoints of the record work with. */
export interface RecordEndpointNeeds {
  readonly records: Pick<
    Records,
    | ('search' | 'show' | 'follow' | 'prove' | 'beginExport' | 'showExport' | 'readExport')
    | ('listLogs' | 'silentMs' | 'witnessKey')
  >;
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

const recordProve = endpoint({
  name: 'record.prove',
  summary: 'Proves that one entry stands in its log, under the newest checkpoint of that.',
  description:
    'The answer is a proof file: `countersign ledger verify --proof` checks it anywhere, with the public key of the log alone.',
  method: 'GET',
  path: '/v1/records/{log}/{position}/proof',
  input: Type.Object(place, closed),
  output: Type.Object(
    {
      format: Type.String(),
      entry: Type.String({ description: 'Its bytes, as they were signed.' }),
      proof: Type.String({
        description: 'C2SP tlog-proof, with the checkpoint that the log and a server have signed.',
      }),
    },
    closed,
  ),
  handle: async ({ log, position }, { signal }, { records }) => ({ ...(await records.prove(log, position, signal)) }),
});

const logList = endpoint({
  name: 'log.list',
  summary: 'Lists the ledgers that are shipped to the record, and what is wrong with them.',
  method: 'GET',
  path: '/v1/logs',
  input: Type.Object({}, closed),
  output: Type.Object(
    {
      logs: Type.Array(
        Type.Object(
          {
            ...{ log: place.log, origin: Type.String({ description: 'Names the log in its checkpoints.' }) },
            owner: Type.String({ description: 'The SPIFFE ID that ships it.' }),
            verifierKey: Type.String({ description: 'C2SP verifier key: name, id and public key of the log.' }),
            entries: Type.Integer({ description: 'Those that a checkpoint vouches for.' }),
            heard: Type.String({ format: 'date-time', description: 'When it was shipped last.' }),
            state: Type.Enum(['shipped', 'ended', 'closed']),
            alarm: Type.Optional(
              Type.Object(
                {
                  kind: Type.String({ description: 'Such as `fork` or `silence`.' }),
                  found: Type.String({ description: 'What is wrong, for people.' }),
                  since: Type.Optional(Type.String({ format: 'date-time' })),
                },
                closed,
              ),
            ),
          },
          closed,
        ),
      ),
      witnessKeys: Type.Array(Type.String(), {
        description: 'C2SP verifier keys by which this server countersigns checkpoints.',
      }),
    },
    closed,
  ),
  async handle(_input, _call, { records }) {
    const logs = await records.listLogs();
    return { logs: logs.map((log) => logOf(log, records.silentMs(log))), witnessKeys: [records.witnessKey] };
  },
});

const exportId = Type.String({ pattern: '^[0-9a-f]{32,32}$', description: 'Id of the export.' });

const exportCreate = endpoint({
  name: 'record-export.create',
  summary: 'Begins an export of all that is asked for, of the logs as they stand now.',
  description:
    'It is for whoever has begun it, at every server, and is kept for a week. Its lines are read by `record-export.read`.',
  method: 'POST',
  path: '/v1/record-exports',
  input: Type.Object({ ...filterFields, format: Type.Optional(Type.Enum(['jsonl', 'csv'])) }, closed),
  output: Type.Object({ id: exportId, logs: Type.Integer({ description: 'How many logs it is of.' }) }, closed),
  idempotent: 'by-key',
  audit: {
    as: 'ExportRecords',
    target: 'record',
    of: (asked) => ({
      detail: { selection: JSON.stringify(asked) },
      outcome: ({ id, logs }) => ({ export: id, logs }),
    }),
  },
  async handle(input, { principal }, { records, trustDomain }) {
    const { format = 'jsonl', ...asked } = input;
    return records.beginExport({ filter: filterOf(asked, trustDomain), format }, principalName(principal));
  },
});

const exportGet = endpoint({
  name: 'record-export.get',
  summary: 'Shows what an export is of: the selection, and the logs as they stood.',
  method: 'GET',
  path: '/v1/record-exports/{id}',
  input: Type.Object({ id: exportId }, closed),
  output: Type.Object(
    {
      selection: Type.String({ description: 'Canonical JSON, as it is signed.' }),
      logs: Type.Array(
        Type.Object(
          {
            ...{ log: place.log, origin: Type.String(), verifierKey: Type.String() },
            size: Type.Integer({ description: 'Entries.' }),
            checkpoint: Type.String({ description: 'Over all of them, signed by the log and by a server.' }),
          },
          closed,
        ),
        { description: 'SHA-256 of the canonical JSON of this list is in what is signed.' },
      ),
    },
    closed,
  ),
  async handle({ id }, { principal }, { records }) {
    const { selection, logs } = await records.showExport(id, principalName(principal));
    return { selection, logs: logs.map((log) => ({ ...log })) };
  },
});

const exportRead = endpoint({
  name: 'record-export.read',
  summary: 'Reads lines of an export, in its order, from where the answer before has ended.',
  description:
    'Written one after another they are the file. An answer may have few lines, or none, while `next` leads on; the last has `note`: what the server says of them all.',
  method: 'GET',
  path: '/v1/record-exports/{id}/lines',
  input: Type.Object(
    {
      id: exportId,
      cursor: Type.Optional(Type.String({ maxLength: 4096, description: '`next` of the answer before, as it came.' })),
    },
    closed,
  ),
  output: Type.Object(
    {
      lines: Type.Array(Type.String({ description: 'With the characters that end it.' })),
      next: Type.Optional(Type.String({ description: 'Where it goes on; absent with the last lines.' })),
      note: Type.Optional(
        Type.String({
          description: 'C2SP signed note: how many lines, the root of the RFC 6962 tree over them, the selection.',
        }),
      ),
    },
    closed,
  ),
  async handle({ id, cursor }, { principal, signal }, { records, trustDomain }) {
    const asked = { owner: principalName(principal), origin: `${trustDomain}${EXPORT_ORIGIN}`, cursor, signal };
    const { lines, next, note } = await records.readExport(id, asked);
    return { lines: [...lines], ...(next === undefined ? {} : { next }), ...(note === undefined ? {} : { note }) };
  },
});

/** What people and machines may ask of the record. */
export const endpoints: readonly Endpoint<RecordEndpointNeeds>[] = [
  ...[recordSearch, recordGet, recordProve, recordFollow, logList],
  ...[exportCreate, exportGet, exportRead],
];

/** All that is found is of that target and that identity: the filter compares whole names. */
function narrowed({ target, identity }: Static<typeof filterInput>) {
  return { target, identity };
}

function recordOf({ log, position, entry }: RecordEntry): Static<typeof record> {
  return { log, position, entry: { ...entry } };
}

function logOf(view: LogView, silentMs: number | undefined) {
  const { id, origin, owner, verifierKey, entries, heardMs, ended, closed: isClosed, alarm } = view;
  const wrong =
    alarm !== undefined
      ? { kind: alarm.kind, found: alarm.found, since: formatTime(alarm.sinceMs) }
      : silentMs === undefined
        ? undefined
        : { kind: 'silence', found: 'nothing was heard of it', since: formatTime(heardMs) };
  const state: 'shipped' | 'ended' | 'closed' = isClosed ? 'closed' : ended ? 'ended' : 'shipped';
  return {
    ...{ log: id, origin, owner, verifierKey, entries, heard: formatTime(heardMs), state },
    ...(wrong === undefined ? {} : { alarm: wrong }),
  };
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
