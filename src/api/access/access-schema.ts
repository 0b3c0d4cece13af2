import type { EndpointWords } from '../../endpoint/index.ts';
import { composeSchema, type PolicySchema, type PolicySchemaFragment } from '../../policy/index.ts';
import { rpcActions, rpcGroups } from './rpc-actions.ts';

/**
 * What policies of the API are about: `Countersign::`. Who asks is a `Node`, an `Identity`, as gateways know it and with `admin`, a `Person` or an
 * `Operator`, or nobody that is known, a `Stranger`; what they ask about is a `DeclaredTarget`, a `DeclaredPolicy`, an `Entry` or a `Gateway`, or all
 * of the `System`, in which each of those is. Each gRPC method and each endpoint has an action. What only looks is in the group `countersign:look`,
 * what changes something in `countersign:change`, both in `countersign:operate`. Whatever order endpoints come in, the schema is the same: what was
 * parsed for it goes by its digest.
 */
export function accessSchema(endpoints: readonly Pick<EndpointWords, 'action' | 'audit'>[]): PolicySchema {
  return composeSchema([accessFragment(endpoints)]);
}

function accessFragment(endpoints: readonly Pick<EndpointWords, 'action' | 'audit'>[]): PolicySchemaFragment {
  const groups = Object.entries(rpcGroups).map(
    ([name, members]) => [name, new Set(members.map((member) => `countersign:${member}`))] as const,
  );
  const byName = new Map(groups);
  for (const { action, audit } of endpoints) {
    byName.get(audit === undefined ? 'countersign:look' : 'countersign:change')?.add(action);
  }
  const actions = new Set([...rpcActions.values(), ...endpoints.map(({ action }) => action)]);
  const resources = ['System', ...PARTS];
  return {
    namespace: 'Countersign',
    principals: ['Node', 'Identity', 'Person', 'Operator', 'Stranger'],
    identityAttributes: { admin: { type: 'Boolean' } },
    entityTypes: {
      System: { memberOf: [], attributes: {} },
      ...Object.fromEntries(PARTS.map((name) => [name, { memberOf: ['System'], attributes: { id: STRING } }])),
      Node: { memberOf: [], attributes: { uri: STRING } },
      Person: {
        memberOf: [],
        attributes: {
          issuer: STRING,
          subject: STRING,
          email: { ...STRING, required: false },
          groups: { type: 'Set', element: STRING },
          byLink: { type: 'Boolean' },
        },
      },
      Operator: { memberOf: [], attributes: { uid: { type: 'Long', required: false } } },
      Stranger: { memberOf: [], attributes: {} },
    },
    actions: Object.fromEntries([...actions].toSorted().map((action) => [action, { resources, context: {} }])),
    groups: {
      ...Object.fromEntries(Array.from(byName, ([name, members]) => [name, [...members].toSorted()])),
      'countersign:operate': ['countersign:look', 'countersign:change'],
    },
  };
}

/** A `Target` is what gateways' policies are about; what is declared of one has a name of its own. */
const PARTS = ['DeclaredTarget', 'DeclaredPolicy', 'Entry', 'Gateway'] as const;
const STRING = { type: 'String' } as const;
