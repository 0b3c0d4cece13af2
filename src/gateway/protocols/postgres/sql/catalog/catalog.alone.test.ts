import { describe, expect, it } from 'vitest';
import { createCacheBudget } from '../../../../../std/index.ts';
import { createPlanner, noSessionFacts, SqlError } from '../index.ts';
import { buildCatalog, catalogItems } from '../testing/catalog-rows.ts';
import { catalogQueries } from './queries.ts';

const codeOf = (act: () => unknown) => {
  try {
    act();
  } catch (error) {
    return error instanceof SqlError ? error.code : error;
  }
  return undefined;
};

describe('a snapshot', () => {
  it('knows relations by name and by OID, system ones by name only', () => {
    const catalog = buildCatalog(catalogItems(), 3);
    expect(catalog.version).toBe(3);
    expect(catalog.relation('public', 'customers')?.columns.map(({ name }) => name)).toEqual(['id', 'name', 'ssn']);
    expect(catalog.relation('pg_catalog', 'pg_class')).toBeUndefined();
    expect(catalog.systemRelations('pg_catalog')?.has('pg_class')).toBe(true);
    expect(catalog.dependencies(20_003)).toEqual([
      { relation: catalog.relation('public', 'customers'), columns: ['id', 'ssn'] },
    ]);
    expect(catalog.searchPath).toEqual(['public']);
  });

  it('has an answer to every query, but for those that may fail', () => {
    for (const { name, optional } of catalogQueries) {
      const rows = catalogItems();
      rows.delete(name);
      expect(
        codeOf(() => buildCatalog(rows, 1)),
        name,
      ).toBe(optional ? undefined : 'ERR_SQL_CATALOG');
    }
  });

  it.each([
    [
      'settings',
      [
        [
          'shop',
          'public',
          '["public"]',
          'off',
          '180000',
          'true',
          'gateway',
          '["public"]',
          'false',
          'false',
          'UTF8',
          '4',
          'C',
        ],
      ],
    ],
    [
      'settings',
      [['shop', 'public', '{', 'on', '180000', 'true', 'gateway', '["public"]', 'false', 'false', 'UTF8', '4', 'C']],
    ],
    [
      'settings',
      [['shop', 'public', '[1]', 'on', '180000', 'true', 'gateway', '["public"]', 'false', 'false', 'UTF8', '4', 'C']],
    ],
    ['settings', []],
    ['relations', [['x', 'public', 'a', 'r', false, false, false, null]]],
    ['relations', [[1, null, 'a', 'r', false, false, false, null]]],
    ['relations', [[1, 'public', 'a', 'r', false, false, false, [[1, 'a']]]]],
    ['inheritance', [['', [2]]]],
    ['inheritance', [[1, 2]]],
    ['functions', [{}]],
  ] as const)('refuses malformed %s %j', (name, items) => {
    const all = catalogItems();
    all.set(name, items as unknown as readonly (readonly unknown[])[]); // What no server of ours would say.
    expect(codeOf(() => buildCatalog(all, 1))).toBe('ERR_SQL_CATALOG');
  });
});

it('planning before the parser is loaded is a failure, not a verdict', () => {
  const planner = createPlanner({ target: 't', database: 'd', caches: createCacheBudget(1 << 20) });
  const decider = {
    version: 1,
    policySet: undefined,
    principalKey: 'p',
    decide: () => ({ allow: false, reason: 'no-permit', policies: [] }) as const,
    potentialMasks: () => [],
  };
  const request = {
    sql: 'select 1',
    mode: 'simple',
    catalog: buildCatalog(catalogItems(), 1),
    decider,
    session: noSessionFacts,
  } as const;
  expect(codeOf(() => planner.plan(request))).toBe('ERR_SQL_PARSER');
});
