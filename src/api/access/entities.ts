import type { TrustDomain } from '@countersign/sdk/identity';
import { type EndpointResource, type Principal, principalName } from '../../endpoint/index.ts';
import type { EntityRef } from '../../model/index.ts';
import { identityEntity } from '../../policy/index.ts';
import { identityNamed } from '../../records/index.ts';

/** Who asks, as policies of the API see them; undefined: nobody that is known. */
export function principalEntity(principal: Principal | undefined): EntityRef {
  switch (principal?.kind) {
    case undefined:
      return { type: 'Countersign::Stranger', id: '', attributes: {}, parents: [] };
    case 'node':
      return { type: 'Countersign::Node', id: principal.id.uri, attributes: { uri: principal.id.uri }, parents: [] };
    case 'identity': {
      const entity = identityEntity(principal.id, principal.attributes);
      return { ...entity, attributes: { ...entity.attributes, admin: principal.admin } };
    }
    case 'person': {
      const { issuer, subject, email, groups, byLink } = principal;
      const attributes = { issuer, subject, groups, byLink, ...(email === undefined ? {} : { email }) };
      return { type: 'Countersign::Person', id: principalName(principal), attributes, parents: [] };
    }
    case 'operator': {
      const attributes = principal.uid === undefined ? {} : { uid: principal.uid };
      return { type: 'Countersign::Operator', id: principalName(principal), attributes, parents: [] };
    }
    default:
      return principal satisfies never;
  }
}

/** Makes the entity of what is asked about. */
export function createResourceEntity(trustDomain: TrustDomain): (resource: EndpointResource) => EntityRef {
  const system: EntityRef = { type: 'Countersign::System', id: trustDomain, attributes: {}, parents: [] };
  return ({ type, id, narrowed = {} }) => {
    if (type === 'System') return system;
    const fields = QUESTIONS[type];
    if (fields === undefined) return { type: `Countersign::${type}`, id, attributes: { id }, parents: [system] };
    const told = {
      target: type === 'Records' && ACTED_ON.has(narrowed.target ?? '') ? undefined : narrowed.target,
      // As the filter has it.
      identity: narrowed.identity === undefined ? undefined : identityNamed(narrowed.identity, trustDomain),
    };
    // An empty text narrows nothing.
    const isTold = (name: 'target' | 'identity') => told[name] !== undefined && told[name] !== '';
    const attributes = Object.fromEntries(fields.filter(isTold).map((name) => [name, told[name] ?? '']));
    const open = fields.filter((name) => !isTold(name));
    return { type: `Countersign::${type}`, id: '', attributes, open, parents: [system] };
  };
}

/** By type what such a question may be narrowed to. */
const QUESTIONS: Readonly<Partial<Record<EndpointResource['type'], readonly ('target' | 'identity')[]>>> = {
  Records: ['target', 'identity'],
  Sessions: ['target', 'identity'],
  Entries: ['identity'],
  Approvals: ['target', 'identity'],
};

/**
 * What the server's own acts are on, as its ledger has it beside the names of targets: a question for one of them finds what operators did, and
 * whoever may ask about a target that happens to be called so has no business with that. So it narrows nothing.
 */
const ACTED_ON: ReadonlySet<string> = new Set([
  ...['access', 'approvals', 'bundles', 'entries', 'record', 'resources', 'revocations', 'sessions', 'sign-ins'],
]);
