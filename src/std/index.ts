/**
 * Our small standard library: clock, chance, log, errors, secrets, cancellation, services, bytes, limits, members.
 *
 * It promises that time, chance and output are arguments everywhere else, so any behaviour can be replayed in a test. It must
 * not know a single word of the product's domain, and it imports nothing of ours.
 */
export {
  abortError,
  type FollowingAbort,
  followAbort,
  raceAbort,
  type TimeLimit,
  throwIfAborted,
  timeoutSignal,
} from './abort.ts';
export { assert, unreachable } from './assert.ts';
export { type Bag, createBag, type InBag } from './bag.ts';
export { compareBytes, concatBytes, constantTimeEqual, sha256 } from './bytes.ts';
export { type BudgetedCache, type CacheBudget, createCacheBudget } from './cache-budget.ts';
export {
  type Clock,
  createManualClock,
  createSharedTimers,
  createSystemClock,
  holdProcess,
  type ManualClock,
  sleep,
  type Timer,
} from './clock.ts';
export { descriptorsMax } from './descriptors.ts';
export { formatDurationMs, formatTime, parseDurationMs } from './duration.ts';
export {
  CodedError,
  codeOf,
  type ErrorEntry,
  type ErrorExit,
  type ErrorTable,
  messageOf,
  shortened,
} from './errors.ts';
export { createSystemHeap, type Heap, memoryBytes } from './heap.ts';
export { type BoundedQueue, createBoundedQueue, createLimiter, type Limiter } from './limits.ts';
export { createListeners, type Listeners } from './listeners.ts';
export { createLog, createSilentLog, type Log, type LogFields, type LogLevel } from './log.ts';
export { type Member, type MemberKind, memberById } from './member.ts';
export { type ClockOffset, createPeerClock, type PeerClock } from './peer-clock.ts';
export { createSeededRandom, createSystemRandom, type Random } from './random.ts';
export { createSampledLog, type SampledLog } from './sampled-log.ts';
export { Secret } from './secret.ts';
export { type Service, startAll, stopAll } from './service.ts';
