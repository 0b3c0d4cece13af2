import { hash } from 'node:crypto';
import type { Denial, Operation } from '../../../../model/index.ts';
import { type Refusal, type StatementFacts, type StatementPlan, unasked } from '../sql/index.ts';

/** A statement that was allowed, or several in a row that differ in values alone, as an operation. */
export function operationOf(
  plan: StatementPlan,
  source: { text: string; parameters: readonly (Buffer | null)[]; statements: number },
): Operation {
  const note = noted(plan);
  const { action, detail } = note;
  const { text, parameters, statements } = source;
  return {
    action,
    changes: plan.writes,
    judged: plan.judged,
    shape: plan.fingerprint,
    contentDigest: hasDigest(plan, parameters) ? contentDigest(note, text, parameters) : undefined,
    detail:
      statements === 1 && plan.record !== 'full'
        ? detail
        : { ...detail, ...(statements === 1 ? {} : { statements }), ...(plan.record === 'full' ? inFull(source) : {}) },
  };
}

/** Who reads the ledger could try out what literals a text may have had, so one that brings none beside it has no digest. */
function hasDigest({ record }: StatementPlan, parameters: readonly unknown[]): boolean {
  return record === 'full' || (record === 'digest' && parameters.length > 0);
}

/** What the ledger is told of a statement that is refused. */
export function denialOf(refusal: Refusal, text: string): Denial {
  const { reason, sqlstate, policies, limit } = refusal;
  const last = refusal.statements.at(-1);
  const action = last === undefined ? ACTION_UNKNOWN : actionOf(last);
  return {
    ...{ action, reason, code: sqlstate, policies, limit },
    judged: last?.judged ?? unasked,
    shape: last?.fingerprint,
    contentDigest: refusal.statements.some(isAdministration) ? undefined : digest(text),
    detail: last === undefined ? {} : { statement: last.kind },
  };
}

/** Its text may carry a password. */
function isAdministration({ touches }: StatementFacts): boolean {
  return touches.some(({ action }) => action === 'postgres:admin');
}

/** What each entry about a plan says, worked out once; frozen, so that its text is as well. */
function noted(plan: StatementPlan): Noted {
  const known = notes.get(plan);
  if (known !== undefined) return known;
  const derived = plan.derived?.slice(0, DERIVED_MAX).map((name) => name.slice(0, NAME_MAX).toWellFormed());
  const note = {
    action: actionOf(plan),
    detail: Object.freeze({
      ...(derived === undefined ? {} : { derived: Object.freeze(derived) }),
      statement: plan.kind,
    }),
    text: undefined,
    textDigest: '',
  };
  notes.set(plan, note);
  return note;
}

interface Noted {
  readonly action: string;
  readonly detail: Operation['detail'];
  /** The last text, and its digest: one that is prepared comes again and again. */
  text: string | undefined;
  textDigest: string;
}

const notes = new WeakMap<StatementPlan, Noted>();

/** The verb that an auditor looks for: a DELETE that also reads columns is a delete. */
function actionOf(facts: { readonly touches: readonly { readonly action: string }[] }): string {
  const changing = facts.touches.find(({ action }) => !READING.has(action));
  const reading = facts.touches.find(({ action }) => action !== 'postgres:connect');
  return (changing ?? reading)?.action ?? ACTION_UNKNOWN;
}

/** By default only a digest: texts hold literals, and literals hold secrets. Policy can ask for more. */
function inFull({ text, parameters }: { text: string; parameters: readonly (Buffer | null)[] }): Operation['detail'] {
  return {
    text: text.slice(0, TEXT_MAX).toWellFormed(),
    parameters: parameters
      .slice(0, PARAMETERS_MAX)
      .map((value) => (value === null ? null : value.toString('utf8').slice(0, PARAMETER_MAX).toWellFormed())),
  };
}

/**
 * Over the text; where values are bound, over that digest and each value behind its length (-1 for NULL) and a colon.
 */
function contentDigest(note: Noted, text: string, parameters: readonly (Buffer | null)[]): string {
  if (note.text !== text) {
    note.textDigest = digest(text);
    // Longer ones are mostly bulk data, which is not said twice.
    note.text = text.length <= TEXT_MAX ? text : undefined;
  }
  if (parameters.length === 0) return note.textDigest;
  let bytes = note.textDigest.length;
  for (const value of parameters) bytes += LENGTH_BYTES_MAX + (value?.length ?? 0);
  const input = bytes <= scratch.length ? scratch : Buffer.allocUnsafe(bytes);
  let at = input.write(note.textDigest, 'latin1');
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
/** An entry stays small whatever the statement: its shape stands for the rest. */
const DERIVED_MAX = 32;
const NAME_MAX = 256;
const TEXT_MAX = 8192;
const PARAMETERS_MAX = 100;
const PARAMETER_MAX = 256;
const READING: ReadonlySet<string> = new Set(['postgres:select', 'postgres:connect']);
/** Ten digits and a colon. */
const LENGTH_BYTES_MAX = 11;
/** Used within one call only. */
const scratch = Buffer.allocUnsafeSlow(4096);
