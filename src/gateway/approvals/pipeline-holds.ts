import type { Denial, Judged, LedgerEvent, Operation } from '../../model/index.ts';
import { assert, type Clock, type Random } from '../../std/index.ts';
import { denialDetail, intentDetail } from '../recording/entry-detail.ts';
import type { Recorder } from '../recording/recorder.ts';
import type { SessionLedger } from '../recording/session-ledger.ts';
import type { ToldAttributes } from '../recording/told-attributes.ts';
import type { SessionPolicy } from '../sessions/session.ts';
import type { Approvals, HoldEndReason, HoldRefusal } from './approvals.ts';
import { Hold } from './hold.ts';
import { type Asked, askedOf, type Held, type HoldingSession, subjectOf } from './subject.ts';

/** What a session needs to have its operations held. */
export interface HoldingDeps {
  readonly approvals: Approvals;
  readonly random: Random;
  readonly session: HoldingSession;
  readonly protocol: string;
  /** When what proves the identity is over, epoch milliseconds; a later proof may prolong it. */
  expiresMs(): number;
  readonly policy: Pick<SessionPolicy, 'onChange'>;
  readonly signal: AbortSignal;
  readonly drain: AbortSignal;
}

/** Why an operation that needs an approval does not run. */
export interface HoldRefused {
  readonly kind: 'needed' | 'denied' | 'expired' | 'withdrawn' | HoldEndReason | HoldRefusal | 'unrecorded';
  /** For the ledger. */
  readonly reason: `approval-${'needed' | 'denied' | 'expired' | 'withdrawn' | 'refused'}`;
  /** A sentence for the client, and what to do. */
  readonly what: string;
  readonly hint: string;
  readonly policies: readonly string[];
  /** Which hold it was; undefined: nobody was asked. */
  readonly held: Denial['held'];
  /** Of `unrecorded`. */
  readonly error?: unknown;
}

export interface PipelineHoldsDeps {
  readonly clock: Clock;
  readonly ledger: Omit<SessionLedger, 'append'>;
  readonly recorder: Recorder;
  readonly told: ToldAttributes;
  readonly activity: { held: { readonly approval: string | undefined; readonly sinceMs: number } | undefined };
  readonly holding: HoldingDeps | undefined;
  nextId(): string;
  later(act: () => void): void;
}

/** What of one pipeline waits for people: one operation at a time, since what is behind it waits too. */
export class PipelineHolds {
  readonly #deps: PipelineHoldsDeps;
  #current: { readonly hold: Hold; readonly operation: Operation; isTold: boolean } | undefined;
  #released: string | undefined;
  /** May begin now, by its approval. */
  #approved: { readonly hold: Hold; readonly left: Judged[] } | undefined;

  constructor(deps: PipelineHoldsDeps) {
    this.#deps = deps;
  }

  get isHolding(): boolean {
    return this.#current?.hold.isWaiting === true;
  }

  /** See `Pipeline.hold`. */
  hold(held: Held, before: Hold | undefined, { continues = false } = {}): HoldRefused | Promise<Hold> | undefined {
    this.#approved = undefined;
    const [operation] = held.operations.filter(({ judged }) => judged.approvals.length > 0);
    if (operation === undefined) {
      this.#release();
      return undefined;
    }
    const { holding, recorder } = this.#deps;
    if (holding === undefined) return refusal('needed', operation.judged, undefined);
    const asked = askedOf(held, { ...holding, recorder });
    if (asked.rules.length > RULES_MAX) return refusal('no-rule', operation.judged, undefined);
    if (before === undefined || before.key !== asked.key || (before.isUsed && !continues)) {
      this.end('policy');
      if (holding.drain.aborted) return refusal('drained', operation.judged, undefined);
      return this.#begin(holding, {
        asked,
        held,
        operation,
        id: (continues ? undefined : before?.operation) ?? this.#deps.nextId(),
      });
    }
    const { state } = before;
    if (state.kind === 'waiting') return before.next();
    if (state.kind !== 'answered' || state.answer.state !== 'approved') return refusedBy(before, operation.judged);
    this.#approved = { hold: before, left: held.operations.map(({ judged }) => judged) };
    return undefined;
  }

  /** Takes the approval of an operation that begins, for its entry. @throws Error where there is none: that is a bug, and nothing may run by it */
  use(judged: Judged): { readonly operation: string | undefined; readonly detail: LedgerEvent['detail'] } {
    const approved = this.#approved;
    const at = approved?.left.indexOf(judged) ?? -1;
    assert(approved !== undefined && at !== -1, 'an operation that needs an approval was begun without');
    const { hold, left } = approved;
    left.splice(at, 1);
    const isFirst = !hold.isUsed;
    hold.isUsed = true;
    return { operation: isFirst ? hold.operation : undefined, detail: { approval: hold.detail } };
  }

  /** What was begun is on its way: no approval is left of it. */
  flushed(): void {
    this.#approved = undefined;
  }

  /** As which operation the next one begins: what was held and needs no approval any more is the same operation. */
  released(): string | undefined {
    const operation = this.#released;
    this.#released = undefined;
    return operation;
  }

  /** Something was refused. Since all else waits, it is what was held, if anything was and has not begun. */
  denied({ held }: Pick<Denial, 'held'>): Denial['held'] {
    const current = this.#current;
    if (current === undefined || current.isTold || current.hold.isUsed) return held;
    const { hold } = current;
    hold.end('policy');
    current.isTold = true;
    return held ?? { operation: hold.operation, detail: { approval: hold.detail } };
  }

  end(why: HoldEndReason): void {
    this.#current?.hold.end(why);
  }

  /** The session is over: what is held, or approved and not used, never runs. The event that says so. */
  drop(): { readonly action: string; readonly operation: string; readonly detail: LedgerEvent['detail'] } | undefined {
    const current = this.#current;
    this.#current = undefined;
    this.#approved = undefined;
    if (current === undefined || current.isTold || current.hold.isUsed) return undefined;
    const { hold, operation } = current;
    hold.end(this.#deps.holding?.signal.aborted === true ? 'ended' : 'gone');
    const { reason, policies, held } = refusedBy(hold, operation.judged);
    const denial = { ...operation, code: undefined, reason, policies, held };
    return { action: operation.action, operation: hold.operation, detail: denialDetail(denial, this.#deps) };
  }

  #release() {
    const current = this.#current;
    if (current === undefined || current.isTold || current.hold.isUsed) return;
    current.hold.end('policy');
    current.isTold = true;
    this.#released = current.hold.operation;
  }

  #begin(
    holding: HoldingDeps,
    of: { readonly asked: Asked; readonly held: Held; readonly operation: Operation; readonly id: string },
  ): Promise<Hold> {
    const { clock, ledger, told, activity } = this.#deps;
    const { asked, held, operation, id } = of;
    const untilMs = Math.floor(Math.min(clock.now() + HOLD_MS_MAX, holding.expiresMs()));
    const question = {
      ...{ hold: holding.random.bytes(HOLD_BYTES).toString('hex'), untilMs },
      ...subjectOf(asked, held, { operation: id, untilMs }),
    };
    const drained = () => hold.end('drained');
    const ended = () => hold.end('ended');
    const stopListening = holding.policy.onChange(() => hold.look());
    holding.drain.addEventListener('abort', drained, { once: true });
    holding.signal.addEventListener('abort', ended, { once: true });
    const settled = () => {
      stopListening();
      holding.drain.removeEventListener('abort', drained);
      holding.signal.removeEventListener('abort', ended);
      activity.held = undefined;
    };
    const hold = new Hold({ key: asked.key, operation: id, question }, { clock, settled });
    this.#current = { hold, operation, isTold: false };
    const sinceMs = clock.now();
    activity.held = {
      sinceMs,
      get approval() {
        return hold.approval;
      },
    };
    const { rules } = asked;
    const approval = { digest: question.digest, hold: question.hold, rules: [...rules], untilMs };
    const detail = { ...told.detail(operation.judged), ...intentDetail(operation, this.#deps), approval };
    ledger.record([{ kind: 'hold', action: operation.action, operation: id, detail }], {
      written: () => this.#deps.later(() => hold.ask(holding.approvals)),
      refused: (error) => {
        told.forget();
        hold.unrecorded(error);
      },
    });
    if (holding.signal.aborted) ended();
    return hold.next();
  }
}

function refusedBy(hold: Hold, judged: Judged): HoldRefused {
  const { state, operation, detail } = hold;
  const held = { operation, detail: { approval: detail } };
  if (state.kind === 'ended') return refusal(state.why, judged, held);
  if (state.kind === 'unrecorded') return { ...refusal('unrecorded', judged, undefined), error: state.error };
  if (state.kind === 'waiting' || state.answer.state === 'approved') return refusal('withdrawn', judged, held);
  const { answer } = state;
  if (answer.state === 'refused') return { ...refusal(answer.why, judged, held), what: answer.what };
  const told = refusal(answer.state, judged, held);
  return answer.reason === '' ? told : { ...told, what: `${told.what}: ${answer.reason}` };
}

function refusal(kind: HoldRefused['kind'], judged: Judged, held: Denial['held']): HoldRefused {
  const [what, hint, reason] = WORDS[kind];
  const rules = judged.approvals.map((rule) => JSON.stringify(rule)).join(' and ');
  const policies = judged.asked.flatMap(({ decision }) =>
    decision.allow && decision.obligations.approvals !== undefined ? decision.policies : [],
  );
  const named = rules === '' ? what : `${what} (rule ${rules})`;
  return {
    kind,
    reason: `approval-${reason}`,
    what: named,
    hint,
    policies: Array.from(new Set(policies)).sort(),
    held,
  };
}

type Words = readonly [what: string, hint: string, reason: 'needed' | 'denied' | 'expired' | 'withdrawn' | 'refused'];

const AGAIN = 'Nothing of it was carried out. Ask again when it is still wanted.';
const WORDS: Readonly<Record<HoldRefused['kind'], Words>> = {
  needed: [
    'this needs an approval, and nobody can be asked here',
    'An operator can give this gateway a server, or change the policy.',
    'needed',
  ],
  denied: ['this was not approved', 'Nothing of it was carried out. Ask whoever answers why.', 'denied'],
  expired: ['nobody has approved this in time', AGAIN, 'expired'],
  withdrawn: ['the question for an approval was taken back', AGAIN, 'withdrawn'],
  cancelled: ['canceled while it waited for an approval', AGAIN, 'withdrawn'],
  timeout: [
    'the time for this was over while it waited for an approval',
    'Nothing of it was carried out. Allow more time for what people have to approve.',
    'withdrawn',
  ],
  gone: ['its client went away', AGAIN, 'withdrawn'],
  ended: ['its session has ended', AGAIN, 'withdrawn'],
  policy: ['policies have changed', AGAIN, 'withdrawn'],
  drained: [
    'this session is to end, so nothing waits for an approval',
    'Nothing of it was carried out. Connect again, and ask again.',
    'withdrawn',
  ],
  'no-rule': [
    'this needs an approval by a rule that nobody has declared',
    'An operator can declare it, or change the policy.',
    'refused',
  ],
  'too-many': [
    'this needs an approval, and too many operations wait already',
    'Nothing of it was carried out. Wait until some are answered.',
    'refused',
  ],
  unavailable: ['this needs an approval, and nobody can be asked at the moment', AGAIN, 'refused'],
  unproven: [
    'this was answered, but nothing proves who did',
    'Nothing of it was carried out. An operator finds why in the log of the gateway.',
    'refused',
  ],
  unrecorded: ['the ledger does not take it', AGAIN, 'refused'],
};
/** Of a question, in random bytes. */
const HOLD_BYTES = 16;
/** A rule says less; longer nobody holds a connection open for. */
const HOLD_MS_MAX = 24 * 3_600_000;
/** As many as servers take. */
const RULES_MAX = 16;
