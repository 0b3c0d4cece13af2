import {
  type Asked,
  type Decision,
  isBarred,
  judgedBy,
  type LedgerEvent,
  type Question,
  type ReachedLimit,
  withoutApproval,
} from '../../model/index.ts';
import type { Clock, Log } from '../../std/index.ts';
import type { HoldingDeps } from '../approvals/pipeline-holds.ts';
import type { SessionRefusal } from '../protocol.ts';
import { barredDetail, limitDetail, ownDetail } from '../recording/entry-detail.ts';
import type { Recorder } from '../recording/recorder.ts';
import type { SessionLedger } from '../recording/session-ledger.ts';
import { createToldAttributes, type ToldAttributes } from '../recording/told-attributes.ts';
import type { SessionActivity } from './activity.ts';
import { createPipeline } from './create-pipeline.ts';
import type { Pipeline, PipelinePort } from './pipeline.ts';
import type { Place, QuotaHolder, Quotas, ReachedQuota } from './quotas.ts';
import { endOf, type SessionPolicy } from './session.ts';
import { barredBy, endFor } from './standing.ts';

/**
 * What stands between one session's client and its target, whatever protocol they speak. A member turns bytes into questions and operations,
 * and answers into bytes; that they are recorded first, in order, as durably as configured, and that the session ends when policy no
 * longer allows it, is done here.
 */
export interface Gate {
  /**
   * Asks whether the client may have this session, and records the answer: an opening, which `close` ends, or a denial, which is on disk
   * before this resolves. From now on the session ends when policy no longer allows what `connect` asks. Once a session.
   */
  open(asked: SessionQuestions): Promise<Opening>;
  /** A way to the target and back; a member without such a need of order takes one for each operation. */
  pipeline(port: PipelinePort): Pipeline;
  /** Ends all pipelines, and records that the session is over. */
  close(): void;
}

/** What a session needs. */
export interface SessionQuestions {
  /** Whether it may be at all: asked again after each change of policies. */
  readonly connect: Question;
  /** What else its client asked for as it connected; `detail` says so in a denial. */
  readonly also?: readonly { readonly question: Question; readonly detail: LedgerEvent['detail'] }[];
  /** What the client says that it is; anybody can say anything. */
  readonly client?: { readonly application?: string | undefined; readonly driver?: string | undefined };
  /** What only the protocol knows of the session, for the ledger. */
  readonly detail: LedgerEvent['detail'];
}

/** Where a session comes from, for the ledger. */
export interface SessionOrigin {
  readonly door: 'agent' | 'direct';
  /** The address of the other end: the client's own, or its agent's. */
  readonly peer: string | undefined;
  /** Of the SVID that was shown; `serial` in decimal digits. */
  readonly certificate: { readonly serial: string; readonly expiresMs: number } | undefined;
  /** Of the JWT-SVID that was shown in its place: the key that has signed it. Never the token. */
  readonly token?: { readonly keyId: string; readonly expiresMs: number } | undefined;
  /** The process behind it, as its agent says: recorded as it comes. */
  readonly caller?: LedgerEvent['detail'] | undefined;
}

/** Whether a session may begin. `question`: the one that policy does not allow. */
export type Opening =
  | { readonly ok: true }
  | { readonly ok: false; readonly question: Question; readonly decision: Refused }
  /** Policy would allow it, but for those that there are. */
  | { readonly ok: false; readonly limit: ReachedQuota }
  /** The ledger did not take it, so nothing happened. */
  | { readonly ok: false; readonly unrecorded: unknown };

type Refused = Extract<Decision, { allow: false }>;

/** A session that is open. */
interface Opened {
  readonly action: string;
  readonly startedMs: number;
  /** Ids of revocations that it was opened under, which else would end it. */
  readonly ends: ReadonlySet<string>;
  over(): void;
}

export interface GateDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly origin: SessionOrigin;
  readonly policy: Pick<SessionPolicy, 'decide' | 'onChange' | 'policySet' | 'standing' | 'alone'>;
  readonly ledger: SessionLedger;
  readonly recorder: Recorder;
  readonly quotas: Quotas;
  readonly holder: QuotaHolder;
  /** Undefined: nobody can be asked to approve of anything. */
  readonly holding?: HoldingDeps | undefined;
  readonly activity: SessionActivity;
  /** The session's own: see `GatewaySession.signal`. */
  readonly signal: AbortSignal;
  /** Aborts it. */
  end(refusal: SessionRefusal): void;
}

export function createGate(deps: GateDeps): Gate {
  const { clock, policy, ledger, recorder, quotas, holder, activity, signal } = deps;
  const [pipelines, told] = [new Set<Pipeline>(), createToldAttributes()];
  let operations = 0;
  let opened: Opened | undefined;
  /** Policies or what stands against its client have changed. */
  const lookAgain = (connect: Question, { ends }: Opened) => {
    const decision = mayBegin(policy, connect);
    if (!decision.allow && !isBarred(decision)) return deps.end(NO_LONGER);
    const { standing, alone } = policy;
    if (standing === undefined) return;
    const isEnded = standing.reason === 'revoked' || standing.ends.some((id) => !ends.has(id));
    // A quarantine that keeps what it finds running would not let it begin.
    if (isEnded || (standing.isStale && !decision.allow)) return deps.end(endFor(barredBy(standing)));
    // Kept by a quarantine it is only for as long as policy would let it begin.
    if (!decision.allow && alone !== undefined && !mayBegin(alone, connect).allow) deps.end(NO_LONGER);
  };

  return {
    async open(questions) {
      const { connect, client } = questions;
      activity.client = toldClient(client);
      let isOutdated = false;
      const stopListening = policy.onChange(() => {
        if (opened === undefined) isOutdated = true;
        else lookAgain(connect, opened);
      });
      for (;;) {
        isOutdated = false;
        const opening = await openSession(deps, questions, {
          told,
          isOutdated: () => isOutdated,
          opened({ leave }) {
            const over = () => {
              stopListening();
              leave();
            };
            const ends = new Set(policy.standing?.ends);
            opened = { action: connect.action, startedMs: clock.monotonicMs(), ends, over };
          },
        });
        if (opening === undefined) continue;
        if (!opening.ok) stopListening();
        return opening;
      }
    },

    pipeline(port) {
      const nextId = () => String(++operations);
      const closed = () => void pipelines.delete(pipeline);
      const pipeline = createPipeline(
        {
          ...{ clock, ledger, recorder, told, quotas, holder, activity, nextId, closed },
          ...{ log: deps.log, holding: deps.holding },
          endSession: deps.end,
        },
        port,
      );
      pipelines.add(pipeline);
      return pipeline;
    },

    close() {
      for (const pipeline of pipelines) pipeline.close();
      if (opened === undefined) return;
      const { action, startedMs, over } = opened;
      opened = undefined;
      over();
      const durationMs = Math.round(clock.monotonicMs() - startedMs);
      const detail = { durationMs, ...(signal.aborted ? endDetail(endOf(signal)) : {}) };
      try {
        ledger.append([{ kind: 'session-close', action, operation: '', detail }]);
      } catch (error) {
        deps.log.error('gateway.close_lost', { error });
      }
    },
  };
}

/** Asks and records whether there may be a session. Undefined: policies have changed while others were asked, so all of it is asked anew. */
async function openSession(
  deps: GateDeps,
  { connect, also = [], client, detail }: SessionQuestions,
  session: { readonly told: ToldAttributes; isOutdated(): boolean; opened(place: Place): void },
): Promise<Opening | undefined> {
  const { policy, ledger, recorder, quotas, holder } = deps;
  const { action } = connect;
  const asked: (Asked & { readonly detail: LedgerEvent['detail'] })[] = [
    { question: connect, decision: mayBegin(policy, connect), detail: {} },
    ...also.map((one) => ({ question: one.question, decision: mayBegin(policy, one.question), detail: one.detail })),
  ];
  const judged = judgedBy(policy.policySet, asked);
  const about = { ...session.told.detail(judged), ...originDetail(deps.origin), ...clientDetail(client) };
  const deny = (
    policies: readonly string[],
    reason: string,
    { more = {}, limit }: { readonly more?: LedgerEvent['detail']; readonly limit?: ReachedLimit },
  ): Promise<void> => {
    const denial = {
      ...{ ...about, ...limitDetail(limit), ...barredDetail(judged), ...recorder.denied(judged, policies) },
      ...{ ...ownDetail({ action, detail: { ...detail, ...more } }), reason },
    };
    return ledger.synced(ledger.append([{ kind: 'denial', action, operation: '0', detail: denial }]));
  };
  let entered: Place | ReachedQuota | undefined;
  try {
    for (const { question, decision, detail: more } of asked) {
      if (decision.allow) continue;
      await deny(decision.policies, decision.reason, { more });
      return { ok: false, question, decision };
    }
    const answer = quotas.enter(holder, judged.quotas);
    entered = answer instanceof Promise ? await answer : answer;
    if (answer instanceof Promise && session.isOutdated()) {
      if ('leave' in entered) entered.leave();
      session.told.forget(); // Nothing of it was recorded.
      return undefined;
    }
    if ('unit' in entered) {
      await deny([entered.policy], 'over-limit', { limit: entered });
      return { ok: false, limit: entered };
    }
    const opening = { ...about, ...recorder.allowed(judged), ...ownDetail({ action, detail }) };
    ledger.append([{ kind: 'session-open', action, operation: '', detail: opening }]);
  } catch (error) {
    if (entered !== undefined && 'leave' in entered) entered.leave();
    return { ok: false, unrecorded: error };
  }
  session.opened(entered);
  return { ok: true };
}

/** A session is not held: nothing of its client was understood yet that somebody could be shown. */
function mayBegin(policy: Pick<SessionPolicy, 'decide'>, { action, resource, context }: Question): Decision {
  return withoutApproval(policy.decide(action, resource, context));
}

function originDetail({ door, peer, certificate, token, caller }: SessionOrigin): LedgerEvent['detail'] {
  return {
    ...(caller === undefined ? {} : { caller }),
    ...(certificate === undefined ? {} : { certificate }),
    door,
    ...(peer === undefined ? {} : { peer }),
    ...(token === undefined ? {} : { token }),
  };
}

/** Who ended it is named to auditors, never to its client. */
function endDetail({ code, by, why, revocation }: SessionRefusal): LedgerEvent['detail'] {
  return {
    ended: code,
    ...(by === undefined ? {} : { endedBy: by }),
    ...(why === undefined ? {} : { endedFor: why }),
    ...(revocation === undefined ? {} : { revocation }),
  };
}

function clientDetail(client: SessionQuestions['client']): LedgerEvent['detail'] {
  const told = toldClient(client);
  return Object.keys(told).length === 0 ? {} : { client: told };
}

function toldClient({ application, driver }: NonNullable<SessionQuestions['client']> = {}): Record<string, string> {
  const told = Object.entries({ application, driver }).flatMap(([name, text]) => {
    return text === undefined || text === '' ? [] : [[name, oneLine(text)] as const];
  });
  return Object.fromEntries(told);
}

/** What a client says of itself, in one line that can't pretend to be another. */
function oneLine(text: string): string {
  return text
    .slice(0, CLIENT_TEXT_MAX)
    .toWellFormed()
    .replaceAll(/\p{Cc}|\p{Cf}|\p{Zl}|\p{Zp}/gu, '\u{fffd}');
}

/** As much of a name as PostgreSQL keeps, and a little more. */
const CLIENT_TEXT_MAX = 128;
const NO_LONGER: SessionRefusal = { code: 'policy', what: 'policy no longer allows this connection' };
