import { type TSchema, Type } from 'typebox';
import {
  type Endpoint,
  type EndpointResource,
  endpointsOf,
  notFound,
  pageInput,
  pageOf,
  pageOfAll,
  readPage,
} from '../endpoint/index.ts';
import { type KindMember, kindName } from './kind.ts';
import type { Resource, Resources, Snapshot } from './types.ts';

/** What the endpoints of kinds work with. */
interface KindEndpointNeeds {
  readonly resources: Pick<Resources, 'snapshot'>;
}

/** A kind, as far as its endpoints go by it. */
type KindWords = Pick<KindMember, 'id' | 'config' | 'plural' | 'isFlat'>;

const endpoint = endpointsOf<KindEndpointNeeds>();
const closed = { additionalProperties: false } as const;

const name = Type.String({
  pattern: '^[a-z][a-z0-9-]{0,62}$',
  description: 'Name of the resource.',
});
const revision = Type.Integer({
  minimum: 0,
  description: 'Of all that is declared: it grows with each change of any. Also in ETag.',
});
const tag = (output: unknown) => `r${(output as Pick<Snapshot, 'revision'>).revision}`; // Each of them has one.

/** What people and machines may ask of each kind. Changes are made of all kinds together: `resource.apply` is the API's. */
export function endpointsOfKinds(kinds: readonly KindWords[]): readonly Endpoint<KindEndpointNeeds>[] {
  return kinds.flatMap((kind) => [listOf(kind), oneOf(kind)]);
}

function listOf(kind: KindWords) {
  const { id, plural = `${id}s` } = kind;
  const question = `${id}.list`;
  return endpoint({
    name: question,
    summary: `Lists the declared ${plural.replaceAll('-', ' ')} by name.`,
    method: 'GET',
    path: `/v1/${plural}`,
    input: Type.Object(pageInput, closed),
    output: pageOf(Type.Object(fieldsOf(kind), closed), { revision }),
    paged: true,
    tag,
    async handle(input, _call, { resources }) {
      const snapshot = resources.snapshot();
      const asked = readPage(input, [question]);
      const all = ownOf(snapshot, kind);
      const { items, ...rest } = pageOfAll(all, asked, { keyOf: (one) => one.name, question: [question] });
      return { items: items.map((one) => told(one, kind)), ...rest, revision: snapshot.revision };
    },
  });
}

function oneOf(kind: KindWords) {
  const noun = kind.id.replaceAll('-', ' ');
  return endpoint({
    name: `${kind.id}.get`,
    summary: `Shows one declared ${noun}.`,
    method: 'GET',
    path: `/v1/${kind.plural ?? `${kind.id}s`}/{name}`,
    input: Type.Object({ name }, closed),
    output: Type.Object({ ...fieldsOf(kind), revision }, closed),
    about: aboutOf(kindName(kind)),
    tag,
    async handle(input, _call, { resources }) {
      const snapshot = resources.snapshot();
      const found = ownOf(snapshot, kind).find((one) => one.name === input.name);
      if (found === undefined) throw notFound(`there is no ${noun} ${input.name}`);
      return { ...told(found, kind), revision: snapshot.revision };
    },
  });
}

/** What policy of the API is asked about: of what has no type of its own the id is kind and name, in which no target or policy can be meant. */
function aboutOf(kind: string) {
  const type: Exclude<EndpointResource['type'], 'System' | 'Records' | 'Sessions' | 'Entries'> =
    kind === 'Target' ? 'DeclaredTarget' : kind === 'Policy' ? 'DeclaredPolicy' : 'DeclaredResource';
  return {
    type,
    of: (input: { name: string }) => (type === 'DeclaredResource' ? `${kind}/${input.name}` : input.name),
  };
}

function fieldsOf({ config, isFlat = false }: KindWords): { name: typeof name } & Record<string, TSchema> {
  if (isFlat) return { name, ...config.properties };
  const spec = Type.Record(Type.String(), Type.Unknown(), {
    description: 'As declared; secrets in it are references, never values.',
  });
  return { name, spec };
}

function ownOf({ resources }: Snapshot, kind: KindWords): readonly Resource[] {
  const own = kindName(kind);
  return resources.filter((one) => one.kind === own);
}

function told({ name: own, spec }: Resource, { isFlat = false }: KindWords) {
  const fields = { ...(spec as object) }; // Only objects pass the check of a kind.
  return isFlat ? { ...fields, name: own } : { name: own, spec: fields };
}
