import { messageOf } from '../../../../std/index.ts';
import type { Conversation } from './conversation.ts';
import type { Exchange, RequestMaker } from './exchange.ts';
import { lostAnswer, type OwnAnswer, unsentAnswer } from './refusals/own-answers.ts';
import { write } from './write.ts';

/** What becomes of a request that can not be sent. */
export interface GivenUp {
  readonly status: 'skipped' | 'unknown';
  readonly answer: OwnAnswer;
}

/** Puts requests on the connection upstream: each once, or twice where the upstream had closed the connection and nothing can be done twice. */
export class Sending {
  readonly #conversation: Conversation;
  readonly #giveUp: (exchange: Exchange, why: GivenUp) => void;

  constructor(conversation: Conversation, giveUp: (exchange: Exchange, why: GivenUp) => void) {
    this.#conversation = conversation;
    this.#giveUp = giveUp;
  }

  /** The ledger has it: it goes out. */
  forward(pieces: readonly Buffer[]): void {
    const { link, exchange } = this.#conversation;
    const make = exchange?.unsent;
    if (exchange === undefined || make === undefined) {
      // What it was meant for has gone: that is told by its end.
      if (link?.isOpen === true) write(link.socket, pieces);
      return;
    }
    if (link?.isOpen === true) {
      exchange.unsent = undefined;
      // Not before: what the upstream has said until now answers nothing.
      link.expect(exchange.head.method, exchange.head.upgrade);
      write(link.socket, pieces);
      return;
    }
    const unsent = { status: 'skipped', answer: unsentAnswer } as const;
    // The rest of a body that is still coming can't wait for a connection.
    if (exchange.isRead) this.#overAnother(exchange, make, unsent);
    else this.#giveUp(exchange, unsent);
  }

  /** It went over a connection that the upstream had closed, and changes nothing: as the client itself would, it is sent anew. */
  again(exchange: Exchange, make: RequestMaker): void {
    exchange.again = undefined;
    exchange.unsent = make;
    this.#overAnother(exchange, make, { status: 'unknown', answer: lostAnswer });
  }

  #overAnother(exchange: Exchange, make: RequestMaker, otherwise: GivenUp) {
    const conversation = this.#conversation;
    const isOver = () => conversation.exchange !== exchange || exchange.running?.isOver !== false;
    const giveUp = () => {
      exchange.unsent = undefined;
      this.#giveUp(exchange, otherwise);
    };
    const ready = () => {
      if (isOver()) return;
      if (conversation.link?.isOpen === true && this.#isStillAllowed(exchange))
        conversation.pipeline.flush({ pieces: make() });
      else giveUp();
    };
    const failed = (error: unknown) => {
      if (isOver()) return;
      conversation.target.failures.warn('gateway.http.target_lost', { error: messageOf(error) });
      giveUp();
    };
    if (conversation.openLink({ ready, failed }) !== undefined) ready();
  }

  /** Time has passed since policy was asked: it must say just the same. */
  #isStillAllowed({ judged, meaning }: Exchange): boolean {
    if (meaning === undefined) return false;
    const { policy } = this.#conversation.session;
    const now = policy.decide(meaning.action, meaning.resource, meaning.context);
    return judged.asked.every(
      ({ decision }) =>
        decision.allow && now.allow && JSON.stringify(decision.obligations) === JSON.stringify(now.obligations),
    );
  }
}
