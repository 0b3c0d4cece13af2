/** A small database with masked columns, real policies and a planner: what the tests of this folder share. */
import { parseSpiffeId } from '@countersign/sdk/identity';
import pg from 'pg';
import { startPostgres, type TestPostgres } from '../../../../../../test/support/postgres.ts';
import { composeSchema, identityEntity, loadPolicies } from '../../../../../policy/index.ts';
import { assert, createCacheBudget } from '../../../../../std/index.ts';
import {
  type Catalog,
  type CatalogMirror,
  type CatalogQuestion,
  createCatalogMirror,
  createPlanner,
  type Decider,
  defaultLimits,
  loadParser,
  noSessionFacts,
  type Plan,
  type SessionFacts,
} from '../index.ts';
import { policySchema } from '../policy-schema.ts';

/** `customers` is masked, `employees` plain; views, partitions and functions over both. Canaries are the masked values. */
export const shopSql = `
  create table customers (id int primary key, name text, ssn text, email text, note text,
    ssn_tail text generated always as (right(ssn, 4)) stored);
  create table orders (id int primary key, customer_id int references customers, total numeric, note text);
  create table employees (id int primary key, name text, salary int);
  create table events (id int, day int, secret text, info text) partition by range (day);
  create table events_1 partition of events for values from (0) to (10);
  create table legacy (id int, secret text, info text);
  create view customer_names as select id, name from customers;
  create view customer_all as select id, ssn as tax_number, name from customers;
  create view customer_upper as select id, upper(ssn) as shout from customers;
  create view nested as select a.tax_number, o.total from customer_all a join orders o on o.customer_id = a.id;
  create view staff as select id, name, salary from employees;
  create materialized view customer_copy as select id, ssn, name from customers;
  create function leak() returns setof text language sql as 'select ssn from public.customers';
  create function leak_one(int) returns text language sql as 'select ssn from public.customers where id = $1';
  create view via_function as select id, leak_one(id) as it from orders;
  create function lower(int) returns text language sql as 'select ssn from public.customers limit 1';
  create function op_leak(int, int) returns text language sql as 'select ssn from public.customers limit 1';
  create operator ### (leftarg = int, rightarg = int, function = op_leak);
  create type odd as (x int);
  create function cast_leak(odd) returns text language sql as 'select ssn from public.customers limit 1';
  create cast (odd as text) with function cast_leak(odd);
  create table logged (id int, v text);
  create rule logged_rule as on insert to logged do also select ssn from customers;
  create schema "Odd/Schema";
  create table "Odd/Schema"."Per%cent" (id int, ssn text);
  insert into customers values (1, 'Ann', 'CANARY-1111', 'CANARY@ann.example', 'n1'), (2, 'Bob', 'CANARY-2222', 'CANARY@bob.example', 'n2');
  insert into orders values (1, 1, 10, 'o1'), (2, 2, 20, 'o2'), (3, 1, 30, 'o3');
  insert into employees values (1, 'Eve', 100), (2, 'Mallory', 200);
  insert into events values (1, 5, 'CANARY-event', 'i1');
  insert into legacy values (1, 'CANARY-legacy', 'l1');
  refresh materialized view customer_copy;
  analyze;
`;

/** `web` reads everything with masks; `reports` as well, with NULL for them inside of expressions; `plain` works on all but what is masked; `admin` may do everything without masks. */
export const shopPolicies = `
@id("web-read") @mask("customers.ssn:redact, customers.email:email, events.secret:redact, legacy.secret:null, shop.never:null")
permit (principal == Identity::"spiffe://example.org/web", action in [Action::"postgres:read", Action::"postgres:write", Action::"postgres:ddl", Action::"postgres:notify", Action::"postgres:call", Action::"postgres:maintain", Action::"postgres:admin"], resource);
@id("reports-read") @mask("customers.ssn:redact, customers.email:email, events.secret:redact, legacy.secret:null") @derived("null")
permit (principal == Identity::"spiffe://example.org/reports", action, resource);
@id("plain-read") @limit("rows=100")
permit (principal == Identity::"spiffe://example.org/plain", action in [Action::"postgres:read", Action::"postgres:write"], resource);
@id("plain-no-salary")
forbid (principal == Identity::"spiffe://example.org/plain", action == Action::"postgres:select", resource == Postgres::Table::"shop/shop/public/employees") when { context.columns.contains("salary") };
@id("plain-no-mass-delete")
forbid (principal == Identity::"spiffe://example.org/plain", action in [Action::"postgres:delete", Action::"postgres:update"], resource) unless { context.hasWhere };
@id("admin-all") @record("full")
permit (principal == Identity::"spiffe://example.org/admin", action, resource);
`;

export interface Shop {
  readonly catalog: Catalog;
  decider(name: string): Decider;
  plan(sql: string, options?: PlanOptions): Plan;
  planLong(sql: string, options?: PlanOptions): Promise<Plan | undefined>;
}

interface PlanOptions {
  as?: string;
  mode?: 'simple' | 'parse';
  session?: SessionFacts;
}

/** Reads the catalog of the database as the gateway does. */
export async function readCatalog(client: pg.Client, version: number): Promise<Catalog> {
  const mirror = createCatalogMirror(version - 1);
  await refreshCatalog(client, mirror);
  assert(mirror.catalog !== undefined, 'it was read just now');
  return mirror.catalog;
}

/** Brings the mirror up to date; true when anything has changed. */
export async function refreshCatalog(client: pg.Client, mirror: CatalogMirror): Promise<boolean> {
  const answers: Map<CatalogQuestion['name'], readonly (readonly (string | null)[])[]> = new Map();
  for (const { name, sql } of mirror.questions()) {
    const { rows } = await client.query({ text: sql, rowMode: 'array', types: asText });
    answers.set(name, rows);
  }
  return mirror.take(answers);
}

/** Values as the server sent them. */
export const asText = { getTypeParser: () => (value: string) => value };

export async function openClient(server: TestPostgres, database: string): Promise<pg.Client> {
  const { host, port, superuser, password } = server;
  const client = new pg.Client({ host, port, user: superuser, password, database });
  await client.connect();
  return client;
}

/** A database of a server of its own. */
export interface ShopServer {
  /** Its superuser's. */
  readonly client: pg.Client;
  /** As it was when `sql` had been run. */
  readonly catalog: Catalog;
  stop(): Promise<void>;
}

/** Starts one, and loads what plans statements on it. */
export async function startShopServer(sql: string = shopSql): Promise<ShopServer> {
  await loadParser();
  const server = await startPostgres({ databases: ['shop'] });
  const client = await openClient(server, 'shop');
  await client.query(sql);
  return {
    ...{ client, catalog: await readCatalog(client, 1) },
    async stop() {
      await client.end();
      await server.stop();
    },
  };
}

export function createShop(catalog: Catalog, policies: string = shopPolicies, cacheBytes = 0): Shop {
  const compiled = loadPolicies([{ name: 'shop', text: policies }], composeSchema([policySchema]));
  const limits = { ...defaultLimits, statements: 1_000_000 };
  const planner = createPlanner({ target: 'shop', database: 'shop', caches: createCacheBudget(cacheBytes), limits });
  const decider = (name: string): Decider => {
    const principal = identityEntity(parseSpiffeId(`spiffe://example.org/${name}`));
    return {
      version: 1,
      policySet: undefined,
      principalKey: principal.id,
      decide: (action, resource, context) => compiled.decide({ principal, action, resource, context }),
      potentialMasks: () => compiled.maskBearing(principal),
    };
  };
  return {
    catalog,
    decider,
    plan: (sql, { as = 'web', mode = 'simple', session = noSessionFacts } = {}) =>
      planner.plan({ sql, mode, catalog, decider: decider(as), session }),
    planLong: (sql, { as = 'web', mode = 'simple', session = noSessionFacts } = {}) =>
      planner.planLong({ sql, mode, catalog, decider: decider(as), session }),
  };
}
