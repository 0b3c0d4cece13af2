import { type Framer, Frontend, PostgresWireError } from '../../../../wire/postgres/index.ts';
import type { Conversation } from './conversation.ts';
import type { Forwarding } from './forwarding.ts';

/** What the client sends while the target reads COPY data. The message at hand is always the framer's. */
export class CopyIn {
  readonly #session: Conversation;
  readonly #framer: Framer;
  readonly #forwarding: Forwarding;
  /** The message at hand goes to the target as it is. */
  #passes = false;
  /** The COPY that runs is to end as soon as the message at hand is whole. */
  #isToStop = false;

  constructor(session: Conversation, deps: { readonly framer: Framer; readonly forwarding: Forwarding }) {
    this.#session = session;
    this.#framer = deps.framer;
    this.#forwarding = deps.forwarding;
  }

  /** A further piece of the message at hand. */
  piece(): void {
    if (this.#passes) this.#forwarding.passData();
  }

  /** A message begins; false when it is none of a COPY. */
  begin(): boolean {
    this.#passes = false;
    if (this.#session.copyIn && this.#isToStop) this.#forwarding.failCopy();
    this.#isToStop = false;
    return this.#session.copyIn;
  }

  /** Deals with it. */
  take(type: number): 'goodbye' | undefined {
    switch (type) {
      case Frontend.copyData:
        this.#passes = this.#forwarding.passData();
        return undefined;
      case Frontend.copyDone:
      case Frontend.copyFail:
        this.#session.copyIn = false;
        this.#forwarding.pass();
        // Else the end of the COPY would stay in the target's buffer until a Sync that waits here for that very end.
        this.#forwarding.hurry();
        return undefined;
      case Frontend.flush:
      case Frontend.sync:
        return undefined; // PostgreSQL ignores these while it reads COPY data.
      case Frontend.terminate:
        return 'goodbye';
      default:
        throw new PostgresWireError('ERR_PG_MALFORMED', `message of type ${type} in the middle of COPY data`);
    }
  }

  /** Ends the COPY that runs, now or once the message at hand is whole. */
  stop(): void {
    if (this.#passes && !this.#framer.isLast) this.#isToStop = true;
    else this.#forwarding.failCopy();
  }
}
