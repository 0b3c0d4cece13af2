import { CodedError, followAbort, messageOf, type Random, type Service } from '../../std/index.ts';
import { isUnreachable, judgeRefusal } from '../attach/refusal.ts';
import { createBackoff, jitter } from '../backoff.ts';
import type { AgentConfig } from '../config.ts';
import type { Counters } from '../counters.ts';
import { AgentError } from '../errors.ts';
import { createAskers, type SyncOutcome } from './askers.ts';
import { createPause } from './pause.ts';
import { type SyncDeps, syncOnce } from './sync-once.ts';
import type { Watch } from './watch.ts';

/** Keeps the cache in step with the server, for as long as the agent runs. */
export interface SyncLoop extends Service {
  /**
   * Has the server asked once, in a sync that begins after this call: `synced` when the cache now holds what the server says,
   * `failed` when it could not be asked (in time). Rejects only when the signal aborts.
   */
  ask(signal: AbortSignal): Promise<SyncOutcome>;
  /** Has the next sync begin at once. */
  poke(): void;
  /** Rests until `resume`: asks the server nothing and writes nothing. Resolves when that is so; a proof of the node under way is waited for. */
  pause(): Promise<void>;
  resume(): void;
  /** What the last sync failed with, and for how long they have; undefined after one that did not. */
  problem(): { readonly error: unknown; readonly forMs: number } | undefined;
}

interface Deps extends SyncDeps {
  readonly random: Random;
  readonly config: Pick<AgentConfig, 'serverAddress'>;
  readonly watch: Watch;
  readonly counters: Counters;
  /** Called at most once, when the server refuses this node for good; the loop has ended then. */
  readonly onFatal: (error: AgentError) => void;
}

/** Creates a {@link SyncLoop}. */
export function createSyncLoop(deps: Deps): SyncLoop {
  const { clock, attachment, watch, counters } = deps;
  const stop = new AbortController();
  const askers = createAskers(clock);
  const pause = createPause({ ...deps, address: deps.config.serverAddress });
  /** Until the next pause. */
  let spell = followAbort(stop.signal);
  const failures = createFailures(deps);
  let running: Promise<void> = Promise.resolve();
  let failedAtMs: number | undefined;
  let problem: { readonly error: unknown; readonly sinceMonoMs: number } | undefined;

  const attempt = async (signal: AbortSignal): Promise<Rest> => {
    const settle = askers.take();
    pause.begin();
    const before = attachment.identity();
    try {
      await syncOnce(deps, { signal, proofSignal: stop.signal }, () => settle('synced'));
      counters.syncs++;
      failedAtMs = undefined;
      problem = undefined;
      failures.reset();
      // The stream shows the identity that it was opened with.
      if (attachment.identity() !== before) watch.restart();
      watch.ensure(signal);
      return { delayMs: nextSyncInMs(deps), spacingMs: SPACING_MS, probe: false };
    } catch (error) {
      if (signal.aborted) return { delayMs: 0, spacingMs: 0, probe: false };
      counters.syncFailures++;
      failedAtMs = clock.monotonicMs();
      problem = { error, sinceMonoMs: problem?.sinceMonoMs ?? failedAtMs };
      return await failures.judge(error);
    } finally {
      settle('failed'); // Counts only when the entries were not reached.
    }
  };

  const run = async (signal: AbortSignal) => {
    while (!signal.aborted) await pause.wait(await attempt(signal), signal);
  };
  const begin = () => {
    running = run(spell.signal).catch((error: unknown) => {
      stop.abort();
      askers.take()('failed');
      deps.onFatal(
        error instanceof AgentError
          ? error
          : new AgentError('ERR_AGENT_STATE', `the agent can not go on: ${messageOf(error)}`, { cause: error }),
      );
    });
  };

  return {
    async start() {
      begin();
    },
    async stop() {
      stop.abort();
      askers.take()('failed');
      await running;
    },
    poke: () => pause.poke(),
    async pause() {
      spell.abort();
      watch.restart();
      await running;
      watch.restart(); // It may have been opened by the last of it.
    },
    resume() {
      if (stop.signal.aborted) return;
      spell = followAbort(stop.signal);
      begin();
    },
    problem: () => problem && { error: problem.error, forMs: clock.monotonicMs() - problem.sinceMonoMs },
    async ask(signal) {
      // Just tried in vain: a crowd of callers learns so at once instead of queueing behind the next attempt.
      const justFailed = failedAtMs !== undefined && clock.monotonicMs() - failedAtMs < AWAY_SPACING_MS;
      if (justFailed || stop.signal.aborted) return 'failed';
      const answer = askers.wait(signal);
      pause.poke();
      return answer;
    },
  };
}

interface Rest {
  readonly delayMs: number;
  readonly spacingMs: number;
  readonly probe: boolean;
}

/** What to do after a failed sync: how long to rest, or to throw because there is nothing left to try. */
function createFailures({ clock, random, log, attachment }: Deps) {
  const backoff = createBackoff(random, { firstMs: FAIL_FIRST_MS, maxMs: FAIL_MAX_MS, leastMs: AWAY_SPACING_MS });
  let expelled = 0;
  let told: { problem: string; atMs: number } | undefined;
  /** Waits for a person who puts another proof in place: who has waited for that long is not to wait for a long pause to end, too. */
  const awaitProof = (error: CodedError<string>): Rest => {
    const delayMs = Math.min(backoff.nextMs(), jitter(random, PROOF_RETRY_MS));
    const nowMs = clock.monotonicMs();
    if (told?.problem !== error.message || nowMs - told.atMs >= PROOF_TELL_AGAIN_MS) {
      told = { problem: error.message, atMs: nowMs };
      log.warn('agent.node.proof_not_taken', { problem: error.message, remedy: error.entry.remedy });
    }
    return { delayMs, spacingMs: AWAY_SPACING_MS, probe: false };
  };
  return {
    reset() {
      backoff.reset();
      expelled = 0;
      told = undefined;
    },
    /** @throws AgentError ERR_AGENT_BANNED, ERR_AGENT_DENIED */
    async judge(error: unknown): Promise<Rest> {
      const refusal = judgeRefusal(error);
      if (refusal === 'banned') {
        const message = 'this node was banned: its identity and its cache are removed';
        throw new AgentError('ERR_AGENT_BANNED', message, { cause: error });
      }
      if (error instanceof AgentError && error.code === 'ERR_AGENT_DENIED') throw error;
      if (error instanceof CodedError && PROOF_CODES.has(error.code)) return awaitProof(error);
      if (refusal === 'expired' && attachment.identity()?.reattestable === false) {
        // One of two clocks is wrong. If it is the server's, what would be thrown away here can't be had again.
        const delayMs = Math.min(backoff.nextMs(), jitter(random, PROOF_RETRY_MS));
        log.warn('agent.node.expired_at_server', { problem: messageOf(error), next: 'compare the clocks' });
        return { delayMs, spacingMs: AWAY_SPACING_MS, probe: false };
      }
      if (refusal === 'reattest' || refusal === 'expired') {
        await attachment.expel();
        log.warn('agent.node.expelled', { next: 'attesting anew', attempt: ++expelled });
        if (expelled === 1) return { delayMs: 0, spacingMs: 0, probe: false };
      }
      const delayMs = backoff.nextMs();
      log.warn('agent.sync.failed', { problem: messageOf(error), nextAttemptInMs: Math.round(delayMs) });
      return { delayMs, spacingMs: AWAY_SPACING_MS, probe: isUnreachable(error) };
    },
  };
}

function nextSyncInMs({ clock, random, watch, cache, attachment }: Deps): number {
  const pollMs = jitter(random, watch.live() ? SAFETY_POLL_MS : POLL_MS);
  const dueInMs = Math.min(cache.nextTimes().renewAtMs, attachment.renewAtMs()) - clock.now();
  // Renewals of many SVIDs are gathered: being five seconds late at half a life harms nobody.
  return Math.min(pollMs, Math.max(dueInMs, POLL_MS));
}

/** Without push: what SPIRE's own agent does. */
const POLL_MS = 5_000;
/** With push: only against an update that was lost without the stream noticing. */
const SAFETY_POLL_MS = 60_000;
/** However much is pushed and asked, the server is not asked more often than this: what comes within it shares one sync. */
const SPACING_MS = 20;
const AWAY_SPACING_MS = 1_000;
const FAIL_FIRST_MS = 5_000;
/** Ten thousand agents that all fail ask 650 times a second, over connections that they have: a fifth of a core. New identities wait for no longer. */
const FAIL_MAX_MS = 30_000;
/** A proof that the server does not take, and one that is not there or can't be read. */
const PROOF_CODES: ReadonlySet<string> = new Set(['ERR_AGENT_PROOF', 'ERR_ATTEST_CONFIG']);
const PROOF_RETRY_MS = 27_000;
/** Often enough to stand in what somebody reads who looks for it, seldom enough not to fill the log. */
const PROOF_TELL_AGAIN_MS = 600_000;
