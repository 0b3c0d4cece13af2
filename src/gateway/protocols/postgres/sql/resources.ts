import type { EntityRef } from '../../../../model/index.ts';

/** Where a planner's names live. */
export interface Place {
  readonly target: string;
  readonly database: string;
}

/** The database as policy sees it: id `target/database`. The resource of `postgres:connect`. */
export function databaseResource({ target, database }: Place): EntityRef {
  const parent: EntityRef = {
    type: 'Target',
    id: target,
    attributes: { name: target, protocol: 'postgres' },
    parents: [],
  };
  return {
    type: 'Postgres::Database',
    id: resourceId(target, database),
    attributes: { target, name: database },
    parents: [parent],
  };
}

export function schemaResource(place: Place, schema: string): EntityRef {
  const { target, database } = place;
  return {
    type: 'Postgres::Schema',
    id: resourceId(target, database, schema),
    attributes: { target, database, name: schema },
    parents: [databaseResource(place)],
  };
}

/** A table, view, materialized view, foreign table or sequence: id `target/database/schema/name`. */
export function tableResource(place: Place, schema: string, name: string): EntityRef {
  return inSchema('Postgres::Table', place, { schema, name });
}

/** A function or procedure of any signature: id `target/database/schema/name`. */
export function functionResource(place: Place, schema: string, name: string): EntityRef {
  return inSchema('Postgres::Function', place, { schema, name });
}

function inSchema(type: string, place: Place, { schema, name }: { schema: string; name: string }): EntityRef {
  const { target, database } = place;
  return {
    type,
    id: resourceId(target, database, schema, name),
    attributes: { target, database, schema, name },
    parents: [schemaResource(place, schema)],
  };
}

/** Parts joined by `/`; a `/` or `%` inside a part is percent-encoded, so no two names share an id. */
function resourceId(...parts: readonly string[]): string {
  return parts.map((part) => part.replaceAll('%', '%25').replaceAll('/', '%2F')).join('/');
}
