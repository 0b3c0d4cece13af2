/** What names a gateway to people. Several processes may be one. */
export interface GatewayAddress {
  readonly spiffeId: string;
  /** host:port */
  readonly address: string;
}

/** One process of a gateway. `instance` is nobody's to know but its own and the servers'. */
export interface AnsweringGateway extends GatewayAddress {
  readonly instance: string;
}

/** What is asked, and of whom. */
export interface Question {
  /** As in `sessions.list`: who answers goes by it. */
  readonly kind: string;
  /** For ledgers: one line. */
  readonly askedBy: string;
  /** Of all gateways, or of each its own: then others are not asked. */
  readonly body: Uint8Array | readonly (GatewayAddress & { readonly body: Uint8Array })[];
}

/** A question as one gateway gets it. */
export interface OpenQuestion extends Omit<Question, 'body'> {
  readonly id: string;
  readonly body: Uint8Array;
}

/** A gateway that did not answer, and why as far as that is known: one sentence of ours. */
export interface UnansweredGateway extends GatewayAddress {
  readonly why: string;
}

/** What came of a question. */
export interface Gathered {
  /** Each once, ordered by SPIFFE ID and address. */
  readonly answered: readonly GatewayAddress[];
  readonly unanswered: readonly UnansweredGateway[];
}

/** One page, as a gateway sent it. */
export interface AnsweredPage {
  readonly questionId: string;
  readonly attempt: string;
  /** From 0 on. */
  readonly page: number;
  readonly last: boolean;
  readonly body: Uint8Array;
  /** Why there is no answer; empty: there is. */
  readonly problem: string;
}

/** The questions that one gateway's stream is still to be told. */
export interface QuestionWatch {
  /** Each is given once, oldest first. */
  take(): readonly OpenQuestion[];
  stop(): void;
}

export interface Questions {
  /**
   * Asks, and resolves once every gateway that is present has answered, or `waitMs` are over. Each whole answer is handed to `take`, page by page;
   * what that throws makes it an answer that can't be used. At an abort, which rejects, gateways may have been asked already.
   * @throws QuestionsError ERR_QUESTIONS_LIMIT; StoreError
   */
  ask(
    question: Question,
    options: {
      readonly waitMs: number;
      take(gateway: GatewayAddress, page: Uint8Array): void;
      readonly signal: AbortSignal;
    },
  ): Promise<Gathered>;
  /** Follows the questions for a gateway that watches this server; `changed` is called when there may be one. One that `answers` none is not told any. */
  watch(gateway: AnsweringGateway, options: { readonly answers: boolean; changed(): void }): QuestionWatch;
  /**
   * Keeps a page of an answer. True: nobody waits for more of it. A page that was kept before is none.
   * @throws QuestionsError ERR_QUESTIONS_GATEWAY, ERR_QUESTIONS_NOT_ASKED, ERR_QUESTIONS_ANSWER; StoreError
   */
  answer(gateway: AnsweringGateway, page: AnsweredPage): Promise<boolean>;
}

/** What one gateway may answer to one question. */
export const answerLimits = {
  pages: 32,
  pageBytes: 256 * 1024,
  problem: 200,
} as const;
