import type { EndpointResource, EndpointWords } from '../../endpoint/index.ts';
import { composeSchema, type PolicySchema, type PolicySchemaFragment } from '../../policy/index.ts';
import { rpcActions, rpcGroups } from './rpc-actions.ts';

/** What the schema is made of: of each endpoint its action, what it is about, and whether it changes something. */
export type AccessWords = Pick<EndpointWords, 'action' | 'audit' | 'about'>;

/**
 * What policies of the API are about: `Countersign::`. Who asks is a `Node`, an `Identity`, as gateways know it and with `admin`, a `Person` or an
 * `Operator`, or nobody that is known, a `Stranger`; what they ask about is one thing (a `DeclaredTarget`, `DeclaredPolicy`, `Entry` or `Gateway`; of
 * other kinds a `DeclaredResource`, by kind and name), a question about many (`Records`, `Sessions`, `Approvals`, `Entries`), which has as attributes what
 * it is narrowed to, or the `System`, in which each of those is. Of an `Entry` its identity, owner, environment and labels (tags) are known once found.
 * Each gRPC method and each endpoint has an action. What only looks is in the group `countersign:look`, what changes something in
 * `countersign:change`, both in `countersign:operate`; `countersign:respond`, `countersign:approve` and `countersign:own-target` are for the roles of that name. Whatever order
 * endpoints come in, the schema is the same: what was parsed for it goes by its digest.
 */
export function accessSchema(endpoints: readonly AccessWords[]): PolicySchema {
  return composeSchema([accessFragment(endpoints)]);
}

function accessFragment(endpoints: readonly AccessWords[]): PolicySchemaFragment {
  const groups = Object.entries(rpcGroups).map(
    ([name, members]) => [name, new Set(members.map((member) => `countersign:${member}`))] as const,
  );
  const byName = new Map(groups);
  const about = new Map<string, Set<EndpointResource['type']>>();
  for (const endpoint of endpoints) {
    byName.get(endpoint.audit === undefined ? 'countersign:look' : 'countersign:change')?.add(endpoint.action);
    about.set(endpoint.action, (about.get(endpoint.action) ?? new Set()).add(endpoint.about));
  }
  const actions = [...new Set([...Array.from(rpcActions.values()).flat(), ...about.keys()])].toSorted();
  const known = new Set(actions);
  const role = (members: readonly string[]) =>
    members.map((member) => `countersign:${member}`).filter((action) => known.has(action));
  return {
    namespace: 'Countersign',
    principals: ['Node', 'Identity', 'Person', 'Operator', 'Stranger'],
    identityAttributes: { admin: { type: 'Boolean' } },
    entityTypes: {
      System: { memberOf: [], attributes: {} },
      ...Object.fromEntries(PARTS.map((name) => [name, { memberOf: ['System'], attributes: { id: STRING } }])),
      Entry: {
        memberOf: ['System'],
        attributes: { id: STRING, identity: NARROWED, owner: NARROWED, environment: NARROWED },
        tags: STRING,
      },
      Records: { memberOf: ['System'], attributes: { target: NARROWED, identity: NARROWED } },
      Sessions: { memberOf: ['System'], attributes: { target: NARROWED, identity: NARROWED } },
      Approvals: { memberOf: ['System'], attributes: { target: NARROWED, identity: NARROWED } },
      Entries: { memberOf: ['System'], attributes: { identity: NARROWED } },
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
    actions: Object.fromEntries(
      actions.map((action) => [action, { resources: [...(about.get(action) ?? ['System'])].toSorted(), context: {} }]),
    ),
    groups: {
      ...Object.fromEntries(Array.from(byName, ([name, members]) => [name, [...members].toSorted()])),
      'countersign:operate': ['countersign:look', 'countersign:change'],
      'countersign:respond': role(RESPOND),
      'countersign:approve': role(APPROVE),
      'countersign:own-target': role(OWN_TARGET),
    },
  };
}

/** A `Target` is what gateways' policies are about; what is declared of one has a name of its own. */
const PARTS = ['DeclaredTarget', 'DeclaredPolicy', 'DeclaredResource', 'Gateway'] as const;
const STRING = { type: 'String' } as const;
/** There where the question is narrowed to one; else it is open, and what reads it can't be evaluated. */
const NARROWED = { type: 'String', required: false } as const;
/** What somebody does who is called at night: see what runs and what was done, and end it. */
const RESPOND = [
  ...['caller.get', 'session.list', 'session.get', 'session.follow', 'session.end', 'gateway.list', 'gateway.get'],
  ...['gateway.follow', 'record.search', 'record.get', 'record.follow', 'target.list', 'target.get', 'policy.list'],
  ...['policy.get', 'entry.list', 'entry.get', 'node.list', 'node.get', 'node.ban', 'sign-in.list', 'sign-in.end'],
  ...['revocation.list', 'revocation.get', 'revocation.follow', 'revocation.add', 'revocation.lift'],
  ...['approval.list', 'approval.get', 'approval.follow'],
];
/** What somebody does who is asked: see what waits, and answer it. Whom a rule lets answer is its own. */
const APPROVE = ['caller.get', 'approval.list', 'approval.get', 'approval.follow', 'approval.answer'];
/** What may be asked of one target alone. */
const OWN_TARGET = [
  ...['target.get', 'session.list', 'session.get', 'session.follow'],
  ...['record.search', 'record.get', 'record.prove', 'record.follow'],
  ...['approval.list', 'approval.get', 'approval.follow', 'approval.answer'],
];
