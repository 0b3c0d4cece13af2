import { parseSpiffeId } from '@countersign/sdk/identity';
import type { AttributeValue, DecisionRequest, EntityRef } from '../../model/index.ts';
import { composeSchema } from '../schema/compose-schema.ts';
import { identityEntity } from '../schema/identity-entity.ts';
import type { PolicySchemaFragment } from '../schema/schema.ts';

/** A small protocol for this folder's tests: tables in schemas in databases of a target, and an action whose context holds every type. */
export const shopFragment: PolicySchemaFragment = {
  namespace: 'Shop',
  entityTypes: {
    Database: {
      memberOf: ['Target'],
      attributes: { name: { type: 'String' } },
      tags: { type: 'Set', element: { type: 'String' } },
      path: ['target', 'name'],
    },
    Schema: {
      memberOf: ['Database'],
      attributes: { name: { type: 'String' } },
      path: ['target', 'database', 'name'],
    },
    Table: {
      memberOf: ['Schema'],
      attributes: { schema: { type: 'String' }, name: { type: 'String' }, rows: { type: 'Long' } },
      tags: { type: 'String' },
      path: ['target', 'database', 'schema', 'name'],
      fields: { within: ['schema', 'name'], paths: [['*']], example: ['public', 'users', 'ssn'] },
    },
  },
  actions: {
    'shop:connect': { resources: ['Database', 'Target'], context: {} },
    'shop:select': {
      resources: ['Table'],
      limits: { items: 'rows' },
      context: {
        columns: { type: 'Set', element: { type: 'String' } },
        hasWhere: { type: 'Boolean' },
        count: { type: 'Long' },
        note: { type: 'String', required: false },
        address: { type: 'Extension', name: 'ipaddr' },
        at: { type: 'Extension', name: 'datetime' },
        took: { type: 'Extension', name: 'duration' },
        price: { type: 'Extension', name: 'decimal' },
        owner: { type: 'Entity', name: 'Identity' },
        peers: { type: 'Set', element: { type: 'Entity', name: 'Identity' } },
        shape: {
          type: 'Record',
          attributes: { depth: { type: 'Long' }, label: { type: 'String', required: false } },
        },
      },
    },
    'shop:update': { resources: ['Table'], context: {} },
  },
  session: 'shop:connect',
  groups: { 'shop:read': ['shop:connect', 'shop:select'], 'shop:any': ['shop:read', 'shop:update'] },
};

export const shopSchema = composeSchema([shopFragment]);

export const web = identityEntity(parseSpiffeId('spiffe://example.org/ns/shop/sa/web'));
export const batch = identityEntity(parseSpiffeId('spiffe://example.org/ns/batch/sa/job'));
export const stranger = identityEntity(parseSpiffeId('spiffe://other.test/web'));

export const target: EntityRef = entity('Target', 'shop', { name: 'shop', protocol: 'shop' }, []);
export const database: EntityRef = entity('Shop::Database', 'shop/app', { name: 'app' }, [target]);

/** A table of the one database. */
export function table(name: string, schema = 'public'): EntityRef {
  const parent = entity('Shop::Schema', `shop/app/${schema}`, { name: schema }, [database]);
  return entity('Shop::Table', `shop/app/${schema}/${name}`, { schema, name, rows: name.length }, [parent]);
}

/** With tags of its own, and some on the database above. */
export function tagged(entity: EntityRef, own: EntityRef['tags']): EntityRef {
  const above = (ref: EntityRef): EntityRef =>
    ref.type === 'Shop::Database'
      ? { ...ref, tags: { owners: ['anna', 'x'] } }
      : { ...ref, parents: ref.parents.map(above) };
  return { ...entity, ...(own === undefined ? {} : { tags: own }), parents: entity.parents.map(above) };
}

export const selectContext: DecisionRequest['context'] = {
  columns: ['id', 'name'],
  hasWhere: true,
  count: 3,
  address: { __extn: { fn: 'ip', arg: '10.1.2.3' } },
  at: { __extn: { fn: 'datetime', arg: '2026-11-22T13:00:00Z' } },
  took: { __extn: { fn: 'duration', arg: '90s' } },
  price: { __extn: { fn: 'decimal', arg: '9.99' } },
  owner: { __entity: { type: 'Identity', id: web.id } },
  peers: [{ __entity: { type: 'Identity', id: batch.id } }],
  shape: { depth: 2 },
};

/** When `select` asks. */
export const noon = Date.parse('2026-11-22T12:00:00Z');

/** A select by `web` on `public.users`, unless told otherwise. */
export function select(over: Partial<DecisionRequest> = {}): DecisionRequest {
  return {
    principal: web,
    action: 'shop:select',
    resource: table('users'),
    context: selectContext,
    timeMs: noon,
    ...over,
  };
}

function entity(
  type: string,
  id: string,
  attributes: { readonly [name: string]: AttributeValue },
  parents: readonly EntityRef[],
): EntityRef {
  return { type, id, attributes, parents };
}
