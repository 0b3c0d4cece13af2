import type { TrustDomain } from '@countersign/sdk/identity';
import { type Static, type TEnum, Type } from 'typebox';
import { type Endpoint, type EndpointError, endpointsOf, notAsSeen, notTaken } from '../../endpoint/index.ts';
import type { EntryInput, Registration } from '../../registration/index.ts';
import { type KindMember, kindName, type Resources } from '../../resources/index.ts';
import { codeOf } from '../../std/index.ts';
import { ApplyRefused, auditOfApply, createApplier, type DeclaredSet } from './apply-declared.ts';

/** What the endpoints of applying work with. */
export interface ApplyEndpointNeeds {
  readonly resources: Pick<Resources, 'plan' | 'apply'>;
  readonly registration: Pick<Registration, 'declare'>;
  readonly trustDomain: TrustDomain;
}

const endpoint = endpointsOf<ApplyEndpointNeeds>();
const closed = { additionalProperties: false } as const;

const name = Type.String({ pattern: '^[a-z][a-z0-9-]{0,62}$' });
const entry = Type.Object(
  {
    id: Type.String({ pattern: '^[A-Za-z0-9._-]{1,255}$', description: 'Id of the entry.' }),
    spiffeId: Type.String({ maxLength: 2048, description: 'The identity that it gives.' }),
    parentId: Type.Optional(
      Type.String({ maxLength: 2048, description: 'Whose agent hands it out; every attested node unless said.' }),
    ),
    selectors: Type.Array(Type.String({ pattern: '^[^:]+:.+$', maxLength: 2048 }), {
      ...{ minItems: 1, maxItems: 100 },
      description: 'What a process has to show, all of it: `unix:uid:1000`.',
    }),
    x509TtlSeconds: Type.Optional(Type.Integer({ minimum: 0, description: 'Life of its X.509-SVIDs.' })),
    jwtTtlSeconds: Type.Optional(Type.Integer({ minimum: 0, description: 'Life of its JWT-SVIDs.' })),
    federatesWith: Type.Optional(Type.Array(Type.String({ maxLength: 255 }), { maxItems: 100 })),
    admin: Type.Optional(Type.Boolean({ description: 'Whoever has it may operate the server.' })),
    expiresAtSeconds: Type.Optional(Type.Integer({ minimum: 0, description: 'Since 1970; absent: never.' })),
    dnsNames: Type.Optional(Type.Array(Type.String({ maxLength: 255 }), { maxItems: 100 })),
    hint: Type.Optional(Type.String({ maxLength: 1024 })),
    attributes: Type.Optional(
      Type.Object(
        {
          owner: Type.Optional(Type.String({ maxLength: 256 })),
          environment: Type.Optional(Type.String({ maxLength: 256 })),
          labels: Type.Optional(Type.Record(Type.String(), Type.String({ maxLength: 256 }))),
        },
        { ...closed, description: 'What policies may know of the identity; absent: an entry keeps its own.' },
      ),
    ),
  },
  closed,
);

/** A thousand policies of some length; the largest message of gRPC as well. */
const APPLY_BYTES_MAX = 4 * 1024 * 1024;

/** Changing what is declared, of these kinds. */
export function endpointsOfKinds(kinds: readonly Pick<KindMember, 'id'>[]): readonly Endpoint<ApplyEndpointNeeds>[] {
  const { input, output } = schemasOf(Type.Enum(kinds.map(kindName).toSorted()));
  const shared = { input, output, conditional: true, bodyBytesMax: APPLY_BYTES_MAX } as const;
  return [planOf(shared), applyOf(shared)];
}

type Input = ReturnType<typeof schemasOf>['input'];
type Output = ReturnType<typeof schemasOf>['output'];

function schemasOf(kind: TEnum<string[]>) {
  const declared = {
    resources: Type.Optional(
      Type.Array(Type.Object({ kind, name, spec: Type.Record(Type.String(), Type.Unknown()) }, closed), {
        maxItems: 20_000,
        description: 'Targets and policies as they are to be; the spec of a policy is `{"cedar": "…"}`.',
      }),
    ),
    entries: Type.Optional(
      Type.Array(entry, { maxItems: 20_000, description: 'Entries as they are to be, by id; others are left alone.' }),
    ),
    remove: Type.Optional(
      Type.Array(Type.Object({ kind, name }, closed), {
        maxItems: 20_000,
        description: 'Targets and policies that are to be gone; those that are not there are left alone.',
      }),
    ),
    prune: Type.Optional(
      Type.Boolean({ description: 'Every target and policy that is not among the resources is to be gone.' }),
    ),
  };
  const input = Type.Object(declared, closed);

  const output = Type.Object(
    {
      changes: Type.Array(
        Type.Object(
          {
            kind,
            name: Type.String(),
            action: Type.Enum(['create', 'update', 'delete', 'unchanged']),
            differences: Type.Array(Type.String(), { description: 'For people, a line each; no secret is in them.' }),
          },
          closed,
        ),
        { description: 'Of targets and policies. Entries are written as they are declared.' },
      ),
      revision: Type.Integer({
        description: 'Of all targets and policies: that it was planned against, or that holds it.',
      }),
    },
    closed,
  );

  return { input, output };
}

interface Shared {
  readonly input: Input;
  readonly output: Output;
  readonly conditional: true;
  readonly bodyBytesMax: number;
}

function planOf(shared: Shared) {
  return endpoint({
    ...shared,
    name: 'resource.plan',
    summary: 'Shows what applying would do, and refuse; nothing is done.',
    method: 'POST',
    path: '/v1/plan',
    tag,
    handle: (given, { signal, ifMatch }, needs) =>
      told(ifMatch, () => createApplier(needs).plan(setOf(given, ifMatch, needs.trustDomain), signal)),
  });
}

function applyOf(shared: Shared) {
  return endpoint({
    ...shared,
    name: 'resource.apply',
    summary: 'Makes targets, policies and entries as they are declared, all of it or nothing.',
    description: 'With If-Match, as a list or a plan gave its ETag, only if no target or policy was changed since.',
    method: 'POST',
    path: '/v1/apply',
    idempotent: 'by-key',
    audit: {
      as: 'Apply',
      target: 'resources',
      of: ({ resources = [], entries = [], remove = [], prune = false }) =>
        auditOfApply({ resources, entries, options: { prune, remove } }),
    },
    tag,
    handle: (given, { signal, ifMatch }, needs) =>
      told(ifMatch, () => createApplier(needs).apply(setOf(given, ifMatch, needs.trustDomain), signal)),
  });
}

function tag({ revision }: Static<Output>): string {
  return `r${revision}`;
}

function setOf(given: Static<Input>, ifMatch: string | undefined, trustDomain: TrustDomain): DeclaredSet {
  const { resources = [], entries = [], remove = [], prune = false } = given;
  const ifRevision = ifMatch === undefined ? undefined : revisionOf(ifMatch);
  return {
    resources,
    entries: entries.map((one) => entryInput(one, trustDomain)),
    options: { prune, remove, ...(ifRevision === undefined ? {} : { ifRevision }) },
  };
}

function entryInput(given: Static<typeof entry>, trustDomain: TrustDomain): EntryInput {
  const { selectors, parentId, x509TtlSeconds, jwtTtlSeconds, expiresAtSeconds, attributes, ...rest } = given;
  return {
    ...rest,
    parentId: parentId ?? `spiffe://${trustDomain}/countersign/nodes`,
    selectors: selectors.map((text) => {
      const colon = text.indexOf(':');
      return { type: text.slice(0, colon), value: text.slice(colon + 1) };
    }),
    x509SvidTtlS: x509TtlSeconds ?? 0,
    jwtSvidTtlS: jwtTtlSeconds ?? 0,
    expiresAtS: expiresAtSeconds ?? 0,
    ...(attributes === undefined ? {} : { attributes }),
  };
}

/** @throws EndpointError ERR_ENDPOINT_CHANGED for a tag that no revision has */
function revisionOf(tagged: string): number {
  const match = /^r(0|[1-9]\d{0,15})$/.exec(tagged);
  if (match === null) throw changed();
  return Number(match[1]);
}

/** What was refused, as callers of endpoints are told it. @throws EndpointError ERR_ENDPOINT_REFUSED, ERR_ENDPOINT_CHANGED */
async function told<T>(ifMatch: string | undefined, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    if (cause instanceof ApplyRefused) {
      const { message, problems } = cause;
      throw notTaken(message, problems, cause);
    }
    if (ifMatch !== undefined && codeOf(cause) === 'ERR_RESOURCES_CHANGED') throw changed(cause);
    throw cause;
  }
}

function changed(cause?: unknown): EndpointError {
  return notAsSeen('targets or policies are not as If-Match says; nothing was done', cause);
}
