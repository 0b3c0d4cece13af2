import { type TObject, type TSchema, Type } from 'typebox';
import { durationSchema } from './values.ts';
import { parseChecked } from './yaml.ts';

/** A kind of resource, as files declare it. */
export interface DeclaredKind {
  /** `Target`. */
  readonly name: string;
  /** Keys that a document may have beside kind, name and spec. */
  readonly beside: Readonly<Record<string, TSchema>>;
  /** The schema of such a spec. */
  specOf(spec: unknown): TObject;
}

/** One resource as declared in a file that `apply` reads. */
export interface Declared {
  /** The name of a kind. */
  readonly kind: string;
  readonly name: string;
  readonly spec: Readonly<Record<string, unknown>>;
  /** `file:line:column` of the resource, for messages. */
  readonly where: string;
  /** Of a target: the document that describes its API. It is held against the target here, and is no part of what is applied. */
  readonly describedBy?: DescribedBy;
}

/** A document that a target names beside its spec. */
export interface DescribedBy {
  /** As written: relative to the file that names it. */
  readonly path: string;
  /** `file:line:column` of a value in the target's document. */
  where(path: readonly (string | number)[]): string;
}

/**
 * Parses a YAML file of resources, several documents parted by `---`, each of one of the kinds.
 * @throws ConfigError ERR_CONFIG_SYNTAX | ERR_CONFIG_INVALID
 */
export function parseDeclared(options: { file: string; text: string; kinds: readonly DeclaredKind[] }): Declared[] {
  const kinds = [ENTRY, ...options.kinds];
  const schema = (value: unknown): TSchema => schemaOf(value, kinds);
  return parseChecked({ file: options.file, text: options.text, schema }).flatMap(({ value, where }) => {
    // Passed schemaOf.
    const { describedBy, ...document } = value as Pick<Declared, 'kind' | 'name' | 'spec'> & { describedBy?: string };
    const described = describedBy === undefined ? {} : { describedBy: { path: describedBy, where } };
    return [{ ...document, ...described, where: where([]) }];
  });
}

function schemaOf(value: unknown, kinds: readonly DeclaredKind[]): TSchema {
  const document = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}; // Read key by key below.
  const kind = kinds.find(({ name }) => name === document['kind']);
  if (kind !== undefined) return documentSchema(kind, document['spec']);
  return closed({
    kind: Type.Enum(kinds.map(({ name }) => name).toSorted()),
    name: Type.Optional(Type.Unknown()),
    spec: Type.Optional(Type.Unknown()),
  });
}

/** The schema of a document of that kind, which has such a spec. */
export function documentSchema({ name, beside, specOf }: DeclaredKind, spec: unknown): TObject {
  return closed({
    ...beside,
    kind: Type.Literal(name),
    name: Type.String({ description: 'Name of the resource.', pattern: '^[a-z0-9]([a-z0-9._-]{0,62})$' }),
    spec: specOf(spec),
  });
}

function closed(properties: Record<string, TSchema>) {
  return Type.Object(properties, { additionalProperties: false });
}

const entrySpec = closed({
  spiffeId: Type.String({ description: 'Identity given to workloads that match.' }),
  parentId: Type.Optional(
    Type.String({ description: 'SPIFFE ID of the agent or node alias; absent = every attested node.' }),
  ),
  selectors: Type.Array(Type.String({ pattern: '^[^:]+:.+$' }), {
    description: 'All of these must hold, each `type:value`.',
    minItems: 1,
    maxItems: 100,
  }),
  x509Ttl: Type.Optional(durationSchema({ description: 'Life of its X.509-SVIDs.' })),
  jwtTtl: Type.Optional(durationSchema({ description: 'Life of its JWT-SVIDs.' })),
  dnsNames: Type.Optional(Type.Array(Type.String(), { description: 'DNS names in its X.509-SVIDs.', maxItems: 100 })),
  federatesWith: Type.Optional(
    Type.Array(Type.String(), { description: 'Trust domains whose bundles it gets.', maxItems: 100 }),
  ),
  admin: Type.Optional(Type.Boolean({ description: 'May call the operator API over mTLS.' })),
  hint: Type.Optional(
    Type.String({
      description: 'Tells workloads with several identities which is for what; `default` comes first.',
      maxLength: 1024,
    }),
  ),
  owner: Type.Optional(
    Type.String({ description: 'Who answers for it; policies read `principal.owner`.', maxLength: 256 }),
  ),
  environment: Type.Optional(
    Type.String({ description: 'Where it belongs; policies read `principal.environment`.', maxLength: 256 }),
  ),
  labels: Type.Optional(
    Type.Record(Type.String(), Type.String({ maxLength: 256 }), {
      description: 'What else policies may know of it, `team: payments`; they read `principal.getTag("team")`.',
    }),
  ),
});

/** Entries are kept by another feature than what is declared beside them. */
const ENTRY: DeclaredKind = { name: 'Entry', beside: {}, specOf: () => entrySpec };
