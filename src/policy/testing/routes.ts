import type { EntityRef } from '../../model/index.ts';
import { composeSchema } from '../schema/compose-schema.ts';
import type { PolicySchemaFragment } from '../schema/schema.ts';
import { shopFragment } from './shop.ts';

/** A protocol whose fields nest, as HTTP's do; health checks have none. */
export const routesFragment: PolicySchemaFragment = {
  namespace: 'Routes',
  entityTypes: {
    Route: {
      memberOf: ['Target'],
      attributes: { target: { type: 'String' }, path: { type: 'String' } },
      path: ['target', 'path'],
      fields: {
        within: [],
        paths: [
          ['body', '**'],
          ['query', '*'],
        ],
        example: ['body', 'user', 'ssn'],
      },
    },
    Health: { memberOf: ['Target'], attributes: { target: { type: 'String' } }, path: ['target', 'name'] },
  },
  actions: {
    'routes:get': { resources: ['Route'], context: {} },
    'routes:ping': { resources: ['Health'], context: {} },
  },
};

/** Beside the shop. */
export const routesSchema = composeSchema([shopFragment, routesFragment]);

export const customers: EntityRef = {
  type: 'Routes::Route',
  id: 'api/customers',
  attributes: { target: 'api', path: 'customers' },
  parents: [],
};
