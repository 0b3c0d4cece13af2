import type { ResolvedTarget } from '../../model/index.ts';
import { type CacheBudget, type Clock, type Log, type Random, raceAbort, type Secret } from '../../std/index.ts';
import type { Companions } from '../companions.ts';
import { GatewayError } from '../errors.ts';
import type { CurrentIdentity, GatewayIdentity } from '../identity.ts';
import type { OpenDoor } from '../listeners/shared-door.ts';
import { portOf } from '../listeners/socket-listeners.ts';
import type { LoadedProtocol, SecretResolver, SessionRefusal, Target, TargetPolicies } from '../protocol.ts';
import type { SessionHandle, Sessions } from '../sessions/sessions.ts';
import { DirectDoor, type DoorTarget, type Doorway, type Where } from './direct-door.ts';
import { createDoorCertificate, type DoorCertificate } from './door-certificate.ts';
import type { TargetHealth, TargetHealthDeps } from './target-health.ts';
import { problemOf, type TargetProblem } from './target-problem.ts';

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
  /** Opens a door for direct clients there, for what comes in by `doorway`; gateways behind the same door have it for the same `owner`. */
  openDoor(where: Where, owner: string, doorway: Doorway): Promise<OpenDoor>;
}

/** Creates an empty set. */
export function createOpenTargets(deps: OpenTargetsDeps): OpenTargets {
  const set: TargetSet = {
    ...{ targets: new Map(), faulty: new Map(), unlooked: new Set(), doors: new Map() },
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
    for (const { health, certificate } of targets.values()) {
      health.close();
      certificate?.close();
    }
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
      for (const door of new Set([...targets.values()].map((kept) => kept.door))) door?.present(identity);
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
  /** The doors that others may share, by their place: of several one is open, and the others wait for that. */
  readonly doors: Map<string, readonly DirectDoor[]>;
  hasDoors: boolean;
  closed: boolean;
}

interface Kept extends OpenTarget {
  /** Equal texts are equal targets. */
  readonly definition: string;
  readonly door: DirectDoor | undefined;
  readonly certificate: DoorCertificate | undefined;
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
    kept.certificate?.close();
    const shut = kept.door?.leave(name);
    endSessions(name, deps);
    await shut;
    await kept.target.close();
  }
  for (const resolved of wanted) {
    const { name } = resolved;
    if (targets.has(name)) continue;
    if (set.closed) return;
    try {
      const kept = open(resolved, set, deps);
      // Kept before its door opens: whoever presents a new identity or closes meanwhile must know of it.
      targets.set(name, kept);
      set.unlooked.add(kept);
      faulty.delete(name);
      kept.health.start();
      if (!set.hasDoors) continue;
      await kept.certificate?.start();
      await kept.door?.open();
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

function open(resolved: ResolvedTarget, { doors }: TargetSet, deps: OpenTargetsDeps): Kept {
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
  const { listen } = target;
  const kept = { ...opened, definition: definitionOf(resolved), unread, health };
  if (listen === undefined) return { ...kept, door: undefined, certificate: undefined };
  const kind = target.door ?? member.door;
  if (kind === undefined) {
    void target.close();
    const what = `target ${name} listens for clients without an agent, and ${protocol} has no way in for them`;
    throw new GatewayError('ERR_GATEWAY_TARGET_CONFIG', what);
  }
  const certificate = createDoorCertificate(listen, { ...deps, log, target: name, hosts: target.hosts });
  const door = doorAt(listen, { open: opened, kind, certificate }, { doors, deps });
  return { ...kept, door, certificate };
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

/** One that is there already, where both can be told apart by host; else one that may find its place taken. */
function doorAt(
  where: Where,
  one: DoorTarget,
  { doors, deps }: { readonly doors: TargetSet['doors']; readonly deps: OpenTargetsDeps },
): DirectDoor {
  // Port 0 is another one each time.
  if (where.port === 0) return new DirectDoor(one, where, deps);
  const place = `${where.host} ${where.port}`;
  const here = (doors.get(place) ?? []).filter((door) => !door.isClosed);
  const found = here.find((door) => door.join(one));
  const door = found ?? new DirectDoor(one, where, deps);
  doors.set(place, found === undefined ? [...here, door] : here);
  return door;
}

function problemsOf({ name, target, door, certificate, unread, health }: Kept): readonly TargetProblem[] {
  const warnings = target.warnings?.() ?? [];
  const secrets = [...unread.values()];
  // A login that failed for want of a secret is told once.
  const logins = health.problems().filter(({ what }) => !secrets.some((secret) => secret.what === what));
  const serves = target.serves?.() === true;
  return [
    ...[door?.problemFor(name) ?? []].flat(),
    ...(certificate?.problems() ?? []),
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

/** What a target is declared as: it has changed when this has. */
export function definitionOf({ protocol, config }: ResolvedTarget): string {
  return JSON.stringify([protocol, config]);
}

/** Each is a login. */
const LOOKS_AT_ONCE = 8;
