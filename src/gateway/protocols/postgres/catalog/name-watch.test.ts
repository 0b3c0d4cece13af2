import { beforeEach, describe, expect, it } from 'vitest';
import { composeSchema, loadPolicies } from '../../../../policy/index.ts';
import { createLog, createManualClock } from '../../../../std/index.ts';
import { createCurrentPolicies, createTargetPolicies } from '../../../sessions/current-policies.ts';
import { policySchema } from '../sql/index.ts';
import { catalogOf } from '../testing/catalogs.ts';
import { createNameWatch, type NameWatch } from './name-watch.ts';

// Goal: what policies name in vain is a warning for as long as it is so, and one line of the log for each set of policies.

const schema = composeSchema([policySchema]);
const withCustomers = catalogOf({ tables: { public: { customers: ['ssn'] } } });
const without = catalogOf({ tables: { public: { orders: ['id'] } } });

let currentPolicies: ReturnType<typeof createCurrentPolicies>;
let watch: NameWatch;
let lines: { event: string; names: string[] }[];

beforeEach(() => {
  currentPolicies = createCurrentPolicies(createManualClock(0));
  lines = [];
  const log = createLog({ level: 'info', write: (line) => lines.push(JSON.parse(line)) });
  watch = createNameWatch({
    name: 'shop',
    databases: ['shop', 'archive'],
    policies: createTargetPolicies(currentPolicies),
    log,
  });
});

function apply(table: string, more = '') {
  const text = `@id("masked") @mask("ssn:redact") permit(principal, action == Action::"postgres:select", resource == Postgres::Table::"shop/shop/public/${table}");${more}`;
  currentPolicies.replace(loadPolicies([{ name: 'p', text }], schema));
}
const whats = () => watch.warnings().map(({ what }) => what);

describe('the databases that are worth a look', () => {
  it('are those in which something is named', () => {
    expect(watch.named()).toEqual([]);
    apply('customers');
    expect(watch.named()).toEqual(['shop']);
    apply('customers', '@id("f") forbid(principal, action, resource == Postgres::Table::"shop/archive/public/old");');
    expect(watch.named()).toEqual(['shop', 'archive']);
    apply('customers', '@id("f") forbid(principal, action, resource == Postgres::Table::"shops/archive/public/old");');
    expect(watch.named()).toEqual(['shop']);
  });

  it.each([
    'resource',
    'resource in Target::"shop"',
    'resource in Postgres::Database::"shop/shop"',
  ])('are the first alone where a mask is on %s', (scope) => {
    const text = `@mask("customers.ssn:redact") permit(principal, action == Action::"postgres:select", ${scope});`;
    currentPolicies.replace(loadPolicies([{ name: 'p', text }], schema));
    expect(watch.named()).toEqual(['shop']);
  });
});

describe('a name that is not there', () => {
  it('is a warning from the first snapshot on, with what was meant and what to do', () => {
    apply('custmers');
    expect(whats()).toEqual([]);
    watch.see('shop', withCustomers);
    expect(watch.warnings()).toEqual([
      {
        about: 'names',
        what: 'policy "masked" names table "public.custmers" of database "shop", which is not there (did you mean "public.customers"?)',
        remedy: expect.stringMatching(/^Correct the name in the policy; .*\.$/),
      },
    ]);
  });

  it('is one no more when it comes, and again when it goes', () => {
    apply('customers');
    watch.see('shop', without);
    expect(whats()).toHaveLength(1);
    watch.see('shop', withCustomers);
    expect(whats()).toEqual([]);
    watch.see('shop', without);
    expect(whats()).toHaveLength(1);
    expect(lines).toHaveLength(1);
  });

  it('is one no more when the policy is mended, and is found when policies change under a snapshot', () => {
    watch.see('shop', withCustomers);
    apply('custmers');
    expect(whats()).toHaveLength(1);
    apply('customers');
    expect(whats()).toEqual([]);
  });

  it('is logged once for a set of policies', () => {
    apply('custmers');
    for (const catalog of [withCustomers, without, withCustomers]) watch.see('shop', catalog);
    expect(lines).toMatchObject([
      {
        level: 'warn',
        event: 'gateway.postgres.absent_names',
        names: ['table "public.custmers" of database "shop" in policy masked'],
      },
    ]);
    apply('custmers', 'forbid(principal, action, resource == Postgres::Database::"shop/nowhere");');
    expect(lines).toHaveLength(2);
    expect(lines[1]?.names).toHaveLength(2);
  });

  it('is logged when another database is looked into', () => {
    apply(
      'custmers',
      '@id("old") forbid(principal, action, resource == Postgres::Table::"shop/archive/old/customers");',
    );
    watch.see('shop', withCustomers);
    watch.see('archive', without);
    expect(lines.map(({ names }) => names)).toEqual([
      ['table "public.custmers" of database "shop" in policy masked'],
      ['table "old.customers" of database "archive" in policy old'],
    ]);
  });
});

it('a watch that is closed hears of no policies any more', () => {
  watch.see('shop', withCustomers);
  watch.close();
  apply('custmers');
  expect(whats()).toEqual([]);
  expect(lines).toEqual([]);
});

it('a fault of its own is logged, and reaches neither the session that brings a snapshot nor the change of policies', () => {
  const broken = { ...withCustomers, relation: undefined as never, relations: undefined as never }; // As no snapshot is.
  apply('custmers');
  watch.see('shop', broken);
  apply('customers');
  expect(lines.map(({ event }) => event)).toEqual(['gateway.postgres.names_failed', 'gateway.postgres.names_failed']);
  expect(whats()).toEqual([]);
});
