import { hash } from 'node:crypto';
import type { Clock } from '../../../std/index.ts';
import type { Recorded } from '../../ledger-turn.ts';
import type { OperationEvent, SessionLedger } from '../../session.ts';
import type { Withheld } from '../../withheld.ts';
import type { Operation, Portal } from './replies.ts';
import type { Refusal, StatementPlan } from './sql/index.ts';

/**
 * How an operation ended. `unknown`: the connection was lost while it ran; `skipped`: it never ran, kept from it by an error before it or by
 * the end of its session.
 */
export type OutcomeStatus = 'done' | 'suspended' | 'failed' | 'skipped' | 'unknown' | 'row-limit';

/** Writes a session's operations to the ledger: announcements before anything is forwarded, outcomes in batches. */
export class Operations {
  readonly #clock: Clock;
  readonly #ledger: SessionLedger;
  #count = 0;
  #announced: OperationEvent[] = [];
  #outcomes: OperationEvent[] = [];

  constructor(deps: { clock: Clock; ledger: SessionLedger }) {
    this.#clock = deps.clock;
    this.#ledger = deps.ledger;
  }

  /** Begins an operation; it is announced with the next `announce`. */
  begin(
    plan: StatementPlan,
    source: { text: string; parameters: readonly (Buffer | null)[]; statements?: number },
    fetched?: Portal,
  ): Operation {
    const { statements = 1 } = source;
    const id = String(++this.#count);
    const { action, policies, touches } = noted(plan);
    this.#announced.push({
      kind: 'intent',
      action,
      operation: id,
      // In the order of the names, which is the order they are written in.
      detail: {
        decision: 'allow',
        ...(plan.derived === undefined ? {} : { derived: plan.derived.slice(0, TOUCHES_MAX) }),
        fingerprint: plan.fingerprint,
        masked: plan.masks !== undefined,
        ...recorded(plan.record, source),
        policies,
        statement: plan.kind,
        ...(statements === 1 ? {} : { statements }),
        touches,
      },
    });
    const startedMs = this.#clock.monotonicMs();
    const nothing = { done: 0, rowsOfDone: 0, rows: 0, bytes: 0, over: false, sent: false, concluded: false };
    return { id, plan, statements, startedMs, fetched, ...nothing };
  }

  /** Notes a refusal; it is announced with the next `announce`. */
  deny(refusal: Refusal, text: string): void {
    const last = refusal.statements.at(-1);
    this.#announced.push({
      kind: 'denial',
      action: last === undefined ? ACTION_UNKNOWN : actionOf(last),
      operation: String(++this.#count),
      detail: {
        reason: refusal.reason,
        sqlstate: refusal.sqlstate,
        decision: 'deny',
        policies: [...refusal.policies],
        textDigest: digest(text),
        ...(last === undefined
          ? {}
          : { statement: last.kind, fingerprint: last.fingerprint, touches: touchesOf(last) }),
      },
    });
  }

  get pending(): boolean {
    return this.#announced.length > 0;
  }

  /** Records what was begun and denied since the last call; refused, none of it may happen. */
  announce(recorded: Recorded): void {
    const events = this.#announced;
    this.#announced = [];
    this.#ledger.record(events, recorded);
  }

  /** Notes how an operation ended, and what of that its client was not shown; once. */
  end(operation: Operation, status: OutcomeStatus, sqlstate: string, withheld?: Withheld): void {
    if (operation.concluded) return;
    operation.concluded = true;
    this.#outcomes.push({
      kind: 'outcome',
      action: noted(operation.plan).action,
      operation: operation.id,
      detail: {
        bytes: operation.bytes,
        durationUs: Math.max(0, Math.round((this.#clock.monotonicMs() - operation.startedMs) * 1000)),
        rows: operation.rows,
        sqlstate,
        ...(operation.statements === 1 ? {} : { statements: operation.done }),
        status,
        ...(withheld === undefined ? {} : { withheld: this.#ledger.seal(withheld, operation.id) }),
      },
    });
  }

  /** Outcomes are noted that were not recorded yet. */
  get ended(): boolean {
    return this.#outcomes.length > 0;
  }

  /** Records the outcomes noted since the last call. */
  conclude(recorded: Recorded): void {
    const events = this.#outcomes;
    this.#outcomes = [];
    this.#ledger.record(events, recorded);
  }
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
