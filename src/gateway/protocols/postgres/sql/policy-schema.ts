import type { CedarTypeJson, PolicySchemaFragment } from '../../../../policy/index.ts';

const text: CedarTypeJson = { type: 'String' };

/** Context of actions on a table's rows. */
const rows: Readonly<Record<string, CedarTypeJson>> = {
  /** Columns that are read (select) or written (insert, update), all of them for `*`; empty for delete and truncate. */
  columns: { type: 'Set', element: text },
  /** Every place that names the table restricts it by WHERE. */
  hasWhere: { type: 'Boolean' },
};

/** Whatever was asked for a statement, its rows, bytes and time are counted. */
const limits = { items: 'rows', bytesIn: 'bytesIn', bytesOut: 'bytesOut', duration: 'duration', rate: 'rate' };
const onTable = { resources: ['Table'], context: rows, limits };
const onDatabase = { resources: ['Database'], context: {}, limits };
const onEither = { resources: ['Table', 'Database'], context: {}, limits };

/** What PostgreSQL adds to the policy language. */
export const policySchema: PolicySchemaFragment = {
  namespace: 'Postgres',
  entityTypes: {
    Database: { memberOf: ['Target'], attributes: { target: text, name: text }, path: ['target', 'name'] },
    Schema: {
      memberOf: ['Database'],
      attributes: { target: text, database: text, name: text },
      path: ['target', 'database', 'name'],
    },
    Table: {
      memberOf: ['Schema'],
      attributes: { target: text, database: text, schema: text, name: text },
      path: ['target', 'database', 'schema', 'name'],
      fields: { within: ['schema', 'name'], paths: [['*']], example: ['public', 'customers', 'ssn'] },
    },
    Function: {
      memberOf: ['Schema'],
      attributes: { target: text, database: text, schema: text, name: text },
      path: ['target', 'database', 'schema', 'name'],
    },
  },
  actions: {
    'postgres:connect': { resources: ['Database'], context: {}, limits: { sessions: 'sessions' } },
    'postgres:select': onTable,
    'postgres:insert': onTable,
    'postgres:update': onTable,
    'postgres:delete': onTable,
    'postgres:truncate': onTable,
    'postgres:call': { resources: ['Function'], context: {}, limits },
    'postgres:maintain': onEither,
    'postgres:ddl': onEither,
    'postgres:notify': onDatabase,
    'postgres:admin': onDatabase,
    // Lower case, as in `app.tenant`; only of settings that are not harmless by nature.
    'postgres:set': { resources: ['Database'], context: { setting: text }, limits },
    // Another role than the gateway's own login.
    'postgres:set-role': { resources: ['Database'], context: { role: text }, limits },
  },
  session: 'postgres:connect',
  groups: {
    'postgres:read': ['postgres:select'],
    'postgres:write': ['postgres:insert', 'postgres:update', 'postgres:delete', 'postgres:truncate'],
    'postgres:any': [
      'postgres:read',
      'postgres:write',
      'postgres:connect',
      'postgres:call',
      'postgres:maintain',
      'postgres:ddl',
      'postgres:notify',
      'postgres:admin',
      'postgres:set',
      'postgres:set-role',
    ],
  },
};
