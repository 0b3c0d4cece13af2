import type { Pipeline } from '../../../sessions/pipeline.ts';
import type { GatewaySession } from '../../../sessions/session.ts';
import type { OpenTarget } from '../target.ts';
import type { Credential } from '../upstream/credential.ts';
import type { Exchange } from './exchange.ts';
import type { OwnAnswer } from './refusals/own-answers.ts';
import type { UpstreamLink } from './upstream-link.ts';

/** What both directions of a session share. */
export interface Conversation {
  readonly target: OpenTarget;
  readonly session: GatewaySession;
  readonly pipeline: Pipeline;
  /** The request that is being read, run or answered; the next one waits for its end. */
  exchange: Exchange | undefined;
  /** The session's connection upstream, while there is one. */
  readonly link: UpstreamLink | undefined;
  /** Of the newest connection, or newer. */
  readonly credential: Credential;
  readonly isOver: boolean;
  /** A connection to send on, with its credential; undefined: `ready` or `failed` is called when there is one, or none to be had. */
  openLink(then: { ready(): void; failed(error: unknown): void }): UpstreamLink | undefined;
  /** The connection upstream can't be used any more. */
  dropLink(): void;
  /** Answers in the upstream's place, not before that entry is on disk. */
  respond(exchange: Exchange, answer: OwnAnswer, after: number): void;
  /** All of its answer was handed on. */
  answered(exchange: Exchange): void;
  /** What was shown of an answer can't be completed: the client is told so where it can be by now, and else sees its connection break. */
  cut(exchange: Exchange, answer: OwnAnswer): void;
  /** Ends the session once all that was answered is on its way. */
  endBehind(): void;
  /** The next request is not this session's: it goes back to the door with all behind it, once what came before was answered. */
  giveBack(unread: Buffer): void;
  /** Does something later on behalf of the session. */
  later(act: () => void): void;
}
