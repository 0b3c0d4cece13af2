import type { Asked, AttributeValue, EntityRef, Judged, LedgerValue, PolicySet } from '../../model/index.ts';
import { formatObligations, type PolicySchema, resourceFromId } from '../../policy/index.ts';

/** How what policy was asked of an operation stands in the ledger: whole, so that it can be asked again (decision 0033). */
export interface Recorder {
  /** Of what was allowed. Always the same object for the same questions, and nothing in it changes: its text is kept. */
  allowed(judged: Judged): RecordedJudgement;
  /** Of what was refused, by those policies. */
  denied(judged: Judged, policies: readonly string[]): RecordedJudgement;
}

/** A part of an entry's detail. */
export interface RecordedJudgement {
  /** Ids of all that allowed or refused it, sorted. */
  readonly policies: readonly string[];
  readonly policySet?: { readonly [name: string]: LedgerValue };
  readonly questions: readonly LedgerValue[];
  /** How many more there were: what was asked is not whole. */
  readonly questionsCut?: number;
}

/** Creates one. Of a resource that the schema tells by its id alone, as most are, no more is recorded than type and id. */
export function createRecorder(schema: PolicySchema | undefined): Recorder {
  const allowed = new WeakMap<Judged, RecordedJudgement>();
  const denied = new WeakMap<Judged, RecordedJudgement>();
  const kinds = new Map(Array.from(schema?.namedById ?? [], ([kind, { type }]) => [type, kind]));
  const isToldById = (resource: EntityRef) => {
    const kind = kinds.get(resource.type);
    // No id tells tags.
    if (schema === undefined || kind === undefined || resource.tags !== undefined) return false;
    try {
      return isSame(resourceFromId(schema, { kind, id: resource.id }), resource);
    } catch {
      return false; // An id that no parts make: then everything is recorded.
    }
  };
  return {
    allowed(judged) {
      const known = allowed.get(judged);
      if (known !== undefined) return known;
      const made = recordOf(judged, allowing(judged), isToldById);
      allowed.set(judged, made);
      return made;
    },
    denied(judged, policies) {
      const known = denied.get(judged);
      if (known !== undefined) return known;
      const made = recordOf(judged, policies, isToldById);
      denied.set(judged, made);
      return made;
    },
  };
}

function allowing({ asked }: Judged): readonly string[] {
  const all = asked.flatMap(({ decision, forbidsOnly }) => (decision.allow && !forbidsOnly ? decision.policies : []));
  return Array.from(new Set(all)).sort();
}

function recordOf(
  { set, asked, omitted }: Judged,
  policies: readonly string[],
  isToldById: (resource: EntityRef) => boolean,
): RecordedJudgement {
  const questions: LedgerValue[] = [];
  let bytesLeft = QUESTIONS_BYTES_MAX;
  for (const one of asked) {
    const question = questionOf(one, policies, isToldById);
    bytesLeft -= bytesOf(question);
    if (bytesLeft < 0) break;
    questions.push(question);
  }
  const cut = asked.length - questions.length + omitted;
  return frozen({
    policies: [...policies],
    ...(set === undefined ? {} : { policySet: setOf(set) }),
    questions,
    ...(cut === 0 ? {} : { questionsCut: cut }),
  });
}

/** Of what the identity was, the digest: which attributes that are stands in an entry of its session before, or in this one. */
function setOf({ digest, revision, timeMs, identity, isQuarantined }: PolicySet) {
  return {
    ...(identity === undefined ? {} : { attributes: identity.digest }),
    digest,
    ...(isQuarantined === true ? { quarantined: true } : {}),
    ...{ revision, timeMs },
  };
}

/** What a question does not say of its answer is as for the whole entry: allowed, by its policies. */
function questionOf(
  { question, decision, forbidsOnly }: Asked,
  policies: readonly string[],
  isToldById: (resource: EntityRef) => boolean,
): LedgerValue {
  const room: Room = { bytesLeft: QUESTION_BYTES_MAX, isCut: false };
  const { resource } = question;
  const action = bounded(question.action, room);
  const named = { id: bounded(resource.id, room), type: bounded(resource.type, room) };
  const whole = isToldById(resource)
    ? named
    : {
        ...{ attributes: bounded(resource.attributes, room), ...named, parents: bounded(parentsOf(resource, 0), room) },
        ...(resource.tags === undefined ? {} : { tags: bounded(resource.tags, room) }),
      };
  const context = bounded(question.context, room);
  const isByAll = decision.policies.join('\n') === policies.join('\n');
  return {
    action,
    context,
    ...(decision.allow ? {} : { decision: decision.reason }),
    ...(!decision.allow && decision.reason === 'approval-needed' ? { rules: [...decision.rules] } : {}),
    ...(forbidsOnly ? { forbidsOnly } : {}),
    ...(decision.allow ? formatObligations(decision.obligations) : {}),
    ...(isByAll ? {} : { policies: [...decision.policies] }),
    resource: whole,
    ...(room.isCut ? { cut: true } : {}),
  };
}

type Plain = { readonly [name: string]: AttributeValue };

function parentsOf({ parents }: EntityRef, depth: number): readonly Plain[] {
  if (depth >= DEPTH_MAX) return [];
  return parents.map((parent) => {
    const { type, id, attributes, tags } = parent;
    return { type, id, attributes, parents: parentsOf(parent, depth + 1), ...(tags === undefined ? {} : { tags }) };
  });
}

interface Room {
  bytesLeft: number;
  isCut: boolean;
}

/**
 * A value as a ledger takes it, as far as there is room. What policy refused for what it is (a fraction, a lone surrogate) is cut as well: a
 * refusal has to be recorded whatever was asked.
 */
function bounded(value: unknown, room: Room, depth = 0): LedgerValue {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return value + 0;
  } else if (typeof value === 'string') {
    room.bytesLeft -= bytesOf(value);
    if (room.bytesLeft >= 0 && value.isWellFormed()) return value;
  } else if (Array.isArray(value) && depth < DEPTH_MAX) {
    const items: LedgerValue[] = [];
    for (const item of value) {
      if (room.bytesLeft < 0) break;
      items.push(bounded(item, room, depth + 1));
    }
    if (items.length < value.length) room.isCut = true;
    return items;
  } else if (typeof value === 'object' && value !== null && depth < DEPTH_MAX) {
    const members: [string, LedgerValue][] = [];
    for (const [name, member] of Object.entries(value)) {
      const text = bounded(name, room);
      if (typeof text === 'string') members.push([text, bounded(member, room, depth + 1)]);
    }
    return Object.fromEntries(members);
  }
  room.isCut = true;
  return null;
}

function isSame(one: EntityRef, other: EntityRef): boolean {
  return JSON.stringify(sortedEntity(one)) === JSON.stringify(sortedEntity(other));
}

function sortedEntity({ type, id, attributes, tags, parents }: EntityRef): unknown {
  const sorted = (values: object) => Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1));
  return [type, id, sorted(attributes), tags === undefined ? null : sorted(tags), parents.map(sortedEntity)];
}

function frozen<T extends object>(value: T): T {
  for (const member of Object.values(value)) if (typeof member === 'object' && member !== null) frozen(member);
  return Object.freeze(value);
}

/** As it is written, comma included. */
function bytesOf(value: LedgerValue): number {
  return Buffer.byteLength(JSON.stringify(value)) + 1;
}

/** Holds all columns of a wide table. A client chooses names, and could fill the ledger with them. */
const QUESTION_BYTES_MAX = 8 * 1024;
/** With the rest of its entry well below what a segment takes. */
const QUESTIONS_BYTES_MAX = 24 * 1024;
/** Deeper than any resource or context that a protocol declares: a parent is two levels. */
const DEPTH_MAX = 16;
