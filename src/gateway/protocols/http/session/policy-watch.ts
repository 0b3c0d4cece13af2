import { type Decision, isBarred } from '../../../../model/index.ts';
import type { Timer } from '../../../../std/index.ts';
import type { Conversation } from './conversation.ts';
import type { Exchange } from './exchange.ts';
import { deniedAnswer, type OwnAnswer } from './refusals/own-answers.ts';

/**
 * Holds what runs to the policies of now: event streams, WebSockets and calls of gRPC may run for days. At each change of policies it is asked again
 * whether the request might begin, and `revoke` is called when it might not, or when less would be shown of its answer.
 */
export class PolicyWatch {
  readonly #conversation: Conversation;
  readonly #revoke: (exchange: Exchange, answer: OwnAnswer) => void;
  readonly #stopListening: () => void;
  #again: Timer | undefined;

  constructor(conversation: Conversation, revoke: (exchange: Exchange, answer: OwnAnswer) => void) {
    this.#conversation = conversation;
    this.#revoke = revoke;
    this.#stopListening = conversation.session.policy.onChange(this.#changed);
  }

  stop(): void {
    this.#stopListening();
    this.#again?.cancel();
  }

  readonly #changed = () => this.#conversation.later(() => this.#look());

  #look() {
    const { exchange, target, session } = this.#conversation;
    const { running, meaning } = exchange ?? {};
    // One that is still to be decided is so by the policies of then.
    if (exchange === undefined || running === undefined || meaning === undefined || exchange.isAnswered) return;
    if (!running.isForwarded || exchange.unsent !== undefined) return this.#lookAgain();
    const { policy } = session;
    let { decision } = target.verdicts.judge(policy, meaning);
    // A quarantine that keeps the session lets what runs in it go on, for as long as policies do; one that does not has ended it.
    if (isBarred(decision) && policy.standing?.isStale === false) {
      if (policy.alone === undefined) return;
      ({ decision } = target.verdicts.judge(policy.alone, meaning));
    }
    if (!decision.allow) {
      const what = { action: meaning.action, what: `go on with ${meaning.shape}` };
      this.#revoke(exchange, deniedAnswer(session.identity.uri, what, decision));
    } else if (showsLess(decision, exchange)) this.#revoke(exchange, MASKED_SINCE);
  }

  /** On its way: what was sent for it can't be called back before it is there. */
  #lookAgain() {
    this.#again?.cancel();
    this.#again = this.#conversation.target.deps.clock.after(AGAIN_MS, this.#changed);
  }
}

/** Something is masked that was not when its answer began. */
function showsLess({ obligations }: Extract<Decision, { allow: true }>, { judged }: Exchange): boolean {
  const before = judged.asked.flatMap(({ decision }) => (decision.allow ? decision.obligations.masks : []));
  const known = new Set(before.map((mask) => JSON.stringify(mask)));
  return obligations.masks.some((mask) => !known.has(JSON.stringify(mask)));
}

const MASKED_SINCE: OwnAnswer = {
  ...{ status: 403, reason: 'masked', message: 'policy masks fields of this answer since it began' },
  hint: 'Ask again: the new answer is masked.',
};
/** An entry is written in a few milliseconds. */
const AGAIN_MS = 50;
