import type { Server } from 'node:net';
import { parseSpiffeId } from '@countersign/sdk/identity';
import type { LedgerWriter } from '../ledger/index.ts';
import type { ResolvedTarget } from '../model/index.ts';
import { type CompiledPolicies, composeSchema } from '../policy/index.ts';
import { createTurns } from '../rpc/index.ts';
import {
  type Clock,
  createCacheBudget,
  createSampledLog,
  type Heap,
  type Log,
  type LogFields,
  type Random,
  raceAbort,
  type Secret,
  type Service,
  timeoutSignal,
} from '../std/index.ts';
import { createSealer } from '../wire/seal/index.ts';
import type { Approvals } from './approvals/approvals.ts';
import { fitRoom } from './capacity/descriptors.ts';
import { createMemoryBudget } from './capacity/memory-budget.ts';
import { createMemoryGuard, type MemoryGuard } from './capacity/memory-guard.ts';
import type { Companions, PassedWord } from './companions.ts';
import type { GatewayIdentity } from './identity.ts';
import { createAdmission } from './listeners/admission.ts';
import { LAST_WORDS_MS } from './listeners/close-in-time.ts';
import { openSharedDoor } from './listeners/shared-door.ts';
import { createSocketListeners, portOf } from './listeners/socket-listeners.ts';
import type { LoadedProtocol, SecretResolver, SessionRefusal } from './protocol.ts';
import { createContentDigester } from './recording/content-digest.ts';
import { createLedgerBatch } from './recording/ledger-batch.ts';
import { createRecorder } from './recording/recorder.ts';
import type { Durability } from './recording/session-ledger.ts';
import { createCurrentPolicies, createTargetPolicies } from './sessions/current-policies.ts';
import type { PrincipalsUpdate } from './sessions/known-identities.ts';
import { type LiveSession, liveSessions } from './sessions/live-sessions.ts';
import { createQuotas } from './sessions/quotas.ts';
import { serveSession } from './sessions/serve-session.ts';
import { createSessions, type SessionLimits } from './sessions/sessions.ts';
import { createStandings, factsOf, type RevocationRules } from './sessions/standing.ts';
import { createOpenTargets } from './targets/open-targets.ts';
import { createTargetHealth } from './targets/target-health.ts';
import type { TargetProblem } from './targets/target-problem.ts';

/** What a gateway is made of. */
export interface GatewayDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly identity: GatewayIdentity;
  readonly ledger: LedgerWriter;
  readonly protocols: readonly LoadedProtocol[];
  readonly secrets: SecretResolver;
  /** 32 bytes: key of `hash` masks. */
  readonly maskKey: Secret;
  /** 32 bytes: opens what clients were not shown of the target's answers, which stands sealed in the ledger. */
  readonly withheldKey: Secret;
  /** 32 bytes: key of the digests of what clients say. Without it nobody can try out what that was. */
  readonly digestKey: Secret;
  /** Where agents connect. Port 0: the system chooses. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly limits: SessionLimits;
  readonly durability: { readonly reads: Durability; readonly changes: Durability };
  /** How long `stop` lets busy sessions finish, in milliseconds. */
  readonly drainMs: number;
  /** Bytes that all sessions together may hold in memory for others; beyond it the session that holds most is ended. */
  readonly heldBytesMax: number;
  /** Bytes of what is kept so that it need not be worked out again: verdicts, masks. */
  readonly cacheBytesMax: number;
  /** What is known of revocations; without it nobody is revoked. */
  readonly revocations?: RevocationRules;
  /** Asks people about operations; without it what needs an approval is refused. */
  readonly approvals?: Approvals;
  /** Watched, so that sessions end before the process does; nobody watches it when absent. */
  readonly heap?: Heap;
  /** Others behind the same doors, which are opened to be shared with them; limits are then those of all together. */
  readonly companions?: Companions;
  /** Files and sockets this process may have open; the system is asked when absent. */
  readonly descriptorsMax?: number;
}

/** The access gateway: see the folder's door. */
export interface Gateway {
  /**
   * The targets from now on. Those that stay as they are keep their sessions; sessions of a target that went or changed end at their
   * next idle moment. A target with a faulty config is left out and logged; it does not hold up the others. A door that can't be opened
   * is tried again until it opens, its target being served to agents' clients meanwhile. Resolves when each door is open or has failed.
   */
  applyTargets(targets: readonly ResolvedTarget[]): Promise<void>;
  /**
   * What is wrong with single targets now, none of which keeps the others from being served: faulty definitions, doors that can't be
   * opened, secrets that could not be read when they were last needed, targets that did not let the gateway in at the last login; and, as warnings, what policies name there in vain.
   */
  problems(): readonly TargetProblem[];
  /**
   * Resolves when each target has been logged in to and what policies name there was read, as far as either changed since the last look: then
   * `problems` tells of it. At an abort it is left as far as it is.
   */
  look(signal: AbortSignal): Promise<void>;
  /** The policies from now on, of that revision of the server's declarations: also for sessions that run, from their next operation. */
  applyPolicies(policies: CompiledPolicies, revision?: number): void;
  /** What identities are to policies, from now on: also for sessions that run, those that are no longer allowed end. */
  applyPrincipals(update: PrincipalsUpdate): void;
  /**
   * Takes no new session any more: links are told so, that agents may go elsewhere, and the doors of direct clients close. Sessions that
   * there are go on as before. Resolves when none is left, or at the abort; `stop` is then still to be called.
   */
  leave(signal: AbortSignal): Promise<void>;
  /** Running sessions, for operators. */
  sessions(): readonly SessionInfo[];
  /** Takes a word that a companion has passed on. */
  hear(word: PassedWord): void;
  /** What they are at, and have done. */
  liveSessions(): readonly LiveSession[];
  /**
   * Ends sessions at once, by an operator's word, which the ledger names with what it is for. Resolves to the ids of those that there were once
   * they are over, or that has taken some seconds.
   */
  endSessions(ids: ReadonlySet<string>, act: { readonly by: string; readonly why: string }): Promise<readonly string[]>;
  /**
   * Resolves once no session runs any more that ends, be it for a revocation or something else: what is revoked at the time of the call is in effect
   * then. At an abort it rejects.
   */
  ended(signal: AbortSignal): Promise<void>;
  /** Logs in to a target once: undefined = fine, else what is wrong. */
  checkTarget(name: string, signal: AbortSignal): Promise<string | undefined>;
  /** Where the doors are, once started. */
  address(): { readonly link: number; readonly targets: ReadonlyMap<string, number> };
  /** For metrics. */
  counts(): GatewayCounts;
}

/** What a gateway counts; of what was done, since the start. */
export interface GatewayCounts {
  /** Connections refused or cut before they were a session's. */
  readonly refused: number;
  /** Bytes held for sessions now, and the most that may be. */
  readonly heldBytes: number;
  readonly heldBytesMax: number;
  /** Bytes that each kind of cache has now, and what they may have together. */
  readonly cacheBytes: ReadonlyMap<string, number>;
  readonly cacheBytesMax: number;
  /** What the catalogs of all databases take, about. */
  readonly catalogBytes: number;
  /** Sessions ended since the process was short of memory. */
  readonly endedForMemory: number;
}

export interface SessionInfo {
  readonly id: string;
  readonly identity: string;
  readonly target: string;
  readonly door: 'agent' | 'direct';
  /** Epoch milliseconds. */
  readonly startedMs: number;
}

/** Creates a gateway. It listens once it has an identity. @throws GatewayError ERR_GATEWAY_LISTEN (from `start`) */
export function createGateway(deps: GatewayDeps): Gateway & Service {
  const core = new Core(deps);
  return {
    start: (signal) => core.start(signal),
    stop: () => core.stop(),
    applyTargets: (targets) => core.applyTargets(targets),
    leave: (signal) => core.leave(signal),
    look: (signal) => core.targets.look(signal),
    problems: () => core.targets.problems(),
    applyPolicies: (policies, revision) => core.currentPolicies.replace(policies, revision),
    applyPrincipals: (update) => core.currentPolicies.applyPrincipals(update),
    sessions: () =>
      core.sessions
        .list()
        .map(({ id, identity, target, door, startedMs }) => ({ id, identity: identity.uri, target, door, startedMs })),
    liveSessions: () => core.liveSessions(),
    endSessions: (ids, act) => core.endSessions(ids, act),
    hear: (word) => core.hear(word),
    ended: (signal) => core.ended(signal),
    async checkTarget(name, signal) {
      const open = core.targets.find(name);
      return open === undefined ? `there is no target ${name}` : await open.target.check(signal);
    },
    address: () => core.address(),
    counts: () => core.counts(),
  };
}

/** Puts the parts together, starts and stops them. */
class Core {
  readonly currentPolicies;
  readonly standings;
  readonly sessions;
  readonly targets;
  readonly #deps: GatewayDeps;
  readonly #listeners;
  readonly #admission;
  readonly #budget;
  readonly #caches;
  readonly #refusals;
  readonly #stopping = new AbortController();
  #refused = 0;
  #isLeaving = false;
  /** Why links are not taken. */
  #closedFor: string | undefined = 'the gateway is starting; try another one, or again in a moment';
  #server: Server | undefined;
  #stopListening = () => {};
  #guard: MemoryGuard | undefined;

  constructor(deps: GatewayDeps) {
    this.#deps = deps;
    const { clock, random, log, identity, ledger, limits, durability, companions } = deps;
    this.currentPolicies = createCurrentPolicies(clock, { canHold: deps.approvals !== undefined });
    this.standings = createStandings({ clock, log }, deps.revocations);
    const room = fitRoom({ log, descriptors: deps.descriptorsMax, sessionsMax: limits.sessionsMax });
    const refused = (why: string, detail: LogFields) => this.#noteRefused(why, detail);
    this.#refusals = createSampledLog({ clock, log });
    this.#budget = createMemoryBudget(deps.heldBytesMax);
    this.#caches = createCacheBudget(deps.cacheBytesMax);
    const turns = createTurns();
    this.#listeners = createSocketListeners({ ...room, clock, turns, refused, isShared: companions !== undefined });
    this.sessions = createSessions({
      clock,
      log,
      limits: { ...limits, sessionsMax: room.sessionsMax },
      companions,
      bundle: (trustDomain) => identity.current()?.bundles.get(trustDomain),
    });
    const { currentPolicies, sessions, standings } = this;
    const batch = createLedgerBatch({ ledger });
    const sealer = createSealer(deps.withheldKey, random);
    const recorder = createRecorder(composeSchema(deps.protocols.map(({ policySchema }) => policySchema)));
    const parts = {
      clock,
      log,
      ledger,
      batch,
      durability,
      sealer,
      digester: createContentDigester(deps.digestKey),
      ...{ currentPolicies, standings, random, approvals: deps.approvals, own: () => identity.current()?.id },
      budget: this.#budget,
      sessions,
      recorder,
      quotas: companions?.quotas ?? createQuotas(clock),
    };
    this.#admission = createAdmission({
      ...{ clock, random, identity, sessions, turns, refused },
      stopping: this.#stopping.signal,
      findTarget: (name) => this.targets.find(name),
      closedFor: () => this.#closedFor,
      serve: (open, handle, client, proofs) => serveSession(parts, open, { handle, client, proofs }),
    });
    this.targets = createOpenTargets({
      ...deps,
      sessions,
      caches: this.#caches,
      policies: createTargetPolicies(currentPolicies),
      createTargetHealth,
      openDoor: ({ host, port }, owner, doorway) =>
        openSharedDoor(companions, { target: owner, host, port }, (at) =>
          this.#listeners.open(at, this.#admission.direct(doorway)),
        ),
    });
  }

  async start(signal: AbortSignal): Promise<void> {
    const { identity, listen, heap, log } = this.#deps;
    this.#guard = heap && createMemoryGuard({ heap, log, budget: this.#budget, caches: this.#caches });
    await identity.ready(signal);
    this.#present();
    this.#stopListening = identity.onChange(() => {
      this.#present();
      this.sessions.reverify();
    });
    this.#server = await this.#listeners.open(listen, this.#admission.link);
  }

  /** Links are taken from the first time on: one that comes before is not told that its target is not there. */
  async applyTargets(targets: readonly ResolvedTarget[]): Promise<void> {
    await this.targets.apply(targets);
    if (!this.#isLeaving) this.#closedFor = undefined;
  }

  async leave(signal: AbortSignal): Promise<void> {
    this.#isLeaving = true;
    this.#closedFor = LEAVING;
    this.targets.closeDoors();
    await raceAbort(this.sessions.empty(), signal).catch(() => {}); // The abort is the other thing it waits for.
  }

  async stop(): Promise<void> {
    this.#stopListening();
    const refusal: SessionRefusal = { code: 'shutdown', what: 'the gateway is shutting down; connect again' };
    this.#stopping.abort();
    this.#server?.close();
    this.targets.end();
    this.sessions.drain(refusal);
    const grace = timeoutSignal(this.#deps.clock, this.#deps.drainMs);
    try {
      await raceAbort(this.sessions.empty(), grace.signal);
    } catch {
      // The grace is over: what still runs is told so and cut; a session that does not end by itself then ends with its connection.
      this.sessions.end(refusal);
      const last = timeoutSignal(this.#deps.clock, LAST_WORDS_MS);
      await raceAbort(this.sessions.empty(), last.signal).catch(() => {});
      last.cancel();
    } finally {
      grace.cancel();
    }
    this.currentPolicies.stop();
    this.standings.stop();
    this.#guard?.stop();
    this.#listeners.end();
    this.sessions.stop();
    this.#refusals.stop();
    await this.targets.close();
  }

  address() {
    return { link: this.#server === undefined ? 0 : portOf(this.#server), targets: this.targets.ports() };
  }

  liveSessions(): readonly LiveSession[] {
    const { clock } = this.#deps;
    const { currentPolicies, sessions } = this;
    return liveSessions(sessions.list(), {
      ...{ currentPolicies, nowMs: clock.now(), monotonicMs: clock.monotonicMs() },
    });
  }

  async endSessions(ids: ReadonlySet<string>, { by, why }: { readonly by: string; readonly why: string }) {
    // One that ends already is none that this ends: another one did, as its entry says.
    const ending = this.sessions.list().filter(({ id, end }) => ids.has(id) && !end.signal.aborted);
    const over = Promise.all(ending.map((session) => this.sessions.over(session)));
    const refusal: SessionRefusal = { code: 'operator', what: ENDED_BY_OPERATOR, by, ...(why === '' ? {} : { why }) };
    this.sessions.end(refusal, ({ id }) => ids.has(id));
    const time = timeoutSignal(this.#deps.clock, ENDING_MS_MAX);
    await raceAbort(over, time.signal).catch(() => {}); // They were told; one that hangs ends with its connection.
    time.cancel();
    return ending.map(({ id }) => id);
  }

  async ended(signal: AbortSignal): Promise<void> {
    const ending = this.sessions.list().filter(({ end }) => end.signal.aborted);
    await raceAbort(Promise.all(ending.map((session) => this.sessions.over(session))), signal);
  }

  /** Whoever is revoked cancels nothing either. */
  hear({ target, identity, bytes }: PassedWord): void {
    const who = parseSpiffeId(identity);
    const labels = [this.currentPolicies.attributesOf(identity).labels];
    const standing = this.standings.of({
      ...factsOf({ identity: who, thumbprint: undefined, caller: undefined }),
      labels,
    });
    if (standing?.reason !== 'revoked') this.targets.find(target)?.target.hear?.(who, bytes);
  }

  counts(): GatewayCounts {
    return {
      refused: this.#refused,
      heldBytes: this.#budget.bytes,
      heldBytesMax: this.#budget.bytesMax,
      cacheBytes: this.#caches.usage(),
      cacheBytesMax: this.#caches.bytesMax,
      catalogBytes: this.targets.catalogBytes(),
      endedForMemory: this.#guard?.ended ?? 0,
    };
  }

  #noteRefused(why: string, detail: LogFields): void {
    this.#refused++;
    this.#refusals.info(`gateway.client.${why}`, detail);
  }

  #present(): void {
    const current = this.#deps.identity.current();
    if (current === undefined) return;
    this.#admission.present(current);
    this.targets.present(current);
  }
}

/** Members end a session in the same turn, or close by. */
const ENDING_MS_MAX = 2_000;
const ENDED_BY_OPERATOR = 'an operator ended this session';
const LEAVING = 'the gateway is about to stop; connect by another one, or again in a moment';
