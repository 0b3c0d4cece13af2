import type { Decision, LedgerEvent, Question } from '../model/index.ts';
import type { Clock, Log } from '../std/index.ts';
import { createPipeline, type Pipeline, type PipelinePort } from './pipeline.ts';
import type { SessionRefusal } from './protocol.ts';
import { endOf, type SessionPolicy } from './session.ts';
import type { SessionLedger } from './session-ledger.ts';

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
  /** Of the session, for the ledger. */
  readonly detail: LedgerEvent['detail'];
}

/** Whether a session may begin. `question`: the one that policy does not allow. */
export type Opening =
  | { readonly ok: true }
  | { readonly ok: false; readonly question: Question; readonly decision: Refused }
  /** The ledger did not take it, so nothing happened. */
  | { readonly ok: false; readonly unrecorded: unknown };

type Refused = Extract<Decision, { allow: false }>;

export interface GateDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly door: 'agent' | 'direct';
  readonly policy: Pick<SessionPolicy, 'decide' | 'onChange'>;
  readonly ledger: SessionLedger;
  /** The session's own: see `GatewaySession.signal`. */
  readonly signal: AbortSignal;
  /** Aborts it. */
  end(refusal: SessionRefusal): void;
}

export function createGate(deps: GateDeps): Gate {
  const { clock, policy, ledger, signal } = deps;
  const pipelines = new Set<Pipeline>();
  let operations = 0;
  let opened: { readonly action: string; readonly startedMs: number; stopListening(): void } | undefined;
  const may = ({ action, resource, context }: Question) => policy.decide(action, resource, context);

  return {
    async open({ connect, also = [], detail }) {
      const { action } = connect;
      const decision = may(connect);
      const noted = { ...detail, door: deps.door, policies: [...decision.policies] };
      const deny = async (question: Question, refused: Refused, more: LedgerEvent['detail']): Promise<Opening> => {
        const denial = { ...noted, ...more, reason: refused.reason };
        await ledger.synced(ledger.append([{ kind: 'denial', action, operation: '0', detail: denial }]));
        return { ok: false, question, decision: refused };
      };
      try {
        if (!decision.allow) return await deny(connect, decision, {});
        for (const asked of also) {
          const answer = may(asked.question);
          if (!answer.allow) return await deny(asked.question, answer, asked.detail);
        }
        ledger.append([{ kind: 'session-open', action, operation: '', detail: noted }]);
      } catch (error) {
        return { ok: false, unrecorded: error };
      }
      const stopListening = policy.onChange(() => {
        if (!may(connect).allow) deps.end(NO_LONGER);
      });
      opened = { action, startedMs: clock.monotonicMs(), stopListening };
      return { ok: true };
    },

    pipeline(port) {
      const nextId = () => String(++operations);
      const closed = () => void pipelines.delete(pipeline);
      const pipeline = createPipeline({ clock, log: deps.log, ledger, nextId, closed }, port);
      pipelines.add(pipeline);
      return pipeline;
    },

    close() {
      for (const pipeline of pipelines) pipeline.close();
      if (opened === undefined) return;
      const { action, startedMs, stopListening } = opened;
      opened = undefined;
      stopListening();
      const durationMs = Math.round(clock.monotonicMs() - startedMs);
      const detail = signal.aborted ? { durationMs, ended: endOf(signal).code } : { durationMs };
      try {
        ledger.append([{ kind: 'session-close', action, operation: '', detail }]);
      } catch (error) {
        deps.log.error('gateway.close_lost', { error });
      }
    },
  };
}

const NO_LONGER: SessionRefusal = { code: 'policy', what: 'policy no longer allows this connection' };
