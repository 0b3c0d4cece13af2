import type { Catalog } from '../sql/index.ts';

/** A snapshot that has those tables, with their columns, and functions: by schema. */
export function catalogOf(has: {
  readonly tables?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  readonly functions?: Readonly<Record<string, readonly string[]>>;
}): Catalog {
  let oid = 0;
  const relations = Object.entries(has.tables ?? {}).flatMap(([schema, tables]) =>
    Object.entries(tables).map(([name, columns]) => ({
      ...{
        oid: ++oid,
        schema,
        name,
        kind: 'r',
        definition: undefined,
        hasRules: false,
        runsCode: false,
        hasOwnTypes: false,
      },
      columns: columns.map((column, index) => ({ name: column, attributeNumber: index + 1, generated: undefined })),
    })),
  );
  const functions = Object.entries(has.functions ?? {}).flatMap(([schema, names]) =>
    names.map((name) => ({
      ...{ schema, name, isProcedure: false, language: 'sql', extension: undefined },
      ...{ argumentsMin: 0, argumentsMax: 0 },
    })),
  );
  return {
    ...{ version: 1, database: 'shop', searchPath: ['public'], searchPathSetting: 'public' },
    ...{
      hasEventTriggers: false,
      hasDeferrableTriggers: false,
      hiddenTypes: new Set<string>(),
      user: 'gateway',
      schemas: new Set(['public']),
    },
    encoding: { name: 'UTF8', bytesMax: 4, foldsLetters: false },
    relations: new Map(relations.map((relation) => [relation.oid, relation])),
    relation: (schema, name) => relations.find((relation) => relation.schema === schema && relation.name === name),
    hasSchema: (schema) => relations.some((relation) => relation.schema === schema),
    ...{ systemRelations: () => undefined, changesSince: () => undefined },
    ...{ dependencies: () => [], parents: () => [], children: () => [], referencing: () => [] },
    functions: {
      functions: new Map(functions.map((one) => [one.name, [one]])),
      ...{ operators: new Map(), casts: [], builtins: new Map(), builtinTypes: new Set() },
    },
  };
}
