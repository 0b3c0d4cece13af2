import type { Catalog } from '../catalog/catalog.ts';
import type { SearchPath, SessionFacts, SessionRole } from '../plan.ts';

type NameFacts = Pick<SessionFacts, 'searchPath' | 'startPath' | 'createdNames' | 'role'>;

/** What an unqualified name is looked up in. */
export interface Lookup {
  /** Schemas in PostgreSQL's order; `pg_temp` stands for the session's temporary one, where relations and types are found, never code. */
  readonly path: readonly string[];
  /** Where a new object without a schema goes; undefined when the path has no schema for it. */
  readonly creation: string | undefined;
}

/**
 * The schemas that a session's names are looked up in: those of its path that are there and that its login may use, with the implicit ones
 * before them. A schema that the session has made counts as well.
 */
export function lookupOf(catalog: Catalog, facts: NameFacts): Lookup {
  const names = pathOf(facts) ?? parsePath(catalog.searchPathSetting) ?? catalog.searchPath;
  const listed: string[] = [];
  for (const one of names) {
    const name = one === '$user' ? (roleOf(catalog, facts.role) ?? catalog.user) : one;
    if (listed.includes(name) || !isThere(catalog, facts, name)) continue;
    listed.push(name);
  }
  const path = [...listed];
  if (!listed.includes('pg_catalog')) path.unshift('pg_catalog');
  if (!listed.includes('pg_temp')) path.unshift('pg_temp');
  return { path, creation: listed[0] };
}

/** The schemas that functions and operators without a schema are looked up in. */
export function codePath(path: readonly string[]): readonly string[] {
  return path.filter((schema) => schema !== 'pg_temp');
}

/** The names in a list as the server reads it, quoted or not; undefined for what is no list of names. */
export function parsePath(text: string): readonly string[] | undefined {
  if (text.trim() === '') return [];
  const names: string[] = [];
  const one = /\s*(?:"((?:[^"]|"")*)"|([A-Za-z_$\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*))\s*(,|$)/y;
  for (let isLast = false; !isLast; ) {
    const match = one.exec(text);
    if (match === null) return undefined;
    const [, quoted, plain = '', separator] = match;
    // In UTF8 the server folds the letters of ASCII and no others.
    names.push(quoted?.replaceAll('""', '"') ?? plain.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()));
    isLast = separator === '';
  }
  return names.some((name) => Buffer.byteLength(name) > NAME_BYTES_MAX) ? undefined : names;
}

/** The role in force; undefined = the login itself. */
export function roleOf(catalog: Catalog, { session, current }: SessionRole): string | undefined {
  const name = current ?? session;
  return name === catalog.user ? undefined : name;
}

/** The path in force. */
export function pathOf(facts: Pick<SessionFacts, 'searchPath' | 'startPath'>): SearchPath {
  return facts.searchPath ?? facts.startPath;
}

function isThere(catalog: Catalog, { createdNames, role }: NameFacts, name: string): boolean {
  // What another role may use is not known here: it counts as all.
  if (roleOf(catalog, role) !== undefined || name === 'pg_catalog' || name === 'pg_temp') return true;
  return catalog.schemas.has(name) || createdNames.has(`schema ${name}`);
}

/** The server cuts longer names short. */
const NAME_BYTES_MAX = 63;
