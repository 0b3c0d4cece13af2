/**
 * The kind `Target`: a system behind the gateway, and how it is reached.
 *
 * It promises that a set is taken only when a gateway can open each of its doors and tell for which target a token is. What a protocol's settings are
 * the protocol says, which is handed in; it must not know any.
 */
import { isIPv4 } from 'node:net';
import { type TObject, Type } from 'typebox';
import { Value } from 'typebox/value';
import { shortened } from '../../../std/index.ts';
import type { KindMember, KindWords } from '../../kind.ts';
import type { Problem, Resource } from '../../types.ts';

const closed = { additionalProperties: false } as const;

export const member: KindMember = {
  kind: 'resource-kind',
  id: 'target',
  summary: 'A system behind the gateway; what else it is told by, its protocol says ([protocols](protocols.md)).',
  config: Type.Object({ protocol: Type.String({ description: 'Protocol of the target.' }) }),
  beside: {
    describedBy: Type.Optional(
      Type.String({
        ...{ minLength: 1, maxLength: 1024 },
        description:
          'File of an OpenAPI document or of protobuf descriptors that `apply` holds an HTTP target against.',
      }),
    ),
  },
  schemaOf(spec, { protocols }) {
    const named = Value.Check(TARGET, spec) ? protocols.find(({ id }) => id === spec.protocol) : undefined;
    const protocol = Type.Enum(
      protocols.map(({ id }) => id),
      { description: 'Protocol of the target.' },
    );
    return named === undefined
      ? Type.Object({ protocol })
      : Type.Object({ protocol, ...named.config.properties } as TObject['properties'], closed);
  },
  open: ({ protocols }) => ({
    checkAlone(spec) {
      const { protocol, ...config }: Record<string, unknown> =
        typeof spec === 'object' && spec !== null ? { ...spec } : {};
      const named = protocols.find(({ id }) => id === String(protocol));
      if (!named) return [`protocol must be one of ${protocols.map(({ id }) => id).join(', ')}`];
      return named.checkConfig(config);
    },
    checkTogether: (own) => [...doorProblems(own, protocols), ...audienceProblems(own)],
  }),
};

type Found = Omit<Problem, 'kind'>;

/** Every gateway serves all targets, so two doors in one place are so everywhere: one of them would never open, unless hosts tell their clients apart. */
function doorProblems(targets: readonly Resource[], protocols: KindWords['protocols']): readonly Found[] {
  /** Who has which host, by port. */
  const taken = new Map<number, Map<string, Holder[]>>();
  return targets.flatMap(({ name, spec }): Found[] => {
    const door = doorOf(spec, protocols);
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
      return [{ name, message }];
    }
    taken.set(port, hosts.set(host, [...holders, mine]));
    return [];
  });
}

/** A token is for one target: of two with one audience each could be asked by what was issued for the other. */
function audienceProblems(targets: readonly Resource[]): readonly Found[] {
  const taken = new Map<string, string>();
  return targets.flatMap(({ name, spec }): Found[] => {
    if (!Value.Check(WITH_TOKENS, spec)) return [];
    const audience = spec.listen.audience ?? `countersign:${name}`;
    const other = taken.get(audience);
    if (other === undefined) taken.set(audience, name);
    if (other === undefined) return [];
    const message = `listen.audience: tokens for ${audience} are those of Target/${other}; a token is for one target, so give this one another audience`;
    return [{ name, message: shortened(message) }];
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
function doorOf(spec: unknown, protocols: KindWords['protocols']) {
  if (!Value.Check(TARGET, spec)) return undefined;
  const { protocol, ...config } = spec;
  const schema = protocols.find(({ id }) => id === protocol)?.config;
  const filled = schema === undefined ? config : Value.Default(schema, Value.Clone(config));
  // Port 0 is another one each time.
  if (!Value.Check(WITH_DOOR, filled) || filled.listen.port === 0) return undefined;
  return { ...filled.listen, protocol, names: Value.Check(WITH_HOSTS, filled) ? filled.hosts : undefined };
}

const TARGET = Type.Object({ protocol: Type.String() });
const WITH_DOOR = Type.Object({ listen: Type.Object({ host: Type.String(), port: Type.Integer() }) });
const WITH_TOKENS = Type.Object({
  listen: Type.Object({ tokens: Type.Literal(true), audience: Type.Optional(Type.String()) }),
});
const WITH_HOSTS = Type.Object({ hosts: Type.Array(Type.String()) });
/** Their clients say in TLS which host they mean. */
const NAMED_BY_HOST: ReadonlySet<string> = new Set(['http']);
const ANY_V4 = '0.0.0.0';
/** IPv4 as well, unless it is told otherwise. */
const ANY_V6 = '::';
