import { type TObject, type TSchema, Type } from 'typebox';
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
  const schema = (value: unknown): TSchema => schemaOf(value, options.kinds);
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
