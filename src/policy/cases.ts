import { IdentityError, parseSpiffeId } from '@countersign/sdk/identity';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import {
  type AttributeValue,
  type Decision,
  type DecisionRequest,
  type EntityRef,
  InvalidAttributes,
  type Limits,
  parseIdentityAttributes,
} from '../model/index.ts';
import { PolicyError } from './errors.ts';
import { EvaluationError } from './expressions/evaluation-error.ts';
import { parseDatetime } from './expressions/time.ts';
import { AnnotationError } from './obligations/annotation-error.ts';
import { leastLimits, limitsOn, limitsWith, limitWords, parseLimits, writtenLimit } from './obligations/limits.ts';
import { parseField } from './obligations/obligations.ts';
import type { PolicySchema } from './schema/compose-schema.ts';
import { fieldWithin, isFieldOf, pathIn, readField, type WrittenField } from './schema/fields.ts';
import { identityEntity } from './schema/identity-entity.ts';
import { resourceFromId } from './schema/resource-from-id.ts';
import type { CompiledPolicies, Explanation } from './types.ts';

/** A file of policy test cases: examples kept beside the policies, run by `policy test`. */
export const policyCasesSchema = Type.Array(
  Type.Object(
    {
      name: Type.String({ minLength: 1, description: 'What the case shows, as a sentence.' }),
      principal: Type.String({ description: 'A SPIFFE ID.' }),
      attributes: Type.Optional(
        Type.Object(
          {
            owner: Type.Optional(Type.String()),
            environment: Type.Optional(Type.String()),
            labels: Type.Optional(Type.Record(Type.String(), Type.String())),
          },
          {
            additionalProperties: false,
            description: 'What its entries say of it: `owner`, `environment` and `labels`; by default nothing.',
          },
        ),
      ),
      action: Type.String({ description: 'Such as postgres:select.' }),
      resource: Type.Record(Type.String(), Type.Unknown(), {
        description:
          'One kind with an id, `table: shop/app/public/users`, or `type`, `id`, `attributes`, `tags` and `parents` of any entity.',
      }),
      context: Type.Optional(
        Type.Record(Type.String(), Type.Unknown(), { description: 'What the operation shows of itself.' }),
      ),
      time: Type.Optional(
        Type.String({ description: 'When it is asked, `2026-12-31T00:00:00Z`; by default at the time of the test.' }),
      ),
      expect: Type.Enum(['allow', 'hold', 'deny'], {
        description: 'The answer; `hold`: it is allowed once it is approved.',
      }),
      reason: Type.Optional(
        Type.Enum(['no-permit', 'forbidden', 'policy-error'], { description: 'Why it is denied.' }),
      ),
      approvals: Type.Optional(
        Type.Array(Type.String(), { description: 'Exactly the rules of which an approval is needed.' }),
      ),
      policies: Type.Optional(
        Type.Array(Type.String(), { description: 'Ids of exactly the policies that determine the answer.' }),
      ),
      masks: Type.Optional(
        Type.Record(Type.String(), Type.String(), { description: 'Exactly the masks: field to kind.' }),
      ),
      limits: Type.Optional(
        Type.Record(Type.String(), Type.Union([Type.Integer(), Type.String()]), {
          description: 'Exactly the limits, `{ rows: 1000 }`; `{}` for none.',
        }),
      ),
      record: Type.Optional(Type.Enum(['digest', 'full'], { description: 'What is recorded of parameters.' })),
    },
    { additionalProperties: false },
  ),
);

/** One case. */
export type PolicyCase = Static<typeof policyCasesSchema>[number];

/** How one case ended. `differences` is empty when it passed; each is a line `what: expected …, got …`. */
export interface PolicyCaseResult {
  readonly name: string;
  readonly passed: boolean;
  readonly differences: readonly string[];
  /** There when the case failed: why the policies answered so. */
  readonly explanation?: Explanation;
}

/** Checks parsed YAML or JSON to be cases. @throws PolicyError ERR_POLICY_TEST naming the first case and key at fault */
export function parsePolicyCases(value: unknown): readonly PolicyCase[] {
  if (Value.Check(policyCasesSchema, value)) {
    if (value.length > CASES_MAX) throw new PolicyError('ERR_POLICY_TEST', `a file has at most ${CASES_MAX} cases`);
    return value;
  }
  const [first] = Value.Errors(policyCasesSchema, value);
  throw new PolicyError(
    'ERR_POLICY_TEST',
    `test cases: ${first?.instancePath || 'the file'} ${first?.message ?? 'is no list of cases'}`,
  );
}

/** A time as cases write it, in epoch milliseconds. @throws PolicyError ERR_POLICY_TEST */
export function parseCaseTime(text: string): number {
  try {
    return Number(parseDatetime(text));
  } catch (cause) {
    if (!(cause instanceof EvaluationError)) throw cause;
    throw new PolicyError('ERR_POLICY_TEST', `${JSON.stringify(text)} is no time: ${cause.message}`, { cause });
  }
}

/** The request of a case, asked at `nowMs` (epoch milliseconds) unless it says when. @throws PolicyError ERR_POLICY_TEST */
export function requestOfCase(one: PolicyCase, schema: PolicySchema, nowMs: number): DecisionRequest {
  if (schema.actions.get(one.action)?.isGroup !== false)
    throw new PolicyError(
      'ERR_POLICY_TEST',
      `case ${JSON.stringify(one.name)}: there is no action ${JSON.stringify(one.action)}`,
    );
  return {
    principal: principalOf(one),
    action: one.action,
    resource: resourceOf(one, schema),
    // Checked when it is decided, against the action's context in the schema.
    context: (one.context ?? {}) as { readonly [name: string]: AttributeValue },
    timeMs: one.time === undefined ? nowMs : timeOf(one, one.time),
  };
}

function timeOf({ name }: PolicyCase, time: string): number {
  try {
    return parseCaseTime(time);
  } catch (cause) {
    if (!(cause instanceof PolicyError)) throw cause;
    throw new PolicyError('ERR_POLICY_TEST', `case ${JSON.stringify(name)}: time: ${cause.message}`, { cause });
  }
}

/** Runs cases, all of them, in order, at `nowMs` (epoch milliseconds) those that don't say when. @throws PolicyError ERR_POLICY_TEST for a case that asks about nothing in the schema */
export function runPolicyTests(
  cases: readonly PolicyCase[],
  compiled: CompiledPolicies,
  { schema, nowMs }: { readonly schema: PolicySchema; readonly nowMs: number },
): readonly PolicyCaseResult[] {
  return cases.map((one) => {
    const request = requestOfCase(one, schema, nowMs);
    const explanation = compiled.explain(request);
    const differences = compare(one, { decision: compiled.decide(request), resource: request.resource, schema });
    // A request that fits no schema is denied for that alone; a case that expects a denial must not pass by a slip of its own.
    if (explanation.invalid !== undefined)
      differences.push(`request: it does not fit the schema: ${explanation.invalid}`);
    const passed = differences.length === 0;
    return { name: one.name, passed, differences, ...(passed ? {} : { explanation }) };
  });
}

function compare(
  one: PolicyCase,
  told: { readonly decision: Decision; readonly resource: EntityRef; readonly schema: PolicySchema },
): string[] {
  const { decision, resource, schema } = told;
  const differences: string[] = [];
  const differ = (what: string, expected: unknown, got: unknown) => {
    const [a, b] = [JSON.stringify(expected), JSON.stringify(got)];
    if (expected !== undefined && a !== b) differences.push(`${what}: expected ${a}, got ${b ?? 'none'}`);
  };
  const obligations = decision.allow ? decision.obligations : undefined;
  const masks = obligations?.masks.map(({ path, kind }) => [fieldWithin(schema, resource, path), kind] as const);
  differ('answer', one.expect, decision.allow ? (obligations?.approvals ? 'hold' : 'allow') : 'deny');
  differ('reason', one.reason, decision.allow ? undefined : decision.reason);
  differ('approvals', one.approvals?.toSorted(), obligations?.approvals);
  differ('policies', one.policies?.toSorted(), decision.policies);
  differ('masks', one.masks && sorted(expectedMasks(one, resource, schema)), masks && sorted(masks));
  const words = limitWords(schema, [one.action]);
  const limited = (limits: Limits) => limitsWith(limits, words).map(writtenLimit).join(', ');
  differ('limits', one.limits && limited(expectedLimits(one, schema)), obligations && limited(obligations.limits));
  differ('record', one.record, obligations?.record);
  return differences;
}

function sorted(masks: readonly (readonly [string, string])[]): Record<string, string> {
  return Object.fromEntries(masks.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** As the answer has them, however much of its path a case writes. @throws PolicyError ERR_POLICY_TEST */
function expectedMasks(
  { name, masks = {} }: PolicyCase,
  resource: EntityRef,
  schema: PolicySchema,
): readonly (readonly [string, string])[] {
  const fields = schema.entityTypes.get(resource.type)?.fields;
  return Object.entries(masks).map(([text, kind]) => {
    const written = attemptField(text);
    const reading = written && fields && readField(written, fields);
    if (reading === undefined || !isFieldOf(reading, resource))
      throw new PolicyError(
        'ERR_POLICY_TEST',
        `case ${JSON.stringify(name)}: masks: ${JSON.stringify(text)} is no field of ${resource.type}::${JSON.stringify(resource.id)}`,
      );
    return [fieldWithin(schema, resource, pathIn(reading, resource)), kind] as const;
  });
}

/** @throws PolicyError ERR_POLICY_TEST */
function expectedLimits({ name, action, limits = {} }: PolicyCase, schema: PolicySchema): Limits {
  const text = Object.entries(limits).map(([word, most]) => `${word}=${most}`);
  try {
    return leastLimits([text.length === 0 ? [] : limitsOn(parseLimits(text.join(',')), [action], schema)]);
  } catch (cause) {
    if (!(cause instanceof AnnotationError)) throw cause;
    throw new PolicyError('ERR_POLICY_TEST', `case ${JSON.stringify(name)}: limits: ${cause.message}`, { cause });
  }
}

function attemptField(text: string): WrittenField | undefined {
  try {
    return parseField(text);
  } catch (error) {
    if (error instanceof AnnotationError) return undefined;
    throw error;
  }
}

function principalOf(one: PolicyCase): EntityRef {
  try {
    return identityEntity(parseSpiffeId(one.principal), parseIdentityAttributes(one.attributes ?? {}));
  } catch (cause) {
    if (!(cause instanceof IdentityError || cause instanceof InvalidAttributes)) throw cause;
    throw new PolicyError('ERR_POLICY_TEST', `case ${JSON.stringify(one.name)}: principal: ${cause.message}`, {
      cause,
    });
  }
}

function resourceOf(one: PolicyCase, schema: PolicySchema): EntityRef {
  const { attributes, tags, ...rest } = one.resource;
  if ('type' in rest) {
    if (Value.Check(entitySchema, one.resource)) return entityOf(one.resource);
    throw new PolicyError(
      'ERR_POLICY_TEST',
      `case ${JSON.stringify(one.name)}: a resource has type, id, attributes, tags and parents`,
    );
  }
  const [[kind, id] = [], ...others] = Object.entries(rest);
  if (kind === undefined || typeof id !== 'string' || others.length > 0)
    throw new PolicyError('ERR_POLICY_TEST', `case ${JSON.stringify(one.name)}: a resource is one kind with its id`);
  const named = resourceFromId(schema, { kind, id, attributes: attributesOf(attributes) });
  return tags === undefined ? named : { ...named, tags: attributesOf(tags) };
}

function entityOf(given: EntityCase): EntityRef {
  return {
    type: given.type,
    id: given.id,
    attributes: attributesOf(given.attributes),
    ...(given.tags === undefined ? {} : { tags: attributesOf(given.tags) }),
    parents: (given.parents ?? []).map(entityOf),
  };
}

/** Plain data from a file; the schema of the entity's type is held against it when it is decided. */
function attributesOf(given: unknown): EntityRef['attributes'] {
  return (given ?? {}) as EntityRef['attributes'];
}

interface EntityCase {
  readonly type: string;
  readonly id: string;
  readonly attributes?: Record<string, unknown>;
  readonly tags?: Record<string, unknown>;
  readonly parents?: readonly EntityCase[];
}

const entitySchema = Type.Cyclic(
  {
    Entity: Type.Object(
      {
        type: Type.String(),
        id: Type.String(),
        attributes: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
        tags: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
        parents: Type.Optional(Type.Array(Type.Ref('Entity'))),
      },
      { additionalProperties: false },
    ),
  },
  'Entity',
);

/** A file that a person reads. */
const CASES_MAX = 10_000;
