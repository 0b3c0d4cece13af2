import { createHash } from 'node:crypto';
import type { Content, LedgerValue, Operation } from '../../model/index.ts';
import { formatCanonicalJson } from '../../wire/tlog/index.ts';
import type { Recorder } from '../recording/recorder.ts';

/** Whose operations are held: what a question says of the session. */
export interface HoldingSession {
  readonly trustDomain: string;
  /** SPIFFE ID of the gateway. */
  readonly gateway: string;
  readonly session: string;
  readonly identity: string;
  /** The registration entry, the node and the process behind it, as its agent says; null: nobody says. */
  readonly entry: string | null;
  readonly node: string | null;
  readonly instance: { readonly pid: number; readonly start: string | null } | null;
  readonly target: string;
}

/** What is to be held: operations that begin together or not at all. */
export interface Held {
  readonly operations: readonly Operation[];
  /** All of what its client said, whatever of it is recorded: an answer is for just that. */
  readonly content: Content;
  /** What people see of it. Made only where they are asked. */
  shown(): Shown;
}

/** What people see of an operation. No secret is in it; of values so much as can be read. */
export interface Shown {
  /** One line. */
  readonly title: string;
  readonly text: string;
  readonly parameters: readonly ShownValue[];
  readonly objects: readonly string[];
  readonly columns: readonly string[];
}

export interface ShownValue {
  readonly name: string;
  readonly value: string | null;
}

/** A question as it goes out. */
export interface Subject {
  readonly subject: Buffer;
  /** SHA-256 of `subject`, in hex. */
  readonly digest: string;
  readonly shown: Buffer;
}

/** What of an operation has to stay as it is for an answer to be about it: all but which hold of it this is, and for how long. */
export interface Asked {
  /** Equal: it is the same question of the same session. */
  readonly key: string;
  readonly fields: { readonly [name: string]: LedgerValue };
  /** The policies that hold it allow it once that many have approved. */
  readonly rules: readonly string[];
}

/** What is asked of these operations, under the policies that judged them. */
export function askedOf(
  held: Held,
  by: { readonly session: HoldingSession; readonly protocol: string; readonly recorder: Recorder },
): Asked {
  const { operations, content } = held;
  const { session, protocol, recorder } = by;
  const judged = operations.map((operation) => operation.judged);
  const sets = judged.flatMap(({ set }) => set ?? []);
  const rules = Array.from(new Set(judged.flatMap(({ approvals }) => approvals))).sort();
  const questions = questionsOf(operations, recorder);
  const fields = {
    v: VERSION,
    ...session,
    ...{ protocol, questions, rules },
    obligations: { limits: operations.map(({ judged: { limits } }) => ({ ...limits })).slice(0, OPERATIONS_MAX) },
    policySet: { digest: sets[0]?.digest ?? '', revision: sets[0]?.revision ?? 0 },
    shape: shapeOf(operations),
    content: sha256(content.text),
    parameters: parametersOf(content),
  };
  // What the identity was to the policies is no part of the question, and yet the answer must not outlive it.
  const told = sets.map(({ digest, identity, isQuarantined }) => [
    digest,
    identity?.digest ?? '',
    isQuarantined === true,
  ]);
  const key = sha256(`${formatCanonicalJson(fields)}\n${JSON.stringify(told)}`);
  return { key, fields, rules };
}

/** The question itself, for one hold. */
export function subjectOf(
  { fields }: Asked,
  held: Held,
  of: { readonly operation: string; readonly untilMs: number },
): Subject {
  const shown = Buffer.from(JSON.stringify(shownOf(held)));
  const subject = Buffer.from(formatCanonicalJson({ ...fields, ...of, shown: sha256(shown) }));
  return { subject, digest: sha256(subject), shown };
}

/** Of several, one that stands for all of theirs. */
function shapeOf(operations: readonly Operation[]): string {
  const [first, ...others] = operations.map(({ action, shape }) => shape ?? action);
  return first !== undefined && others.length === 0 ? first : sha256([first, ...others].join('\n'));
}

/** With obligations and policies, as the ledger has them; as many as there is room for: the content is bound by its hash whatever is left out. */
function questionsOf(operations: readonly Operation[], recorder: Recorder): readonly LedgerValue[] {
  const questions: LedgerValue[] = [];
  let bytesLeft = QUESTIONS_BYTES_MAX;
  for (const { judged } of operations)
    for (const question of recorder.allowed(judged).questions) {
      bytesLeft -= Buffer.byteLength(JSON.stringify(question));
      if (bytesLeft < 0) return questions;
      questions.push(question);
    }
  return questions;
}

function shownOf({ operations, ...held }: Held) {
  const { title, text, parameters, objects, columns } = held.shown();
  const decisions = operations.flatMap(({ judged }) => judged.asked.map(({ decision }) => decision));
  const masks = decisions.flatMap((one) =>
    one.allow ? one.obligations.masks.map(({ path, kind }) => `${path.join('.')} ${kind}`) : [],
  );
  const cut = text.length > TEXT_MAX;
  return {
    title: inOneLine(title).slice(0, TITLE_MAX) || 'an operation',
    text: text.slice(0, TEXT_MAX).toWellFormed(),
    ...(cut ? { cut, characters: text.length } : {}),
    parameters: parameters.slice(0, PARAMETERS_MAX).map(({ name, value }) => {
      const isCut = value !== null && value.length > VALUE_MAX;
      return { name, value: value === null ? null : value.slice(0, VALUE_MAX).toWellFormed(), cut: isCut };
    }),
    ...(parameters.length > PARAMETERS_MAX ? { parametersLeftOut: parameters.length - PARAMETERS_MAX } : {}),
    objects: listed(objects),
    columns: listed(columns),
    masks: listed(masks),
    policies: listed(decisions.flatMap((one) => one.policies)),
  };
}

function listed(names: readonly string[]): readonly string[] {
  return Array.from(new Set(names))
    .slice(0, NAMES_MAX)
    .map((name) => name.slice(0, VALUE_MAX).toWellFormed());
}

function inOneLine(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/\p{Cc}|\p{Cf}|\p{Zl}|\p{Zp}/gu, ' ')
    .trim();
}

/** Number of values, and of each its format, its length and its bytes: it can be read in one way only. Null has the length -1. */
function parametersOf({ values, formats }: Content): string {
  const hash = createHash('sha256');
  const number = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(value);
    hash.update(bytes);
  };
  number(values.length);
  for (const [i, value] of values.entries()) {
    number((formats.length === 1 ? formats[0] : formats[i]) ?? 0);
    number(value === null ? -1 : value.length);
    if (value !== null) hash.update(value);
  }
  return hash.digest('hex');
}

function sha256(of: string | Buffer): string {
  return createHash('sha256').update(of).digest('hex');
}

const VERSION = 'countersign-approval/v1';
/** With the rest of the subject below the 64 KiB that servers take. */
const QUESTIONS_BYTES_MAX = 40 * 1024;
const OPERATIONS_MAX = 64;
const TITLE_MAX = 200;
const TEXT_MAX = 16 * 1024;
const PARAMETERS_MAX = 64;
const VALUE_MAX = 256;
const NAMES_MAX = 64;
