import { describe, expect, it } from 'vitest';
import { composeSchema, loadPolicies } from '../../../../policy/index.ts';
import { type Catalog, policySchema } from '../sql/index.ts';
import { catalogOf } from '../testing/catalogs.ts';
import { absentNames } from './absent-names.ts';

// Goal: what a forbid or a mask names and the target has not is found; what is there, or could be, is never reported.

const shop = catalogOf({
  tables: {
    public: { customers: ['id', 'ssn'], 'Order Lines': ['id'] },
    crm: { people: ['id', 'tax'] },
  },
  functions: { tools: ['close_month'] },
});
const archive = catalogOf({ tables: { old: { customers: ['id', 'ssn'] } } });

function absent(policies: string, catalogs: Readonly<Record<string, Catalog>> = { shop, archive }, namesMax = 100) {
  const compiled = loadPolicies([{ name: 'p', text: policies }], composeSchema([policySchema]));
  const known = new Map(Object.entries(catalogs));
  const target = { name: 'shop', databases: ['shop', 'archive'], catalogs: known };
  return absentNames(compiled.names(), target, { namesMax, helpFor: (_name, find) => find() }).map(
    ({ policy, name, help = '' }) => `${policy}: ${name} ${help}`,
  );
}

const forbid = (resource: string) => `@id("f") forbid(principal, action, ${resource});`;
const mask = (columns: string, resource: string) =>
  `@id("m") @mask("${columns}") permit(principal, action == Action::"postgres:select", ${resource});`;

describe('a forbid, or a permit with masks', () => {
  it.each([
    [
      'Table',
      'shop/shop/public/custmers',
      'table "public.custmers" of database "shop" did you mean "public.customers"?',
    ],
    ['Table', 'shop/shop/crm/customers', 'table "crm.customers" of database "shop" '],
    ['Table', 'shop/archive/public/customers', 'table "public.customers" of database "archive" '],
    ['Schema', 'shop/shop/pubic', 'schema "pubic" of database "shop" did you mean "public"?'],
    [
      'Function',
      'shop/shop/tools/close_mont',
      'function "tools.close_mont" of database "shop" did you mean "tools.close_month"?',
    ],
    ['Function', 'shop/shop/public/customers', 'function "public.customers" of database "shop" '],
    ['Database', 'shop/archiv', 'database "archiv" did you mean "archive"?'],
    ['Table', 'shop/sohp/public/customers', 'database "sohp" did you mean "shop"?'],
  ])('that names a %s %s names what is not there', (type, id, expected) => {
    expect(absent(forbid(`resource in Postgres::${type}::"${id}"`))).toEqual([`f: ${expected}`]);
    // A function shows no columns: its permits have no masks.
    if (type === 'Function') return;
    const op = type === 'Table' ? '==' : 'in';
    expect(absent(mask('ssn:redact', `resource ${op} Postgres::${type}::"${id}"`))[0]).toBe(`m: ${expected}`);
  });

  it.each([
    ['Table', 'shop/shop/public/customers'],
    ['Table', 'shop/shop/public/Order Lines'],
    ['Table', 'shop/shop/pg_catalog/pg_authid'],
    ['Table', 'shop/shop/information_schema/columns'],
    ['Schema', 'shop/shop/tools'],
    ['Schema', 'shop/shop/pg_temp'],
    ['Function', 'shop/shop/tools/close_month'],
    ['Function', 'shop/shop/pg_catalog/pg_read_file'],
    ['Database', 'shop/archive'],
    ['Table', 'warehouse/any/public/custmers'],
  ])('that names a %s %s is not reported', (type, id) => {
    expect(absent(forbid(`resource in Postgres::${type}::"${id}"`))).toEqual([]);
  });

  it('is held against it in conditions too, each name once', () => {
    const name = 'Postgres::Schema::"shop/shop/pubic"';
    expect(
      absent(`@id("f") forbid(principal, action, resource) when { resource in ${name} || resource in ${name} };`),
    ).toEqual(['f: schema "pubic" of database "shop" did you mean "public"?']);
  });

  it('is not reported of a database that nobody has looked into', () => {
    expect(absent(forbid('resource == Postgres::Table::"shop/archive/public/customers"'), { shop })).toEqual([]);
    expect(absent(forbid('resource == Postgres::Table::"shop/nowhere/public/customers"'), {})).toHaveLength(1);
  });
});

describe('a permit without masks', () => {
  it('is not reported: it gives nothing, which is no leak', () => {
    expect(absent('permit(principal, action, resource == Postgres::Table::"shop/shop/public/custmers");')).toEqual([]);
  });
});

describe('a mask of a policy on several tables', () => {
  it.each([
    [
      'public.custmers.ssn',
      'Postgres::Database::"shop/shop"',
      'masked table "public.custmers" of database "shop" did you mean "public.customers"?',
    ],
    [
      'custmers.ssn',
      'Postgres::Database::"shop/shop"',
      'masked table "custmers" of database "shop" did you mean "customers"?',
    ],
    ['people.tax', 'Postgres::Schema::"shop/shop/public"', 'masked table "public.people" of database "shop" '],
    ['taxx', 'Postgres::Schema::"shop/shop/crm"', 'masked column "taxx" of database "shop" did you mean "tax"?'],
    ['tax', 'Postgres::Schema::"shop/shop/public"', 'masked column "tax" of database "shop" '],
    ['custmers.ssn', 'Target::"shop"', 'masked table "custmers" of target "shop" did you mean "customers"?'],
  ])('names what none of them is: %s in %s', (columns, place, expected) => {
    expect(absent(mask(`${columns}:redact`, `resource in ${place}`))).toEqual([`m: ${expected}`]);
  });

  it.each([
    ['customers.ssn', 'Postgres::Database::"shop/shop"'],
    ['crm.people.tax', 'Postgres::Database::"shop/shop"'],
    ['ssn', 'Postgres::Schema::"shop/shop/public"'],
    ['old.customers.ssn', 'Target::"shop"'],
    ['custmers.ssn', 'Target::"warehouse"'],
    // Whether the column is there is said by the refusal of its table.
    ['customers.snn', 'Postgres::Database::"shop/shop"'],
  ])('is not reported where one of them is: %s in %s', (columns, place) => {
    expect(absent(mask(`${columns}:redact`, `resource in ${place}`))).toEqual([]);
  });

  it('is not reported where it may be about another target, or a database that nobody has looked into', () => {
    expect(absent(mask('custmers.ssn:redact', 'resource'))).toEqual([]);
    expect(absent(mask('custmers.ssn:redact', 'resource in Target::"shop"'), { shop })).toEqual([]);
  });
});

it('more than can be told are not looked for', () => {
  const policies = Array.from(
    { length: 30 },
    (_, n) => `@id("f${n}") ${forbid(`resource == Postgres::Table::"shop/shop/public/t${n}"`).slice(8)}`,
  );
  expect(absent(policies.join('\n'), { shop }, 20)).toHaveLength(20);
});

it('thousands of masks are held against thousands of tables without a walk over them for each', () => {
  let walks = 0;
  const names = Array.from({ length: 2_000 }, (_, n) => `t${n}`);
  const catalog = catalogOf({ tables: { public: Object.fromEntries(names.map((name) => [name, [`c_${name}`]])) } });
  const relations = new Map(
    Array.from(catalog.relations, ([oid, relation]) => [
      oid,
      {
        ...relation,
        get columns() {
          walks++;
          return relation.columns;
        },
      },
    ]),
  );
  const counted = { ...catalog, relations };
  const columns = names.map((name) => `c_${name}:redact`);
  const texts = columns.map((column) =>
    mask(column, 'resource in Postgres::Schema::"shop/shop/public"').replace('"m"', `"${column}"`),
  );
  expect(absent(texts.join('\n'), { shop: counted })).toEqual([]);
  expect(walks).toBe(names.length);
});
