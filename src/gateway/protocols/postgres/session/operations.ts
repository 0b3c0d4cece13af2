import type { Content, Denial, Operation } from '../../../../model/index.ts';
import { type Refusal, type StatementFacts, type StatementPlan, unasked } from '../sql/index.ts';

/** A statement that was allowed, or several in a row that differ in values alone, as an operation. */
export function operationOf(plan: StatementPlan, source: Said & { readonly statements: number }): Operation {
  const { action, detail } = noted(plan);
  const { statements } = source;
  return {
    action,
    changes: plan.writes,
    judged: plan.judged,
    shape: plan.fingerprint,
    content: contentOf(plan, source),
    detail:
      statements === 1 && plan.record !== 'full'
        ? detail
        : { ...detail, ...(statements === 1 ? {} : { statements }), ...(plan.record === 'full' ? inFull(source) : {}) },
  };
}

/** What a client said of a statement. */
interface Said {
  readonly text: string;
  readonly parameters: readonly (Buffer | null)[];
  /** Of the parameters: one for all or one for each; all are text by default. */
  readonly formats?: readonly number[];
}

/** Of what asks policy nothing and has no values, such as BEGIN, the shape says enough. */
function contentOf({ judged, record }: StatementPlan, { text, parameters, formats = TEXT }: Said): Content | undefined {
  const isTold = parameters.length === 0 && judged.asked.length === 0 && record === 'digest';
  return isTold || record === 'nothing' ? undefined : { text, values: parameters, formats };
}

/** What the ledger is told of a statement that is refused. */
export function denialOf(refusal: Refusal, text: string): Denial {
  const { reason, sqlstate, policies, limit, held } = refusal;
  const last = refusal.statements.at(-1);
  const action = last === undefined ? ACTION_UNKNOWN : actionOf(last);
  return {
    ...{ action, reason, code: sqlstate, policies, limit, held },
    judged: last?.judged ?? unasked,
    shape: last?.fingerprint,
    content: text === '' || refusal.statements.some(isAdministration) ? undefined : { text, values: [], formats: TEXT },
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
  };
  notes.set(plan, note);
  return note;
}

interface Noted {
  readonly action: string;
  readonly detail: Operation['detail'];
}

const notes = new WeakMap<StatementPlan, Noted>();

/** The verb that an auditor looks for: a DELETE that also reads columns is a delete. */
function actionOf(facts: { readonly touches: readonly { readonly action: string }[] }): string {
  const changing = facts.touches.find(({ action }) => !READING.has(action));
  const reading = facts.touches.find(({ action }) => action !== 'postgres:connect');
  return (changing ?? reading)?.action ?? ACTION_UNKNOWN;
}

/** By default only a digest: texts hold literals, and literals hold secrets. Policy can ask for more. */
function inFull({ text, parameters }: Said): Operation['detail'] {
  return {
    text: text.slice(0, TEXT_MAX).toWellFormed(),
    parameters: parameters
      .slice(0, PARAMETERS_MAX)
      .map((value) => (value === null ? null : value.toString('utf8').slice(0, PARAMETER_MAX).toWellFormed())),
  };
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
const TEXT: readonly number[] = [];
