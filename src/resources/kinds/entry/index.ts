/**
 * The kind `Entry`: which processes, by their selectors, have which identity.
 *
 * It promises that an entry which is declared becomes what it says, all of it, whatever it was. Its rows are registration's, which also has entries that
 * nobody declares: those of nodes, and whatever is made over the SPIRE API. So none goes only because it is not declared.
 */
import { parseSpiffeId } from '@countersign/sdk/identity';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { type Entry, formatSelector, parseIdentityAttributes } from '../../../model/index.ts';
import type { EntryInput } from '../../../registration/index.ts';
import { DURATION_PATTERN, messageOf, parseDurationMs } from '../../../std/index.ts';
import { type KindDeps, type KindKeeper, type KindMember, specProblems } from '../../kind.ts';
import type { Resource } from '../../types.ts';

const duration = (description: string) =>
  Type.Optional(Type.String({ description, pattern: DURATION_PATTERN, minLength: 2, maxLength: 64 }));

const config = Type.Object(
  {
    spiffeId: Type.String({ description: 'Identity given to workloads that match.' }),
    parentId: Type.Optional(
      Type.String({ description: 'SPIFFE ID of the agent or node alias; absent = every attested node.' }),
    ),
    selectors: Type.Array(Type.String({ pattern: '^[^:]+:.+$' }), {
      description: 'All of these must hold, each `type:value`.',
      minItems: 1,
      maxItems: 100,
    }),
    x509Ttl: duration('Life of its X.509-SVIDs.'),
    jwtTtl: duration('Life of its JWT-SVIDs.'),
    dnsNames: Type.Optional(Type.Array(Type.String(), { description: 'DNS names in its X.509-SVIDs.', maxItems: 100 })),
    federatesWith: Type.Optional(
      Type.Array(Type.String(), { description: 'Trust domains whose bundles it gets.', maxItems: 100 }),
    ),
    admin: Type.Optional(Type.Boolean({ description: 'May call the operator API over mTLS.' })),
    hint: Type.Optional(
      Type.String({
        description: 'Tells workloads with several identities which is for what; `default` comes first.',
        maxLength: 1024,
      }),
    ),
    owner: Type.Optional(
      Type.String({ description: 'Who answers for it; policies read `principal.owner`.', maxLength: 256 }),
    ),
    environment: Type.Optional(
      Type.String({ description: 'Where it belongs; policies read `principal.environment`.', maxLength: 256 }),
    ),
    labels: Type.Optional(
      Type.Record(Type.String(), Type.String({ maxLength: 256 }), {
        description: 'What else policies may know of it, `team: payments`; they read `principal.getTag("team")`.',
      }),
    ),
  },
  { additionalProperties: false },
);

export const member: KindMember = {
  kind: 'resource-kind',
  id: 'entry',
  summary: 'Which processes, by their selectors, have which identity.',
  config,
  plural: 'entries',
  isKeptElsewhere: true,
  open(deps) {
    const { trustDomain } = deps;
    return {
      names: { pattern: /^[A-Za-z0-9._-]{1,255}$/, says: '1 to 255 letters, digits, dots, dashes and underscores' },
      checkAlone,
      besides(own) {
        // Decision 0006: what they hang under when they name no parent.
        const alias = aliasOf(trustDomain);
        const isNeeded = own.some(({ spec }) => parentOf(spec, alias) === alias);
        if (!isNeeded || own.some(({ name }) => name === ALIAS_ID)) return [];
        const parentId = `spiffe://${trustDomain}/spire/server`;
        return [{ name: ALIAS_ID, spec: { spiffeId: alias, parentId, selectors: ['countersign:node:attested'] } }];
      },
      differences(before, after) {
        const [from, to] = [before, after].map((spec) => (spec === undefined ? undefined : plainOf(spec, trustDomain)));
        if (from === undefined) return [];
        if (to === undefined) return [`spiffeId: ${JSON.stringify(from.spiffeId)} → none`];
        return Object.entries(to).flatMap(([key, value]) => {
          const [old, fresh] = [from[key as keyof Plain], value].map((one) => JSON.stringify(one)); // Both have the same keys.
          return old === fresh ? [] : [`${key}: ${old} → ${fresh}`];
        });
      },
      keeper: createKeeper(deps),
    };
  },
};

function createKeeper({ entries, trustDomain }: Pick<KindDeps, 'entries' | 'trustDomain'>): KindKeeper {
  return {
    async read(trx, names) {
      const found = await entries.entriesIn(trx, names);
      return new Map(found.map((entry) => [entry.id, { spec: specOf(entry), version: entry.revisionNumber }]));
    },
    async write(trx, effects, { put, remove }) {
      const inputs = put.map((one) => inputOf(one, trustDomain));
      const declaration = entries.declare(inputs, remove);
      const results = await declaration.write(trx, effects);
      const problems = results.flatMap((result, index) =>
        result.status === 'ok' ? [] : [{ name: put[index]?.name ?? '', message: result.message }],
      );
      return { problems, committed: () => declaration.committed() };
    },
  };
}

/** Whether what it refers to is there, and all that goes by the trust domain, registration says when it is written. */
function checkAlone(spec: unknown): readonly string[] {
  const problems = specProblems(config, spec);
  if (problems.length > 0 || !Value.Check(config, spec)) return problems;
  return [
    ...attempted(() => parseSpiffeId(spec.spiffeId)),
    ...attempted(() => parseSpiffeId(spec.parentId ?? spec.spiffeId)),
    ...attempted(() => parseIdentityAttributes(spec)),
    ...[spec.x509Ttl, spec.jwtTtl].flatMap((text) =>
      text === undefined || secondsOf(text) > 0
        ? []
        : [`${text} is no duration of a second or more; write 90s, 15m or 1h`],
    ),
  ];
}

/** Why it can not be done; none when it can. */
function attempted(parse: () => unknown): readonly string[] {
  try {
    parse();
    return [];
  } catch (error) {
    return [messageOf(error)];
  }
}

/** As a file would have it, but for what no file can say. */
function specOf(entry: Entry): Spec {
  const { owner, environment, labels } = entry.attributes;
  return {
    spiffeId: entry.spiffeId.uri,
    parentId: entry.parentId.uri,
    selectors: entry.selectors.map(formatSelector),
    ...(entry.x509SvidTtlS === 0 ? {} : { x509Ttl: `${entry.x509SvidTtlS}s` }),
    ...(entry.jwtSvidTtlS === 0 ? {} : { jwtTtl: `${entry.jwtSvidTtlS}s` }),
    ...{ dnsNames: [...entry.dnsNames], federatesWith: [...entry.federatesWith], admin: entry.admin },
    ...{ hint: entry.hint, owner, environment, labels: { ...labels } },
  };
}

/** Everything said, in one form: what two have to be equal in. */
function plainOf(given: unknown, trustDomain: string) {
  const spec = given as Spec; // Passed the check, or was made here.
  const { owner, environment, labels } = parseIdentityAttributes(spec);
  return {
    spiffeId: spec.spiffeId,
    parentId: spec.parentId ?? aliasOf(trustDomain),
    selectors: [...spec.selectors].sort(),
    ...{ x509Ttl: secondsOf(spec.x509Ttl), jwtTtl: secondsOf(spec.jwtTtl) },
    ...{ dnsNames: spec.dnsNames ?? [], federatesWith: [...(spec.federatesWith ?? [])].sort() },
    ...{ admin: spec.admin ?? false, hint: spec.hint ?? '', owner, environment, labels },
  };
}

function inputOf({ name, spec }: Pick<Resource, 'name' | 'spec'>, trustDomain: string): EntryInput {
  const { x509Ttl, jwtTtl, selectors, owner, environment, labels, ...plain } = plainOf(spec, trustDomain);
  return {
    ...plain,
    id: name,
    selectors: selectors.map((text) => {
      const colon = text.indexOf(':');
      return { type: text.slice(0, colon), value: text.slice(colon + 1) };
    }),
    ...{ x509SvidTtlS: x509Ttl, jwtSvidTtlS: jwtTtl, attributes: { owner, environment, labels } },
  };
}

function parentOf(spec: unknown, alias: string): string {
  return Value.Check(WITH_PARENT, spec) ? (spec.parentId ?? alias) : '';
}

/** 0 of none, and of less than a second. */
function secondsOf(text = '0s'): number {
  return Math.floor((parseDurationMs(text) ?? 0) / 1000);
}

function aliasOf(trustDomain: string): string {
  return `spiffe://${trustDomain}/countersign/nodes`;
}

type Spec = Static<typeof config>;
type Plain = ReturnType<typeof plainOf>;

const WITH_PARENT = Type.Object({ parentId: Type.Optional(Type.String()) });
const ALIAS_ID = 'countersign-nodes';
