import { IdentityError, parseSpiffeId, parseTrustDomain } from '@countersign/sdk/identity';
import type { PolicyErrorCode } from '../errors.ts';
import type { NamedById, PolicySchema } from '../schema/compose-schema.ts';
import { idOfParts, partsOfId } from '../schema/resource-from-id.ts';
import type { CompiledPolicies, PolicyName, PolicyPosition, PolicyProblem } from '../types.ts';
import { placeOfName } from './find-in-text.ts';
import { didYouMean } from './nearest-name.ts';

/** What there is for policies to name, as far as somebody knows: of what is undefined, nothing is said. */
export interface KnownNames {
  /** Declared targets by name, each with the names that may follow its own in a resource's id (its databases, its routes) where its config says so. */
  readonly targets: ReadonlyMap<string, readonly string[] | undefined> | undefined;
  /** Trust domains whose identities can come: our own, and federated ones. */
  readonly trustDomains: ReadonlySet<string> | undefined;
  /** SPIFFE IDs that registration entries give. Of trust domains that none of them is in, nothing is said. */
  readonly identities: ReadonlySet<string> | undefined;
}

/**
 * Warns of each name in policies that matches nothing, so that the policy, or the part of it, never applies: a permit then gives nothing, a forbid or a
 * mask keeps nothing back. In order of sources and places; `help` is the nearest known name when it is close.
 */
export function unmatchedNames(
  compiled: CompiledPolicies,
  schema: PolicySchema,
  known: KnownNames,
): readonly PolicyProblem[] {
  const summaries = new Map(compiled.policies.map((summary) => [summary.id, summary]));
  const types = new Map(Array.from(schema.namedById.values(), (named) => [named.type, named]));
  const paths = known.identities && pathsAbove(known.identities);
  const { entities } = compiled.names();
  const problems: PolicyProblem[] = [];
  let hints = 0;
  for (const name of entities) {
    const { policy } = name;
    const finding = findingOf(name, { types, known, paths });
    const summary = summaries.get(policy);
    if (finding === undefined || summary === undefined) continue;
    const { message, near } = finding;
    const help = finding.help ?? (near && hints++ < HINTS_MAX ? didYouMean(near.name, near.known) : undefined);
    problems.push({ severity: 'warning', code: CODE, message, help, policy, position: placeOfName(summary, name) });
  }
  return problems.sort((a, b) => comparePlaces(a.position, b.position));
}

function comparePlaces(a: PolicyPosition, b: PolicyPosition): number {
  if (a.source !== b.source) return a.source < b.source ? -1 : 1;
  return a.line - b.line || a.column - b.column;
}

interface Finding {
  readonly message: string;
  readonly help?: string;
  /** Among which to look for what was meant, when there is no better help. */
  readonly near?: { readonly name: string; readonly known: Iterable<string> };
}

interface Facts {
  readonly types: ReadonlyMap<string, NamedById>;
  readonly known: KnownNames;
  /** Every path that some identity is below. */
  readonly paths: ReadonlySet<string> | undefined;
}

function findingOf(name: PolicyName, { types, known, paths }: Facts): Finding | undefined {
  const { type, id } = name;
  switch (type) {
    case 'TrustDomain':
      return identityProblem(() => parseTrustDomain(id), name) ?? foreign(id, known.trustDomains);
    case 'Identity':
    case 'IdentityPath':
      return principalFinding(name, known, paths);
    case 'Target':
      return undeclared(id, known.targets);
    default: {
      const named = types.get(type);
      return named === undefined ? undefined : resourceFinding(name, named, known);
    }
  }
}

function principalFinding(name: PolicyName, known: KnownNames, paths: Facts['paths']): Finding | undefined {
  const { type, id } = name;
  const malformed = identityProblem(() => parseSpiffeId(id), name);
  if (malformed !== undefined) return malformed;
  const { trustDomain, path } = parseSpiffeId(id);
  if (type === 'IdentityPath' && path === '')
    return {
      message: `${written(name)} has no path, so no identity is in it`,
      help: `a whole trust domain is TrustDomain::${JSON.stringify(trustDomain)}`,
    };
  const stranger = foreign(trustDomain, known.trustDomains);
  if (stranger !== undefined) return stranger;
  const { identities } = known;
  // Nodes and the server have theirs without an entry; of those of others we know none.
  if (!identities || !paths?.has(`spiffe://${trustDomain}`) || RESERVED.test(path)) return undefined;
  if (type === 'Identity')
    return identities.has(id)
      ? undefined
      : { message: `no entry gives the identity ${JSON.stringify(id)}`, near: { name: id, known: identities } };
  if (paths.has(id)) return undefined;
  const message = `no entry gives an identity below ${JSON.stringify(id)}`;
  if (!identities.has(id)) return { message, near: { name: id, known: paths } };
  return {
    message,
    help: `an identity is not in the path that is itself; write principal == Identity::${JSON.stringify(id)}`,
  };
}

function resourceFinding({ type, id }: PolicyName, named: NamedById, known: KnownNames): Finding | undefined {
  const parts = partsOfId(id);
  if (parts.length !== named.path.length || parts.includes('') || idOfParts(parts) !== id)
    return {
      message: `no ${type} has the id ${JSON.stringify(id)}, which should be ${named.path.join('/')}`,
      help: 'a slash in a name is written %2F, a percent sign %25',
    };
  if (named.path[0] !== 'target') return undefined;
  const [target = '', inside = ''] = parts;
  const served = known.targets?.get(target);
  if (served === undefined || parts.length === 1 || served.includes(inside)) return undeclared(target, known.targets);
  const listed = served.length === 0 ? 'nothing' : served.map((one) => JSON.stringify(one)).join(', ');
  const help = didYouMean(inside, served);
  if (parts.length === 2) {
    const word = type.slice(type.lastIndexOf(':') + 1).toLowerCase();
    const message = `target ${JSON.stringify(target)} has no ${word} ${JSON.stringify(inside)}`;
    return { message, help: help ?? `it has ${listed}` };
  }
  return {
    message: `target ${JSON.stringify(target)} does not serve ${JSON.stringify(inside)}, of which ${type}::${JSON.stringify(id)} is a part`,
    help: help ?? `it serves ${listed}`,
  };
}

function undeclared(target: string, targets: KnownNames['targets']): Finding | undefined {
  if (targets === undefined || targets.has(target)) return undefined;
  return { message: `no target ${JSON.stringify(target)} is declared`, near: { name: target, known: targets.keys() } };
}

function foreign(trustDomain: string, trustDomains: KnownNames['trustDomains']): Finding | undefined {
  if (trustDomains === undefined || trustDomains.has(trustDomain)) return undefined;
  return {
    message: `the trust domain ${JSON.stringify(trustDomain)} is neither our own nor a federated one`,
    near: { name: trustDomain, known: trustDomains },
  };
}

/** What keeps a text from being anybody's identity. */
function identityProblem(parse: () => unknown, name: PolicyName): Finding | undefined {
  try {
    parse();
    return undefined;
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    return { message: `${written(name)} is nobody's: ${error.message}` };
  }
}

/** `spiffe://example.org` and `spiffe://example.org/shop` of `spiffe://example.org/shop/web`. */
function pathsAbove(identities: ReadonlySet<string>): ReadonlySet<string> {
  const paths = new Set<string>();
  for (const id of identities)
    for (let slash = id.lastIndexOf('/'); slash > SCHEME_LENGTH; slash = id.lastIndexOf('/', slash - 1)) {
      const path = id.slice(0, slash);
      if (paths.has(path)) break; // So are those above it.
      paths.add(path);
    }
  return paths;
}

function written({ type, id }: PolicyName): string {
  return `${type}::${JSON.stringify(id)}`;
}

const CODE: PolicyErrorCode = 'ERR_POLICY_NAME';
/** Each may look at every identity there is; whoever has more slips than this has one cause for them. */
const HINTS_MAX = 50;
const SCHEME_LENGTH = 'spiffe://'.length;
/** Kept for the server and its nodes. */
const RESERVED = /^\/spire\//;
