import { type TObject, Type } from 'typebox';

/** Config schemas of the registered members, by id, passed in from the registries. */
export interface MemberSchemas {
  readonly storeEngines: Readonly<Record<string, TObject>>;
  readonly keystores: Readonly<Record<string, TObject>>;
  readonly nodeAttestors: Readonly<Record<string, TObject>>;
  readonly workloadAttestors: Readonly<Record<string, TObject>>;
  readonly recordSinks: Readonly<Record<string, TObject>>;
  /** The words by which a sink says what it wants. */
  readonly recordFilter: TObject;
}

/** What members of a family are configured with: their schemas, or nothing known of them, so that whatever is said passes. */
type Members = Readonly<Record<string, TObject>> | undefined;

/** An object with exactly one key: the id of a member, holding its config. */
export function oneOf(schemas: Members, description: string, fallback: object) {
  return Type.Object(optional(schemas), {
    additionalProperties: schemas === undefined,
    minProperties: 1,
    maxProperties: 1,
    description: `${description} One of: ${Object.keys(schemas ?? {}).join(', ')}.`,
    default: fallback,
  });
}

/** An object whose keys are ids of members, each holding its config. */
export function anyOf(schemas: Members, description: string, fallback: object) {
  return Type.Object(optional(schemas), {
    additionalProperties: schemas === undefined,
    minProperties: 1,
    description: `${description} Any of: ${Object.keys(schemas ?? {}).join(', ')}.`,
    default: fallback,
  });
}

/** Each of them, none required. */
export function optional(schemas: Members = {}): Record<string, ReturnType<typeof Type.Optional<TObject>>> {
  return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, Type.Optional(schema)]));
}

/** An object without other keys. */
export function closed<P extends Parameters<typeof Type.Object>[0], O extends object>(properties: P, options: O) {
  return Type.Object(properties, { additionalProperties: false, ...options });
}
