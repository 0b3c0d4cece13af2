import type { Server } from 'node:net';
import type { ResolvedTarget } from '../model/index.ts';
import type { Clock, Log, Random, Secret } from '../std/index.ts';
import { portOf } from './doors.ts';
import { GatewayError } from './errors.ts';
import type { CurrentIdentity, GatewayIdentity } from './identity.ts';
import type { ProtocolMember, SecretResolver, Target } from './protocol.ts';
import type { Sessions } from './sessions.ts';
import { createTlsAcceptor, type TlsAcceptor } from './tls.ts';

/** The targets that are served now, each with its own door if direct clients may come. */
export interface OpenTargets {
  /**
   * Makes these the targets. Those that stay as they are keep their sessions; sessions of one that went or changed end at their next
   * idle moment. A faulty one is left out and logged. Resolves when the doors are open. Once closed, nothing is opened any more.
   */
  apply(targets: readonly ResolvedTarget[]): Promise<void>;
  find(name: string): OpenTarget | undefined;
  /** New handshakes at these doors show this identity. */
  present(identity: CurrentIdentity): void;
  /** Where the doors are, by target. */
  ports(): ReadonlyMap<string, number>;
  /** Lets nobody in any more. */
  closeDoors(): void;
  /** Drops what the targets hold, those too that are just being opened; their sessions are over. */
  close(): Promise<void>;
}

/** A target that is served. */
export interface OpenTarget {
  readonly name: string;
  readonly member: ProtocolMember;
  readonly target: Target;
}

export interface OpenTargetsDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly identity: Pick<GatewayIdentity, 'current'>;
  readonly protocols: readonly ProtocolMember[];
  readonly secrets: SecretResolver;
  readonly maskKey: Secret;
  readonly sessions: Pick<Sessions, 'drain'>;
  /** Opens a door for direct clients of that target, who are to handshake with `tls`. */
  openDoor(where: NonNullable<Target['listen']>, open: OpenTarget, tls: TlsAcceptor): Promise<Server>;
}

/** Creates an empty set. */
export function createOpenTargets(deps: OpenTargetsDeps): OpenTargets {
  const targets = new Map<string, Kept>();
  let applying: Promise<void> = Promise.resolve();
  let closed = false;
  return {
    /** One change after the other: two at once could open the same door twice. */
    apply(wanted) {
      const applied = applying.then(() => (closed ? undefined : replaceTargets(targets, wanted, deps)));
      applying = applied.catch(() => {}); // The caller hears of it.
      return applied;
    },
    find: (name) => targets.get(name),
    present(identity) {
      for (const kept of targets.values()) presentAt(kept, identity);
    },
    ports() {
      const ports = new Map<string, number>();
      for (const { name, door } of targets.values()) if (door !== undefined) ports.set(name, portOf(door.server));
      return ports;
    },
    closeDoors() {
      for (const { door } of targets.values()) door?.server.close();
    },
    async close() {
      closed = true;
      await applying; // It may have a door still to open.
      for (const { door } of targets.values()) door?.server.close();
      await Promise.all([...targets.values()].map(({ target }) => target.close()));
      targets.clear();
    },
  };
}

interface Kept extends OpenTarget {
  /** Equal texts are equal targets. */
  readonly definition: string;
  readonly door: { readonly server: Server; readonly tls: TlsAcceptor } | undefined;
}

async function replaceTargets(
  targets: Map<string, Kept>,
  wanted: readonly ResolvedTarget[],
  deps: OpenTargetsDeps,
): Promise<void> {
  const definitions = new Map(wanted.map((target) => [target.name, definitionOf(target)]));
  for (const [name, kept] of [...targets]) {
    if (definitions.get(name) === kept.definition) continue;
    targets.delete(name);
    kept.door?.server.close();
    deps.sessions.drain(
      { code: 'target', what: `target ${name} has changed; connect again` },
      (session) => session.target === name,
    );
    await kept.target.close();
  }
  for (const resolved of wanted) {
    if (targets.has(resolved.name)) continue;
    try {
      const kept = await open(resolved, deps);
      targets.set(resolved.name, kept);
      // Once more: it may have changed while the door was opened, and whoever presents a new one knows of none that is not kept yet.
      presentAt(kept, deps.identity.current());
    } catch (error) {
      // One faulty target must not keep the others from being served; whoever asks for it is told that it is not there.
      deps.log.error('gateway.target.faulty', { target: resolved.name, error });
    }
  }
}

async function open(resolved: ResolvedTarget, deps: OpenTargetsDeps): Promise<Kept> {
  const { clock, random, log, secrets, maskKey, protocols } = deps;
  const { name, protocol } = resolved;
  const member = protocols.find((one) => one.id === protocol);
  if (member === undefined) {
    throw new GatewayError(
      'ERR_GATEWAY_PROTOCOL',
      `target ${name} wants protocol ${protocol}; there are ${protocols.map((one) => one.id).join(', ')}`,
    );
  }
  const target = member.openTarget(resolved.config, {
    ...{ name, clock, random, secrets, maskKey },
    log: log.child({ target: name }),
  });
  const opened: OpenTarget = { name, member, target };
  const definition = definitionOf(resolved);
  if (target.listen === undefined) return { ...opened, definition, door: undefined };
  const tls = createTlsAcceptor({ name: member.alpn, required: false });
  const current = deps.identity.current();
  if (current !== undefined) tls.present(current);
  try {
    return { ...opened, definition, door: { tls, server: await deps.openDoor(target.listen, opened, tls) } };
  } catch (error) {
    await target.close();
    throw error;
  }
}

function presentAt({ door }: Kept, identity: CurrentIdentity | undefined): void {
  if (identity !== undefined) door?.tls.present(identity);
}

function definitionOf({ protocol, config }: ResolvedTarget): string {
  return JSON.stringify([protocol, config]);
}
