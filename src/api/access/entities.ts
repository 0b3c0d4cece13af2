import type { TrustDomain } from '@countersign/sdk/identity';
import { type EndpointResource, type Narrowed, type Principal, principalName } from '../../endpoint/index.ts';
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
    const fields = FIELDS[type];
    if (fields === undefined) return { type: `Countersign::${type}`, id, attributes: { id }, parents: [system] };
    const told = toldOf(type, narrowed, trustDomain);
    const isSaid = type === 'Entry' && narrowed.said !== undefined;
    // An empty text narrows nothing; of what is said of an identity, it says nothing.
    const open = fields.filter(
      (name) => !(told[name] !== undefined && told[name] !== '') && !(isSaid && SAID.has(name)),
    );
    const attributes = Object.fromEntries(
      fields.filter((name) => !open.includes(name) && told[name] !== undefined).map((name) => [name, told[name] ?? '']),
    );
    const within = narrowed.identityWithin ?? '';
    const beginning = within === '' || !open.includes('identity') ? undefined : identityNamed(within, trustDomain);
    return {
      ...{ type: `Countersign::${type}`, id, parents: [system] },
      attributes: type === 'Entry' ? { id, ...attributes } : attributes,
      ...(open.length === 0 ? {} : { open }),
      ...(beginning === undefined ? {} : { beginnings: { identity: beginning } }),
      ...(isSaid ? { tags: { ...narrowed.said?.labels } } : {}),
    };
  };
}

type Field = 'target' | 'identity' | 'owner' | 'environment';

/** What is told in a question of each field; undefined: nothing. */
function toldOf(type: EndpointResource['type'], narrowed: Narrowed, trustDomain: TrustDomain) {
  const { target, identity, said } = narrowed;
  return {
    target: type === 'Records' && ACTED_ON.has(target ?? '') ? undefined : target,
    // As the filter has it.
    identity: identity === undefined ? undefined : identityNamed(identity, trustDomain),
    owner: said?.owner === '' ? undefined : said?.owner,
    environment: said?.environment === '' ? undefined : said?.environment,
  } satisfies Record<Field, string | undefined>;
}

/** By type what such a question may be narrowed to, or what one thing has. */
const FIELDS: Readonly<Partial<Record<EndpointResource['type'], readonly Field[]>>> = {
  Records: ['target', 'identity'],
  Sessions: ['target', 'identity'],
  Entries: ['identity'],
  Entry: ['identity', 'owner', 'environment'],
  Approvals: ['target', 'identity'],
};
/** What an entry says, all of it or nothing. */
const SAID: ReadonlySet<Field> = new Set(['owner', 'environment']);

/**
 * What the server's own acts are on, as its ledger has it beside the names of targets: a question for one of them finds what operators did, and
 * whoever may ask about a target that happens to be called so has no business with that. So it narrows nothing.
 */
const ACTED_ON: ReadonlySet<string> = new Set([
  ...['access', 'approvals', 'bundles', 'entries', 'record', 'resources', 'revocations', 'sessions', 'sign-ins'],
]);
