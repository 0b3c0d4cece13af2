import { parseSpiffeId } from '@countersign/sdk/identity';
import {
  type AttributeValue,
  attributesDigest,
  type Barred,
  type Decision,
  type EntityRef,
  type IdentityAttributes,
  InvalidAttributes,
  type LedgerEvent,
  type LedgerValue,
  NO_ATTRIBUTES,
  type PolicySet,
  parseIdentityAttributes,
} from '../../model/index.ts';
import type { PolicySchema } from '../schema/compose-schema.ts';
import { identityEntity } from '../schema/identity-entity.ts';
import { resourceFromId } from '../schema/resource-from-id.ts';
import type { RecordedAsked, RecordedOperation } from './operation.ts';
import { isRecord, parseObligations, tellsDerived } from './recorded-obligations.ts';

/** What policy was asked of one entry, read from it alone. */
export interface RecordedQuestions {
  /** Undefined where there were no policies yet. */
  readonly policySet: PolicySet | undefined;
  readonly asked: readonly RecordedAsked[];
  /** False where something was cut: what is here must not be taken for all that was asked. */
  readonly isWhole: boolean;
}

/** Reads what a {@link Recorder} wrote into an entry's detail; a question that can't be read is one that was cut. */
export function readRecorded(detail: LedgerEvent['detail'], schema: PolicySchema): RecordedQuestions {
  const { questions, questionsCut, policySet } = detail;
  const all: readonly LedgerValue[] = Array.isArray(questions) ? questions : [];
  const asked = all.flatMap((question) => askedIn(question, detail, schema) ?? []);
  const isCut = all.some((question) => isRecord(question) && question['cut'] === true);
  return {
    policySet: policySetIn(policySet),
    asked,
    isWhole: Array.isArray(questions) && questionsCut === undefined && !isCut && asked.length === all.length,
  };
}

/**
 * The operation, denial or opening of a session that an entry is about; undefined where it is about none of these. `cut`: the entry does not
 * say all that was asked, so nobody can ask it again. `known` learns from each entry that it is given, in the ledger's order.
 */
export function readOperation(
  {
    kind,
    actor,
    action,
    detail,
    timeMs,
    seq,
  }: Omit<LedgerEvent, 'kind'> & { readonly kind: string; readonly seq: number },
  schema: PolicySchema,
  known: KnownAttributes,
): RecordedOperation | 'cut' | undefined {
  if (kind !== 'intent' && kind !== 'denial' && kind !== 'session-open') return undefined;
  known.take(detail);
  const attributes = known.attributesOf(detail);
  const principal = principalOf(actor, attributes ?? NO_ATTRIBUTES, detail['policySet']);
  if (isBarred(detail)) return undefined; // No policy has answered it.
  if (principal === undefined) return undefined; // Whoever was turned away for want of an identity asked policy nothing.
  const { asked, isWhole, policySet } = readRecorded(detail, schema);
  if (!isWhole || attributes === undefined) return 'cut';
  const { shape } = detail;
  return {
    ...{ principal, action, asked, sequence: seq },
    shape: typeof shape === 'string' ? shape : '',
    timeMs: policySet?.timeMs ?? timeMs,
    isAllowed: kind !== 'denial',
  };
}

/** What entries have said of identities so far, by digest. */
export interface KnownAttributes {
  take(detail: LedgerEvent['detail']): void;
  /** Those that an entry was judged by; undefined where the entry that says which these are was not read. */
  attributesOf(detail: LedgerEvent['detail']): IdentityAttributes | undefined;
}

export function createKnownAttributes(): KnownAttributes {
  const known = new Map<string, IdentityAttributes>();
  return {
    take({ attributes: told }) {
      if (!isRecord(told)) return;
      const { owner, environment, labels } = told;
      if (typeof owner !== 'string' || typeof environment !== 'string' || !isRecord(labels)) return;
      try {
        // Held against what may be an attribute: a ledger's folder may come from anywhere.
        const read = parseIdentityAttributes({
          owner,
          environment,
          labels: labels as Readonly<Record<string, string>>,
        });
        known.set(attributesDigest(read), read);
      } catch (error) {
        if (!(error instanceof InvalidAttributes)) throw error; // Of another version: then those entries are left out.
      }
    },
    attributesOf({ policySet }) {
      if (!isRecord(policySet) || policySet['attributes'] === undefined) return NO_ATTRIBUTES;
      const digest = policySet['attributes'];
      return typeof digest === 'string' ? known.get(digest) : undefined;
    },
  };
}

/** Refused for a revocation, or because nobody knew of those. */
function isBarred({ questions }: LedgerEvent['detail']): boolean {
  if (!Array.isArray(questions)) return false;
  return questions.some((one) => isRecord(one) && BARRED.has(String(one['decision'])));
}

function principalOf(
  actor: string,
  attributes: IdentityAttributes,
  policySet: LedgerValue | undefined,
): EntityRef | undefined {
  const isQuarantined = isRecord(policySet) && policySet['quarantined'] === true;
  try {
    return identityEntity(parseSpiffeId(actor), attributes, { isQuarantined });
  } catch {
    return undefined;
  }
}

function askedIn(value: LedgerValue, detail: LedgerEvent['detail'], schema: PolicySchema): RecordedAsked | undefined {
  if (!isRecord(value)) return undefined;
  const { action, context, forbidsOnly } = value;
  const resource = resourceIn(value['resource'], schema);
  if (typeof action !== 'string' || resource === undefined || !isRecord(context)) return undefined;
  // Null stands only where something was cut.
  const question = { action, resource, context: context as { readonly [name: string]: AttributeValue } };
  const decision = decisionIn(value, textsIn(value['policies'] ?? detail['policies']));
  return {
    ...{ question, decision },
    ...(forbidsOnly === true ? { forbidsOnly } : {}),
    ...(tellsDerived(value) ? {} : { isDerivedUntold: true }),
  };
}

function decisionIn(value: { readonly [name: string]: LedgerValue }, policies: readonly string[]): Decision {
  const { decision } = value;
  if (decision === undefined) return { allow: true, policies, obligations: parseObligations(value) };
  if (decision === 'approval-needed')
    return { allow: false, reason: decision, policies, rules: textsIn(value['rules']) };
  const reason = decision === 'no-permit' || decision === 'forbidden' ? decision : 'policy-error';
  return { allow: false, reason, policies };
}

/** With its attributes where those stand there, else with what its id tells. */
function resourceIn(value: LedgerValue | undefined, schema: PolicySchema): EntityRef | undefined {
  if (!isRecord(value)) return undefined;
  const { type, id, attributes, parents, tags } = value;
  if (typeof type !== 'string' || typeof id !== 'string') return undefined;
  if (isRecord(attributes)) {
    const above = Array.isArray(parents) ? parents.flatMap((parent) => resourceIn(parent, schema) ?? []) : [];
    const own = { type, id, attributes: attributes as EntityRef['attributes'], parents: above };
    return isRecord(tags) ? { ...own, tags: tags as EntityRef['attributes'] } : own;
  }
  const [kind] = Array.from(schema.namedById).find(([, named]) => named.type === type) ?? [];
  try {
    return kind === undefined ? undefined : resourceFromId(schema, { kind, id });
  } catch {
    return undefined; // Of a schema in which ids of this type had other parts.
  }
}

function policySetIn(value: LedgerValue | undefined): PolicySet | undefined {
  if (!isRecord(value)) return undefined;
  const { digest, revision, timeMs } = value;
  if (typeof digest !== 'string' || typeof revision !== 'number' || typeof timeMs !== 'number') return undefined;
  return { digest, revision, timeMs };
}

function textsIn(value: LedgerValue | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

const BARRED: ReadonlySet<string> = new Set<Barred['reason']>(['revoked', 'quarantined', 'revocations-stale']);
