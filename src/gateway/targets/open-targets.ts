import type { ResolvedTarget } from '../../model/index.ts';
import {
  type CacheBudget,
  type Clock,
  type Log,
  type Random,
  raceAbort,
  type Secret,
  type Timer,
} from '../../std/index.ts';
import type { Companions } from '../companions.ts';
import { errorTable, GatewayError } from '../errors.ts';
import type { CurrentIdentity, GatewayIdentity } from '../identity.ts';
import type { OpenDoor } from '../listeners/shared-door.ts';
import { portOf } from '../listeners/socket-listeners.ts';
import { createTlsAcceptor, type TlsAcceptor } from '../listeners/tls.ts';
import type {
  LoadedProtocol,
  MemberDoor,
  SecretResolver,
  SessionRefusal,
  Target,
  TargetPolicies,
  TargetWarning,
} from '../protocol.ts';
import type { SessionHandle, Sessions } from '../sessions/sessions.ts';
import type { TargetHealth, TargetHealthDeps } from './target-health.ts';

/** The targets that are served now, each with its own door if direct clients may come. */
export interface OpenTargets {
  /**
   * Makes these the targets. Those that stay as they are keep their sessions; sessions of one that went or changed end at their next
   * idle moment. A faulty one is left out and logged. Resolves when each door is open or has failed to: then its target is served to
   * agents' clients, and the door is tried again until it opens. Once closed, nothing is opened any more.
   */
  apply(targets: readonly ResolvedTarget[]): Promise<void>;
  /**
   * Resolves when each target has been logged in to, and what policies name in it was read since targets or policies changed, or when that has
   * failed: `problems` tells of now then. At an abort it is left as far as it is; the rest is looked at the next time.
   */
  look(signal: AbortSignal): Promise<void>;
  /** What is wrong with the targets now, as far as it was tried; each is logged in to as its {@link TargetHealth} says. */
  problems(): readonly TargetProblem[];
  find(name: string): OpenTarget | undefined;
  /** What the targets know of what is in them takes so many bytes, about. */
  catalogBytes(): number;
  /** New handshakes at these doors show this identity. */
  present(identity: CurrentIdentity): void;
  /** Where the open doors are, by target. */
  ports(): ReadonlyMap<string, number>;
  /** Closes the doors of direct clients and opens none any more; changes of targets are still taken, for the sessions that there are. */
  closeDoors(): void;
  /** Opens nothing any more. */
  end(): void;
  /** Drops what the targets hold, those too that are just being opened; their sessions are over. */
  close(): Promise<void>;
}

/** What keeps a target from being served as it was declared; no secret is in it. */
export interface TargetProblem {
  readonly target: string;
  /** One sentence. */
  readonly what: string;
  /** What the operator does about it. */
  readonly remedy: string;
  /** Where the target itself is well: what of the policies does not fit it, as {@link TargetWarning} says. */
  readonly about?: TargetWarning['about'];
}

/** A target that is served. */
export interface OpenTarget {
  readonly name: string;
  readonly member: LoadedProtocol;
  readonly target: Target;
}

export interface OpenTargetsDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly identity: Pick<GatewayIdentity, 'current'>;
  readonly protocols: readonly LoadedProtocol[];
  readonly secrets: SecretResolver;
  readonly policies: TargetPolicies;
  readonly caches: CacheBudget;
  readonly maskKey: Secret;
  readonly sessions: Pick<Sessions, 'list' | 'drain' | 'end'>;
  readonly companions?: Pick<Companions, 'passOn'> | undefined;
  /** How long sessions of a target that is gone or changed may go on. */
  readonly drainMs: number;
  /** Makes the watch over the logins to one target. */
  readonly createTargetHealth: (deps: TargetHealthDeps) => TargetHealth;
  /** Opens a door for direct clients of that target: they prove who they are as `door` says, and handshake with `tls`. */
  openDoor(
    where: Where,
    open: OpenTarget,
    door: { readonly kind: MemberDoor; readonly tls: TlsAcceptor },
  ): Promise<OpenDoor>;
}

/** Where a door is. */
type Where = NonNullable<Target['listen']>;

/** Creates an empty set. */
export function createOpenTargets(deps: OpenTargetsDeps): OpenTargets {
  const set: TargetSet = {
    ...{ targets: new Map(), faulty: new Map(), unlooked: new Set() },
    ...{ hasDoors: true, closed: false },
  };
  const { targets, faulty } = set;
  let applying: Promise<void> = Promise.resolve();
  const stopListening = deps.policies.onChange(() => {
    for (const kept of targets.values()) set.unlooked.add(kept);
  });
  const closeDoors = () => {
    set.hasDoors = false;
    return [...targets.values()].map(({ door }) => door?.close());
  };
  const end = () => {
    set.closed = true;
    stopListening();
    for (const { health } of targets.values()) health.close();
    return closeDoors();
  };
  return {
    /** One change after the other: two at once could open the same door twice. */
    apply(wanted) {
      const applied = applying.then(() => (set.closed ? undefined : replaceTargets(set, wanted, deps)));
      applying = applied.catch(() => {}); // The caller hears of it.
      return applied;
    },
    async look(signal) {
      await raceAbort(applying, signal).catch(() => {}); // Those that are open already are looked at all the same.
      await lookAtAll(set, signal);
    },
    problems: () => [...faulty.values(), ...[...targets.values()].flatMap(problemsOf)],
    find: (name) => targets.get(name),
    catalogBytes: () => [...targets.values()].reduce((sum, { target }) => sum + (target.catalogBytes?.() ?? 0), 0),
    present(identity) {
      for (const { door } of targets.values()) door?.tls.present(identity);
    },
    ports() {
      const ports = new Map<string, number>();
      for (const { name, door } of targets.values())
        if (door?.server !== undefined) ports.set(name, portOf(door.server));
      return ports;
    },
    closeDoors: () => void closeDoors(),
    end: () => void end(),
    async close() {
      const doors = end();
      await applying; // It may have a door still to open.
      await Promise.all(doors);
      await Promise.all([...targets.values()].map(({ target }) => target.close()));
      targets.clear();
    },
  };
}

interface TargetSet {
  readonly targets: Map<string, Kept>;
  /** Those that could not be opened, by name. */
  readonly faulty: Map<string, TargetProblem>;
  /** Those that were not looked into since they were opened or policies changed. */
  readonly unlooked: Set<Kept>;
  hasDoors: boolean;
  closed: boolean;
}

interface Kept extends OpenTarget {
  /** Equal texts are equal targets. */
  readonly definition: string;
  readonly door: DirectDoor | undefined;
  /** Those of its secrets that could not be read when they were last needed, by reference. */
  readonly unread: ReadonlyMap<string, TargetProblem>;
  readonly health: TargetHealth;
}

async function replaceTargets(set: TargetSet, wanted: readonly ResolvedTarget[], deps: OpenTargetsDeps): Promise<void> {
  const { targets, faulty } = set;
  const definitions = new Map(wanted.map((target) => [target.name, definitionOf(target)]));
  for (const name of [...faulty.keys()]) if (!definitions.has(name)) faulty.delete(name);
  for (const [name, kept] of [...targets]) {
    if (definitions.get(name) === kept.definition) continue;
    targets.delete(name);
    set.unlooked.delete(kept);
    kept.health.close();
    const shut = kept.door?.close();
    endSessions(name, deps);
    await shut;
    await kept.target.close();
  }
  for (const resolved of wanted) {
    const { name } = resolved;
    if (targets.has(name)) continue;
    if (set.closed) return;
    try {
      const kept = open(resolved, deps);
      // Kept before its door opens: whoever presents a new identity or closes meanwhile must know of it.
      targets.set(name, kept);
      set.unlooked.add(kept);
      faulty.delete(name);
      kept.health.start();
      if (set.hasDoors) await kept.door?.open();
    } catch (error) {
      // One faulty target must not keep the others from being served; whoever asks for it is told that it is not there.
      deps.log.error('gateway.target.faulty', { target: name, error });
      faulty.set(name, problemOf(name, error));
    }
  }
}

async function lookAtAll({ targets, unlooked }: TargetSet, signal: AbortSignal): Promise<void> {
  const due = [...unlooked].values();
  const lookers = Array.from({ length: LOOKS_AT_ONCE }, async () => {
    for (const kept of due) {
      try {
        await raceAbort(kept.health.settled(), signal);
        if (kept.health.problems().length > 0) continue;
        unlooked.delete(kept); // A change of policies while it looks is due again.
        await kept.target.look?.(signal);
      } catch {
        // What a login fails of is among the problems; what takes too long is looked at the next time.
        if (signal.aborted && targets.get(kept.name) === kept) unlooked.add(kept);
      }
    }
  });
  await Promise.all(lookers);
}

/** When they are idle, and the busy ones as when the gateway stops: what was forbidden at a target that is gone may be forbidden no more. */
function endSessions(target: string, { clock, sessions, drainMs }: OpenTargetsDeps): void {
  const refusal: SessionRefusal = { code: 'target', what: `target ${target} has changed; connect again` };
  const leaving = new Set(sessions.list().filter((session) => session.target === target));
  if (leaving.size === 0) return;
  const which = (session: SessionHandle) => leaving.has(session);
  sessions.drain(refusal, which);
  clock.after(drainMs, () => sessions.end(refusal, which));
}

function open(resolved: ResolvedTarget, deps: OpenTargetsDeps): Kept {
  const { clock, random, policies, maskKey, protocols, companions } = deps;
  const { name, protocol } = resolved;
  const member = protocols.find((one) => one.id === protocol);
  if (member === undefined) {
    throw new GatewayError(
      'ERR_GATEWAY_PROTOCOL',
      `target ${name} wants protocol ${protocol}; there are ${protocols.map((one) => one.id).join(', ')}`,
    );
  }
  const unread = new Map<string, TargetProblem>();
  const secrets = notingSecrets(deps.secrets, name, unread);
  const log = deps.log.child({ target: name });
  const health = deps.createTargetHealth({ clock, log, check: (signal, place) => target.check(signal, place) });
  const target = member.openTarget(resolved.config, {
    ...{ name, clock, random, log, secrets, policies, maskKey, identity: deps.identity, caches: deps.caches },
    attempted: (place, problem) => health.attempted(place, problem),
    ...(companions && { passOn: ({ uri }, bytes) => companions.passOn({ target: name, identity: uri, bytes }) }),
  });
  const opened: OpenTarget = { name, member, target };
  const where = target.listen;
  if (where === undefined) return { ...opened, definition: definitionOf(resolved), door: undefined, unread, health };
  if (member.door === undefined) {
    void target.close();
    const what = `target ${name} listens for clients without an agent, and ${protocol} has no way in for them`;
    throw new GatewayError('ERR_GATEWAY_TARGET_CONFIG', what);
  }
  const door = new DirectDoor(opened, { where, kind: member.door }, deps);
  return { ...opened, definition: definitionOf(resolved), door, unread, health };
}

/**
 * A target's door for direct clients. When it can't be opened, because something else has the port say, the target is served to agents'
 * clients all the same, and the door is tried again until it opens or is closed.
 */
class DirectDoor {
  readonly tls: TlsAcceptor;
  server: OpenDoor | undefined;
  /** Why nobody can come in, by the last try. */
  problem: TargetProblem | undefined;
  readonly #target: OpenTarget;
  readonly #where: Where;
  readonly #kind: MemberDoor;
  readonly #deps: OpenTargetsDeps;
  #trying: Promise<void> = Promise.resolve();
  #failures = 0;
  #retry: Timer | undefined;
  #closed = false;

  constructor(target: OpenTarget, door: { readonly where: Where; readonly kind: MemberDoor }, deps: OpenTargetsDeps) {
    this.#target = target;
    this.#where = door.where;
    this.#kind = door.kind;
    this.#deps = deps;
    this.tls = createTlsAcceptor({ names: door.kind.alpn, required: false });
    const current = deps.identity.current();
    if (current !== undefined) this.tls.present(current);
  }

  /** Resolves when the first try is over, whatever came of it. */
  open(): Promise<void> {
    this.#trying = this.#try();
    return this.#trying;
  }

  /** Resolves when the port is free again. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#retry?.cancel();
    this.server?.close();
    this.server = undefined;
    await this.#trying;
  }

  async #try(): Promise<void> {
    const { clock, log, openDoor } = this.#deps;
    const { name } = this.#target;
    try {
      const server = await openDoor(this.#where, this.#target, { kind: this.#kind, tls: this.tls });
      if (this.#closed) return void server.close();
      this.server = server;
      if (this.#failures > 0) log.info('gateway.target.door_opened', { target: name, tries: this.#failures + 1 });
      this.problem = undefined;
    } catch (error) {
      if (this.#closed) return;
      // Once for all tries: what it fails of now is among the problems.
      if (this.#failures === 0) log.error('gateway.target.door_failed', { target: name, error });
      this.problem = problemOf(name, error);
      const delayMs = Math.min(DOOR_RETRY_MS * 2 ** this.#failures, DOOR_RETRY_MS_MAX);
      this.#failures++;
      this.#retry = clock.after(delayMs, () => void this.open());
    }
  }
}

/** Keeps in `unread` what a target's secrets failed of when they were last read. */
function notingSecrets(secrets: SecretResolver, target: string, unread: Map<string, TargetProblem>): SecretResolver {
  return {
    async resolve(reference, signal) {
      try {
        const secret = await secrets.resolve(reference, signal);
        unread.delete(reference);
        return secret;
      } catch (error) {
        // Whoever no longer waits for it says nothing about the secret.
        if (!signal.aborted) unread.set(reference, problemOf(target, error));
        throw error;
      }
    },
  };
}

function problemsOf({ name, target, door, unread, health }: Kept): readonly TargetProblem[] {
  const warnings = target.warnings?.() ?? [];
  const secrets = [...unread.values()];
  // A login that failed for want of a secret is told once.
  const logins = health.problems().filter(({ what }) => !secrets.some((secret) => secret.what === what));
  const serves = target.serves?.() === true;
  return [
    ...(door?.problem === undefined ? [] : [door.problem]),
    ...secrets,
    ...logins.map(
      ({ what, remedy }): TargetProblem => ({
        ...{ target: name, what, remedy },
        ...(serves ? { about: 'upstream' } : {}),
      }),
    ),
    ...warnings.map((warning): TargetProblem => ({ target: name, ...warning })),
  ];
}

function problemOf(target: string, error: unknown): TargetProblem {
  if (error instanceof GatewayError) return { target, what: error.message, remedy: errorTable[error.code].remedy };
  // A bug, whose words nobody has chosen: they are for the log.
  return { target, what: 'the gateway failed to open it', remedy: 'See the log of the gateway.' };
}

/** What a target is declared as: it has changed when this has. */
export function definitionOf({ protocol, config }: ResolvedTarget): string {
  return JSON.stringify([protocol, config]);
}

/** Each is a login. */
const LOOKS_AT_ONCE = 8;
/** A port is free again soon when it was a restart that had it; the first tries follow each other fast. */
const DOOR_RETRY_MS = 1_000;
/** Whoever frees a port should not have to wait for long; a try costs next to nothing. */
const DOOR_RETRY_MS_MAX = 10_000;
