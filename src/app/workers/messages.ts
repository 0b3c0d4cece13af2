import type { GatewayConfig } from '../../config/index.ts';
import type { QuotaHolder, ReachedQuota, SessionRefusal, SharedDoor, TakenQuota } from '../../gateway/index.ts';
import type { Quota } from '../../model/index.ts';
import type { LogLevel } from '../../std/index.ts';
import type { Finding } from '../health/conditions.ts';
import type { MetricsOf } from '../health/metrics.ts';

/** What a worker is, told as it begins. */
export interface WorkerPart {
  /** From 1 on. */
  readonly number: number;
  /** How many there are. */
  readonly of: number;
  /** Of the parent. Another one may lie on the disk by now, and nobody promises that they count alike. */
  readonly release: string;
  /** The process that ends it by its own end. */
  readonly parent: number;
  readonly trustDomain: string;
  readonly config: GatewayConfig;
  readonly logLevel: LogLevel;
  /** The key of content digests was made at this start. */
  readonly digestKeyIsNew: boolean;
}

/** What a worker asks, to be answered: see `Companions`. */
export type Ask =
  | { readonly what: 'take'; readonly who: QuotaHolder; readonly taken: readonly TakenQuota[] }
  | { readonly what: 'enter'; readonly who: QuotaHolder; readonly quotas: readonly Quota[] }
  | { readonly what: 'session'; readonly identity: string }
  | { readonly what: 'door'; readonly door: SharedDoor };

/** `entered`: a place by the number of the question, to be given back by it. */
export type Reply =
  | { readonly taken: true }
  | { readonly entered: true }
  | { readonly reached: ReachedQuota }
  | { readonly refused: SessionRefusal }
  /** Why that door can't be theirs. */
  | { readonly shut: string };

/** From the parent to a worker. */
export type ToWorker =
  | { readonly kind: 'begin'; readonly part: WorkerPart }
  | { readonly kind: 'reply'; readonly id: number; readonly reply: Reply }
  | { readonly kind: 'word'; readonly word: SentWord }
  | { readonly kind: 'metrics'; readonly id: number }
  /** How many other gateways serve, as the last of all workers has heard; null: nobody knows. */
  | { readonly kind: 'others'; readonly others: number | null }
  | { readonly kind: 'stop' }
  | { readonly kind: 'hurry' };

/** From a worker to the parent. */
export type ToParent =
  | { readonly kind: 'ask'; readonly id: number; readonly ask: Ask }
  /** Gives the place of that question back. */
  | { readonly kind: 'leave'; readonly id: number }
  | { readonly kind: 'word'; readonly word: SentWord }
  | { readonly kind: 'metrics'; readonly id: number; readonly metrics: MetricsOf }
  /** It runs: said once. */
  | { readonly kind: 'running' }
  | { readonly kind: 'health'; readonly findings: readonly Finding[] }
  /** The server was told that it leaves, and has told how many others serve. */
  | { readonly kind: 'left'; readonly others: number | null };

/** What of it is for the other workers, or about what all have together; the rest is about the worker itself. */
export type ForOthers = Exclude<ToParent, { readonly kind: 'running' | 'health' | 'metrics' }>;

/** A `PassedWord`, in a form that passes between processes. */
export interface SentWord {
  readonly target: string;
  readonly identity: string;
  /** In Base64. */
  readonly bytes: string;
}

/** One end of the channel between a worker and its parent, which nobody else has; it ends with either process. */
export interface Channel<Sent, Heard> {
  /** Does nothing once the other side is gone. */
  send(message: Sent): void;
  hear(listener: (message: Heard) => void): void;
}
