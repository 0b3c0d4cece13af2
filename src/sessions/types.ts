import type {
  LiveSession as LiveSessionMessage,
  SessionFilter as SessionFilterMessage,
} from '@countersign/sdk/contract/gen/countersign/control/v1/sessions_pb.ts';
import type { GatewayAddress, Gathered } from '../questions/index.ts';

/** As it is on the wire: what a gateway says of one of its sessions. Every text in it is one line within its limit. */
export type LiveSession = LiveSessionMessage;
export type SessionFilter = Omit<SessionFilterMessage, '$typeName' | '$unknown'>;

/** One session of one gateway. */
export interface SessionRef extends GatewayAddress {
  readonly id: string;
}

export interface ListedSessions extends Gathered {
  /** Newest first. */
  readonly sessions: readonly LiveSession[];
  /** How many match, those left out included. */
  readonly matching: number;
}

export interface EndedSessions extends Gathered {
  readonly ended: readonly SessionRef[];
}

export interface LiveSessions {
  /**
   * Asks every gateway that is there, or those that the filter names. `limit`: that many of the newest.
   * @throws SessionsError ERR_SESSIONS_GATEWAY, ERR_SESSIONS_REQUEST; QuestionsError ERR_QUESTIONS_LIMIT; StoreError; the abort error
   */
  list(
    filter: SessionFilter,
    options: { readonly limit: number; readonly askedBy: string; readonly signal: AbortSignal },
  ): Promise<ListedSessions>;
  /**
   * Asks once, and resolves to what tells of them, and again each time gateways have been asked, every other second, until the signal aborts, which
   * rejects. What `tell` rejects with ends it too. Whoever does not call it aborts the signal.
   * @throws as `list`; SessionsError ERR_SESSIONS_LIMIT
   */
  follow(
    filter: SessionFilter,
    options: { readonly limit: number; readonly askedBy: string; readonly signal: AbortSignal },
  ): Promise<(tell: (now: ListedSessions) => Promise<void>) => Promise<void>>;
  /**
   * Ends those, and resolves when their gateways have said so. Once it is asked nothing stops it.
   * @throws SessionsError ERR_SESSIONS_REQUEST; QuestionsError ERR_QUESTIONS_LIMIT; StoreError
   */
  end(
    sessions: readonly SessionRef[],
    options: { readonly reason: string; readonly askedBy: string },
  ): Promise<EndedSessions>;
}

export const sessionLimits = {
  /** Of one list, and of those ended at once. */
  sessions: 10_000,
  /** When nothing is said. */
  listed: 1_000,
  /** In a filter. */
  ids: 100,
  reason: 200,
} as const;
