import { createHash } from 'node:crypto';
import type { AnswerRow } from '../catalog/bucket-table.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { createCatalogMirror } from '../catalog/mirror.ts';
import type { CatalogQueryName } from '../catalog/queries.ts';

/** Items by query; of `settings`, its one row. */
export type CatalogItems = Map<CatalogQueryName, readonly (readonly unknown[])[]>;

/** What the catalog queries find in a small database, for tests without a server. */
export function catalogItems(): CatalogItems {
  return new Map<CatalogQueryName, readonly (readonly unknown[])[]>([
    [
      'settings',
      [
        [
          'shop',
          '"$user", public',
          '["public"]',
          'on',
          '180000',
          'true',
          'gateway',
          '["public"]',
          'false',
          'false',
          '[]',
          'UTF8',
          '4',
          'C',
        ],
      ],
    ],
    [
      'relations',
      [
        [1259, 'pg_catalog', 'pg_class', 'r', false, false, false, null],
        [1260, 'pg_catalog', 'pg_authid', 'r', false, false, false, null],
        [20_001, 'public', 'customers', 'r', false, false, false, columnsOf('id', 'name', 'ssn')],
        [20_002, 'public', 'orders', 'r', false, false, false, columnsOf('id', 'note')],
        [20_003, 'public', 'customer_all', 'v', false, false, false, columnsOf('id', 'tax_number')],
      ],
    ],
    ['dependencies', [[20_003, [[20_001, ['id', 'ssn']]]]]],
    ['definitions', [[20_003, 'select id, ssn as tax_number from customers']]],
    ['inheritance', []],
    ['foreign-keys', []],
    ['functions', [[20_004, 'public', 'leak', 'f', 'sql', 0, 0, false, null]]],
    ['operators', []],
    ['casts', []],
    [
      'builtin-functions',
      [
        ['lower', 'i'],
        ['upper', 'i'],
        ['now', 's'],
        ['random', 'v'],
        ['count', 'i'],
        ['set_config', 'v'],
        ['pg_read_file', 'v'],
      ],
    ],
    ['builtin-types', [['text'], ['int4']]],
  ]);
}

export function columnsOf(...names: readonly string[]): readonly (readonly unknown[])[] {
  return names.map((name, index) => [index + 1, name, null]);
}

/** The answers of a server that has these items, to whoever knows nothing yet. */
export function answersOf(items: CatalogItems): Map<CatalogQueryName, readonly AnswerRow[]> {
  const answers = Array.from(items, ([name, list]): [CatalogQueryName, readonly AnswerRow[]] => {
    if (name === 'settings') return [name, list.map((row) => row.map(String))];
    const text = list.map((item) => JSON.stringify(item)).join(',');
    return [name, list.length === 0 ? [] : [['0', createHash('sha256').update(text).digest('base64'), text]]];
  });
  return new Map(answers);
}

/** The catalog that these items make. @throws SqlError ERR_SQL_CATALOG */
export function buildCatalog(items: CatalogItems, version: number): Catalog {
  const mirror = createCatalogMirror(version - 1);
  mirror.take(answersOf(items));
  if (mirror.catalog === undefined) throw new Error('no catalog was made');
  return mirror.catalog;
}

/** A decider that permits everything; with masks on `customers.ssn`. */
export const maskingPolicies = `
@id("all") permit (principal, action, resource);
@id("mask") @mask("customers.ssn:redact") permit (principal, action == Action::"postgres:select", resource);
`;
