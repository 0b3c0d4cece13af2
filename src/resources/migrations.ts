import type { Generated, Kysely } from 'kysely';
import type { GatewayState } from '../model/index.ts';
import type { Migration } from '../store/index.ts';

/** The tables of resources. */
export const resourcesMigrations: readonly Migration[] = [
  {
    name: '0001-resources',
    async up(db) {
      await db.schema
        .createTable('resources')
        .addColumn('kind', 'text', (column) => column.notNull())
        .addColumn('name', 'text', (column) => column.notNull())
        .addColumn('spec', 'text', (column) => column.notNull())
        .addColumn('revision', 'bigint', (column) => column.notNull())
        .addPrimaryKeyConstraint('resources_key', ['kind', 'name'])
        .execute();
      await db.schema
        .createTable('resources_state')
        .addColumn('id', 'integer', (column) => column.primaryKey())
        .addColumn('revision', 'bigint', (column) => column.notNull())
        .execute();
      // Made by this very migration.
      const tables = db as Kysely<ResourcesTables>;
      const states = [1, 2].map((id) => ({ id, revision: 0 }));
      await tables.insertInto('resources_state').values(states).execute();
      await db.schema
        .createTable('resources_gateways')
        .addColumn('spiffe_id', 'text', (column) => column.notNull())
        .addColumn('address', 'text', (column) => column.notNull())
        .addColumn('connected', 'integer', (column) => column.notNull())
        .addColumn('since_ms', 'bigint', (column) => column.notNull())
        .addColumn('owner', 'text', (column) => column.notNull())
        .addPrimaryKeyConstraint('resources_gateways_key', ['spiffe_id', 'address'])
        .execute();
    },
  },
  {
    name: '0002-resources-servers',
    async up(db) {
      await db.schema
        .createTable('resources_servers')
        .addColumn('owner', 'text', (column) => column.primaryKey())
        .addColumn('beats', 'bigint', (column) => column.notNull())
        .execute();
    },
  },
  {
    name: '0003-resources-gateway-reports',
    async up(db) {
      await db.schema.alterTable('resources_gateways').addColumn('reported', 'bigint').execute();
      await db.schema.alterTable('resources_gateways').addColumn('findings', 'text').execute();
    },
  },
  {
    name: '0004-resources-gateway-states',
    async up(db) {
      // What servers and gateways write that know nothing of states.
      await db.schema
        .alterTable('resources_gateways')
        .addColumn('state', 'text', (column) => column.notNull().defaultTo('serving'))
        .execute();
    },
  },
  {
    name: '0005-resources-gateway-instances',
    async up(db) {
      // Of SQLite's tables the key can not be changed.
      await db.schema
        .createTable('resources_gateways_next')
        .addColumn('spiffe_id', 'text', (column) => column.notNull())
        .addColumn('address', 'text', (column) => column.notNull())
        // What servers and gateways write that know nothing of instances.
        .addColumn('instance', 'text', (column) => column.notNull().defaultTo(''))
        .addColumn('connected', 'integer', (column) => column.notNull())
        .addColumn('since_ms', 'bigint', (column) => column.notNull())
        .addColumn('owner', 'text', (column) => column.notNull())
        .addColumn('reported', 'bigint')
        .addColumn('findings', 'text')
        .addColumn('state', 'text', (column) => column.notNull().defaultTo('serving'))
        .addPrimaryKeyConstraint('resources_gateways_instance_key', ['spiffe_id', 'address', 'instance'])
        .execute();
      const columns = [
        'spiffe_id',
        'address',
        'connected',
        'since_ms',
        'owner',
        'reported',
        'findings',
        'state',
      ] as const;
      // Made by these very migrations.
      const tables = db as Kysely<ResourcesTables & { resources_gateways_next: ResourcesTables['resources_gateways'] }>;
      await tables
        .insertInto('resources_gateways_next')
        .columns(columns)
        .expression(tables.selectFrom('resources_gateways').select(columns))
        .execute();
      await db.schema.dropTable('resources_gateways').execute();
      await db.schema.alterTable('resources_gateways_next').renameTo('resources_gateways').execute();
    },
  },
];

/** The tables, as kysely sees them. */
export interface ResourcesTables {
  resources: { kind: string; name: string; spec: string; revision: number };
  /** One row for resources, id 1, and one for gateways, id 2. */
  resources_state: { id: number; revision: number };
  /**
   * `owner`: which server says that it is connected. `reported` and `findings`: the revision that the gateway said it took last, and, as JSON,
   * what it finds wrong with that; null before it has said so, or where there is nothing. Of instances that are gone one is left at each address
   * where none is connected.
   */
  resources_gateways: {
    spiffe_id: string;
    address: string;
    instance: Generated<string>;
    connected: number;
    since_ms: number;
    owner: string;
    reported: number | null;
    findings: string | null;
    state: Generated<GatewayState>;
  };
  /** One row for each server that runs, by what it calls itself in `owner`: `beats` grows as long as it lives. */
  resources_servers: { owner: string; beats: number };
}
