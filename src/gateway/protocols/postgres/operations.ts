import { hash } from 'node:crypto';
import type { Operation } from '../../../model/index.ts';
import type { Refusal, StatementPlan } from './sql/index.ts';

/** A statement that was allowed, or several in a row that differ in values alone, as an operation. */
export function operationOf(
  plan: StatementPlan,
  source: { text: string; parameters: readonly (Buffer | null)[]; statements: number },
): Operation {
  const { action, policies, touches } = noted(plan);
  return {
    action,
    changes: plan.writes,
    // In the order of the names, which is the order they are written in.
    detail: {
      decision: 'allow',
      ...(plan.derived === undefined ? {} : { derived: plan.derived.slice(0, TOUCHES_MAX) }),
      fingerprint: plan.fingerprint,
      masked: plan.masks !== undefined,
      ...recorded(plan.record, source),
      policies,
      statement: plan.kind,
      ...(source.statements === 1 ? {} : { statements: source.statements }),
      touches,
    },
  };
}

/** What the ledger is told of a statement that is refused. */
export function denialOf(refusal: Refusal, text: string): Omit<Operation, 'changes'> {
  const last = refusal.statements.at(-1);
  return {
    action: last === undefined ? ACTION_UNKNOWN : actionOf(last),
    detail: {
      reason: refusal.reason,
      sqlstate: refusal.sqlstate,
      decision: 'deny',
      policies: [...refusal.policies],
      textDigest: digest(text),
      ...(last === undefined ? {} : { statement: last.kind, fingerprint: last.fingerprint, touches: touchesOf(last) }),
    },
  };
}

/** What each entry about a plan says, worked out once; frozen, so that its text is as well. */
function noted(plan: StatementPlan): Noted {
  const known = notes.get(plan);
  if (known !== undefined) return known;
  const note = {
    action: actionOf(plan),
    policies: Object.freeze([...plan.policies]),
    touches: Object.freeze(touchesOf(plan)),
  };
  notes.set(plan, note);
  return note;
}

interface Noted {
  readonly action: string;
  readonly policies: readonly string[];
  readonly touches: readonly string[];
}

const notes = new WeakMap<StatementPlan, Noted>();

/** The verb that an auditor looks for: a DELETE that also reads columns is a delete. */
function actionOf(facts: { readonly touches: readonly { readonly action: string }[] }): string {
  const changing = facts.touches.find(({ action }) => !READING.has(action));
  const reading = facts.touches.find(({ action }) => action !== 'postgres:connect');
  return (changing ?? reading)?.action ?? ACTION_UNKNOWN;
}

function touchesOf(facts: { readonly touches: readonly { readonly action: string; readonly resource: string }[] }) {
  return facts.touches
    .slice(0, TOUCHES_MAX)
    .map(({ action, resource }) => `${action} ${resource}`.slice(0, TEXT_MAX).toWellFormed());
}

/** By default only digests: texts hold literals, and literals hold secrets. Policy can ask for more. */
function recorded(record: 'digest' | 'full', source: { text: string; parameters: readonly (Buffer | null)[] }) {
  const { text, parameters } = source;
  if (record === 'full') {
    return {
      text: text.slice(0, TEXT_MAX).toWellFormed(),
      parameters: parameters
        .slice(0, PARAMETERS_MAX)
        .map((value) => (value === null ? null : value.toString('utf8').slice(0, PARAMETER_MAX).toWellFormed())),
    };
  }
  return parameters.length === 0 ? {} : { parametersDigest: parametersDigest(parameters) };
}

/** Over each value behind its length (-1 for NULL) and a colon. */
function parametersDigest(parameters: readonly (Buffer | null)[]): string {
  let bytes = 0;
  for (const value of parameters) bytes += LENGTH_BYTES_MAX + (value?.length ?? 0);
  const input = bytes <= scratch.length ? scratch : Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const value of parameters) {
    at += input.write(`${value === null ? -1 : value.length}:`, at, 'latin1');
    if (value !== null) at += value.copy(input, at);
  }
  return hash('sha256', input.subarray(0, at), 'hex');
}

function digest(text: string): string {
  return hash('sha256', text, 'hex');
}

/** Statements that ask policy nothing: settings, transactions, reads of the system's own catalogs. */
const ACTION_UNKNOWN = 'postgres:statement';
/** An entry stays small whatever the statement: the fingerprint stands for the rest. */
const TOUCHES_MAX = 32;
const TEXT_MAX = 8192;
const PARAMETERS_MAX = 100;
const PARAMETER_MAX = 256;
const READING: ReadonlySet<string> = new Set(['postgres:select', 'postgres:connect']);
/** Ten digits and a colon. */
const LENGTH_BYTES_MAX = 11;
/** Used within one call only. */
const scratch = Buffer.allocUnsafeSlow(4096);
