import { Type } from 'typebox';
import { cursorAfter, type Endpoint, endpointsOf, notFound, pageInput, pageOf, readPage } from '../endpoint/index.ts';
import type { Entry } from '../model/index.ts';
import type { EntryFilter, Registration } from './types.ts';

/** What the endpoints of entries work with. */
export interface EntryEndpointNeeds {
  readonly registration: Pick<Registration, 'list' | 'get'>;
}

const endpoint = endpointsOf<EntryEndpointNeeds>();
const closed = { additionalProperties: false } as const;

const id = Type.String({ pattern: '^[A-Za-z0-9._-]{1,255}$', description: 'Id of the entry.' });
const spiffeId = Type.String({ maxLength: 2048 });
const seconds = Type.Integer({ minimum: 0 });
const fields = {
  id,
  spiffeId: Type.String({ description: 'The identity that it gives.' }),
  parentId: Type.String({ description: 'Whose agent hands it out.' }),
  selectors: Type.Array(Type.String(), { description: 'What a process has to show, all of it: `unix:uid:1000`.' }),
  x509TtlSeconds: Type.Integer({ minimum: 0, description: 'Life of its X.509-SVIDs; 0: as the server says.' }),
  jwtTtlSeconds: Type.Integer({ minimum: 0, description: 'Life of its JWT-SVIDs; 0: as the server says.' }),
  federatesWith: Type.Array(Type.String(), { description: 'Trust domains whose bundles come with it.' }),
  admin: Type.Boolean({ description: 'Whoever has it may operate the server.' }),
  downstream: Type.Boolean(),
  expiresAtSeconds: Type.Integer({ minimum: 0, description: 'Since 1970; 0: never.' }),
  dnsNames: Type.Array(Type.String()),
  hint: Type.String(),
  storeSvid: Type.Boolean(),
  revision: seconds,
  createdAtSeconds: seconds,
  attributes: Type.Object(
    { owner: Type.String(), environment: Type.String(), labels: Type.Record(Type.String(), Type.String()) },
    { ...closed, description: 'What policies may know of the identity. Empty: it has not been said.' },
  ),
};

const entryList = endpoint({
  name: 'entry.list',
  summary: 'Lists the registration entries by id.',
  method: 'GET',
  path: '/v1/entries',
  input: Type.Object(
    {
      ...pageInput,
      spiffeId: Type.Optional({ ...spiffeId, description: 'Only those that give this identity.' }),
      parentId: Type.Optional({ ...spiffeId, description: 'Only those below this parent.' }),
    },
    closed,
  ),
  output: pageOf(Type.Object(fields, closed), {}),
  about: { type: 'Entries', of: (input) => ({ identity: input.spiffeId }) },
  paged: true,
  async handle(input, _call, { registration }) {
    const question = ['entry.list', input.spiffeId ?? '', input.parentId ?? ''];
    const { limit, after = '' } = readPage(input, question);
    const filter: EntryFilter = {
      ...(input.spiffeId === undefined ? {} : { spiffeId: input.spiffeId }),
      ...(input.parentId === undefined ? {} : { parentId: input.parentId }),
    };
    const page = await registration.list({ filter, pageSize: limit, pageToken: after });
    const next = page.nextPageToken === '' ? {} : { next: cursorAfter(page.nextPageToken, question) };
    return { items: page.entries.map(entryOutput), ...next };
  },
});

const entryGet = endpoint({
  name: 'entry.get',
  summary: 'Shows one registration entry.',
  method: 'GET',
  path: '/v1/entries/{id}',
  input: Type.Object({ id }, closed),
  output: Type.Object(fields, closed),
  about: {
    type: 'Entry',
    of: (input) => input.id,
    found: ({ spiffeId: identity, attributes }) => ({ identity, said: attributes }),
  },
  async handle(input, _call, { registration }) {
    const found = await registration.get(input.id);
    if (found === undefined) throw notFound(`there is no entry ${input.id}`);
    return entryOutput(found);
  },
});

/** What people and machines may ask of entries. They are changed with targets and policies: `resource.apply` is the API's. */
export const endpoints: readonly Endpoint<EntryEndpointNeeds>[] = [entryList, entryGet];

function entryOutput(entry: Entry) {
  const { owner, environment, labels } = entry.attributes;
  return {
    id: entry.id,
    spiffeId: entry.spiffeId.uri,
    parentId: entry.parentId.uri,
    selectors: entry.selectors.map(({ type, value }) => `${type}:${value}`),
    x509TtlSeconds: entry.x509SvidTtlS,
    jwtTtlSeconds: entry.jwtSvidTtlS,
    federatesWith: [...entry.federatesWith],
    admin: entry.admin,
    downstream: entry.downstream,
    expiresAtSeconds: entry.expiresAtS,
    dnsNames: [...entry.dnsNames],
    hint: entry.hint,
    storeSvid: entry.storeSvid,
    revision: entry.revisionNumber,
    createdAtSeconds: entry.createdAtS,
    attributes: { owner, environment, labels: { ...labels } },
  };
}
