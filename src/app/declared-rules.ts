import { isIPv4 } from 'node:net';
import { type TObject, Type } from 'typebox';
import { Value } from 'typebox/value';
import type { ProtocolMember } from '../gateway/index.ts';
import { protocols } from '../gateway/protocols/registry.generated.ts';
import {
  composeSchema,
  createPolicyLoader,
  formatProblem,
  type ParsedForms,
  type PolicyLoader,
  type PolicySource,
} from '../policy/index.ts';
import type { Problem, Resource, ValidateResource, ValidateTogether } from '../resources/index.ts';
import { memberById } from '../std/index.ts';

/** Target schemas by protocol id, for declared targets. */
export const targetSchemas: Readonly<Record<string, TObject>> = Object.fromEntries(
  protocols.map(({ id, config }) => [id, config]),
);

/** The schema of policies over all registered protocols. */
export const policySchema = composeSchema(protocols.map((protocol) => protocol.policySchema));

/** The rules that declared resources are held against, so that what a server takes every gateway of its version can use. */
export function createDeclaredRules(): {
  readonly validate: ValidateResource;
  readonly validateTogether: ValidateTogether;
  /** Policies in the form that answers questions; undefined when they are many, or one of them is wrong. */
  readonly parsePolicies: (policies: readonly Resource[]) => ParsedForms | undefined;
} {
  // Kept, since of ten thousand policies it then looks only at those that are new.
  const loader = createPolicyLoader(policySchema);
  return {
    validate: validateResource,
    validateTogether: (kind, resources) =>
      kind === 'Target'
        ? [...doorProblems(resources), ...audienceProblems(resources)]
        : policyProblems(resources, loader),
    parsePolicies(policies) {
      const sources = policies.map(sourceOf);
      const bytes = sources.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
      return bytes > PARSED_BYTES_MAX ? undefined : loader.parsed(sources);
    },
  };
}

/** What is wrong with policies, short enough to be shown among others: what it quotes may be as long as a policy. */
export function shortened(message: string): string {
  return message.length > MESSAGE_CHARS_MAX ? `${message.slice(0, MESSAGE_CHARS_MAX)}…` : message;
}

/** A target is checked by its protocol, of a policy the form only: what its text says is looked at with the others. */
function validateResource(...[kind, , spec]: Parameters<ValidateResource>): readonly string[] {
  const fields: Record<string, unknown> = typeof spec === 'object' && spec !== null ? { ...spec } : {};
  if (kind === 'Policy') return Value.Check(POLICY, fields) ? [] : ['a policy has one field, cedar, its text'];
  const { protocol, ...config } = fields;
  const member = memberById<ProtocolMember>(protocols, String(protocol));
  if (!member) return [`protocol must be one of ${protocols.map(({ id }) => id).join(', ')}`];
  return member.checkConfig(config);
}

/** All that is wrong with policies, by what gateways read them with: they take all or none. */
function policyProblems(policies: readonly Resource[], loader: PolicyLoader): readonly Problem[] {
  const errors = loader.check(policies.map(sourceOf)).problems.filter(({ severity }) => severity === 'error');
  return errors.map((problem) => ({
    kind: 'Policy',
    name: problem.position.source,
    message: shortened(formatProblem(problem)),
  }));
}

function sourceOf({ name, spec }: Resource): PolicySource {
  return { name, text: Value.Check(POLICY, spec) ? spec.cedar : '' };
}

/** Every gateway serves all targets, so two doors in one place are so everywhere: one of them would never open, unless hosts tell their clients apart. */
function doorProblems(targets: readonly Resource[]): readonly Problem[] {
  /** Who has which host, by port. */
  const taken = new Map<number, Map<string, Holder[]>>();
  return targets.flatMap(({ kind, name, spec }): Problem[] => {
    const door = doorOf(spec);
    if (door === undefined) return [];
    const { port } = door;
    const host = door.host.toLowerCase();
    const hosts = taken.get(port) ?? new Map<string, Holder[]>();
    const other = [...rivalsOf(host, hosts)].find((one) => hosts.has(one));
    const holders = (other === undefined ? undefined : hosts.get(other)) ?? [];
    const mine: Holder = { name, protocol: door.protocol, names: door.names };
    const rival = other === host ? holders.find((one) => whyNotBoth(one, mine) !== undefined) : holders[0];
    if (rival !== undefined) {
      const why = other === host ? (whyNotBoth(rival, mine) ?? '') : '';
      const message = `listen: port ${port} of ${host} is taken by Target/${rival.name}, which listens on ${other}${why}`;
      return [{ kind, name, message }];
    }
    taken.set(port, hosts.set(host, [...holders, mine]));
    return [];
  });
}

/** A token is for one target: of two with one audience each could be asked by what was issued for the other. */
function audienceProblems(targets: readonly Resource[]): readonly Problem[] {
  const taken = new Map<string, string>();
  return targets.flatMap(({ kind, name, spec }): Problem[] => {
    if (!Value.Check(WITH_TOKENS, spec)) return [];
    const audience = spec.listen.audience ?? `countersign:${name}`;
    const other = taken.get(audience);
    if (other === undefined) taken.set(audience, name);
    if (other === undefined) return [];
    const message = `listen.audience: tokens for ${audience} are those of Target/${other}; a token is for one target, so give this one another audience`;
    return [{ kind, name, message: shortened(message) }];
  });
}

/** A target with a door. */
interface Holder {
  readonly name: string;
  readonly protocol: string;
  /** By what its clients call it; undefined: by anything. */
  readonly names: readonly string[] | undefined;
}

/** Why two targets can't share a door; undefined: their clients are told apart by the host that they ask for. */
function whyNotBoth(one: Holder, other: Holder): string | undefined {
  if (one.protocol !== other.protocol || !NAMED_BY_HOST.has(one.protocol)) return '';
  if (one.names === undefined || other.names === undefined)
    return '; two of them may share it where each lists its hosts';
  const both = one.names.find((name) => other.names?.includes(name));
  return both === undefined ? undefined : `; both list the host ${both}, and may share it where none is of both`;
}

/** The hosts on which a system can't listen at one port with that one; of names that have to be looked up only the gateway can know. */
function rivalsOf(host: string, others: ReadonlyMap<string, unknown>): Iterable<string> {
  if (host === ANY_V6) return others.keys();
  if (host === ANY_V4) return Array.from(others.keys()).filter((other) => isIPv4(other) || other === ANY_V6);
  return isIPv4(host) ? [host, ANY_V4, ANY_V6] : [host, ANY_V6];
}

/** Where clients without an agent come in: `listen`, in the config of any protocol that has such a door. */
function doorOf(spec: unknown) {
  if (!Value.Check(TARGET, spec)) return undefined;
  const { protocol, ...config } = spec;
  const schema = targetSchemas[protocol];
  const filled = schema === undefined ? config : Value.Default(schema, Value.Clone(config));
  // Port 0 is another one each time.
  if (!Value.Check(WITH_DOOR, filled) || filled.listen.port === 0) return undefined;
  return { ...filled.listen, protocol, names: Value.Check(WITH_HOSTS, filled) ? filled.hosts : undefined };
}

/** Some hundreds of policies. A server that has just started parses them between two calls, so more would hold up everybody else. */
const PARSED_BYTES_MAX = 128 * 1024;
const POLICY = Type.Object({ cedar: Type.String() }, { additionalProperties: false });
const TARGET = Type.Object({ protocol: Type.String() });
const WITH_DOOR = Type.Object({ listen: Type.Object({ host: Type.String(), port: Type.Integer() }) });
const WITH_TOKENS = Type.Object({
  listen: Type.Object({ tokens: Type.Literal(true), audience: Type.Optional(Type.String()) }),
});
const WITH_HOSTS = Type.Object({ hosts: Type.Array(Type.String()) });
/** Their clients say in TLS which host they mean. */
const NAMED_BY_HOST: ReadonlySet<string> = new Set(['http']);
/** Twenty of them, as many as one answer of the server brings, fit into a header. */
const MESSAGE_CHARS_MAX = 400;
const ANY_V4 = '0.0.0.0';
/** IPv4 as well, unless it is told otherwise. */
const ANY_V6 = '::';
