import type { Timer } from '../../std/index.ts';
import type { CurrentIdentity } from '../identity.ts';
import type { OpenDoor } from '../listeners/shared-door.ts';
import { createTlsAcceptor, type TlsAcceptor } from '../listeners/tls.ts';
import type { DoorDeclaration, MemberDoor } from '../protocol.ts';
import type { DoorCertificate } from './door-certificate.ts';
import type { OpenTarget, OpenTargetsDeps } from './open-targets.ts';
import { problemOf, type TargetProblem } from './target-problem.ts';

/** Where a door is. */
export type Where = Pick<DoorDeclaration, 'host' | 'port'>;

/** One of the targets of a door, and how its clients prove who they are there. */
export interface DoorTarget {
  readonly open: OpenTarget;
  readonly kind: MemberDoor;
  /** Shown in place of the gateway's identity to whoever asks for a host of it. */
  readonly certificate: DoorCertificate | undefined;
}

/** What comes in by a door. */
export interface Doorway {
  readonly tls: TlsAcceptor;
  /** Whose door it is, as far as it takes that to begin: what comes before TLS is the same for all of them. */
  readonly first: DoorTarget;
  /** Which of its targets a client means that asks for that host by TLS (SNI); a door of one target is for that, whatever it asks for. */
  find(serverName: string | undefined): DoorTarget | undefined;
}

/**
 * A door for direct clients of one target, or of several of one protocol that have hosts to be told apart by. When it can't be opened, because something
 * else has the port say, the targets are served to agents' clients all the same, and the door is tried again until it opens or is closed.
 */
export class DirectDoor implements Doorway {
  readonly tls: TlsAcceptor;
  server: OpenDoor | undefined;
  readonly #where: Where;
  readonly #deps: OpenTargetsDeps;
  readonly #targets = new Map<string, DoorTarget>();
  #first: DoorTarget;
  /** Why nobody can come in, by the last try. */
  #error: unknown;
  #opened: Promise<void> | undefined;
  #trying: Promise<void> = Promise.resolve();
  #failures = 0;
  #retry: Timer | undefined;
  #isClosed = false;

  constructor(first: DoorTarget, where: Where, deps: OpenTargetsDeps) {
    this.#first = first;
    this.#targets.set(first.open.name, first);
    this.#where = where;
    this.#deps = deps;
    const alpnFor = (serverName: string | undefined) => (this.find(serverName) ?? this.#first).kind.alpn;
    const certificateFor = (serverName: string | undefined) =>
      this.find(serverName)?.certificate?.contextFor(serverName);
    this.tls = createTlsAcceptor({ namesFor: alpnFor, required: false, certificateFor });
    const current = deps.identity.current();
    if (current !== undefined) this.present(current);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get first(): DoorTarget {
    return this.#first;
  }

  find(serverName: string | undefined): DoorTarget | undefined {
    if (this.#targets.size <= 1) return this.#first; // One that has gone says so itself.
    const name = serverName?.toLowerCase();
    for (const one of this.#targets.values())
      if (name !== undefined && one.open.target.hosts?.includes(name) === true) return one;
    return undefined;
  }

  /** Takes one more target, if those that it has and that one can be told apart. */
  join(one: DoorTarget): boolean {
    const { hosts } = one.open.target;
    const isApart = ({ open }: DoorTarget) =>
      open.member.id === one.open.member.id &&
      hosts !== undefined &&
      open.target.hosts !== undefined &&
      !open.target.hosts.some((host) => hosts.includes(host));
    if (this.#isClosed || ![...this.#targets.values()].every(isApart)) return false;
    this.#targets.set(one.open.name, one);
    return true;
  }

  /** Resolves when its place is free again, if that target was the last one that had it. */
  async leave(name: string): Promise<void> {
    this.#targets.delete(name);
    const [next] = this.#targets.values();
    if (next === undefined) return this.close();
    this.#first = next;
  }

  present(identity: CurrentIdentity): void {
    this.tls.present(identity);
  }

  problemFor(target: string): TargetProblem | undefined {
    return this.#error === undefined ? undefined : problemOf(target, this.#error);
  }

  /** Resolves when the first try is over, whatever came of it. */
  open(): Promise<void> {
    this.#opened ??= this.#tryOnce();
    return this.#opened;
  }

  /** Resolves when the port is free again. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#retry?.cancel();
    this.server?.close();
    this.server = undefined;
    await this.#trying;
  }

  #tryOnce(): Promise<void> {
    this.#trying = this.#try();
    return this.#trying;
  }

  async #try(): Promise<void> {
    const { clock, log, openDoor } = this.#deps;
    const { open } = this.#first;
    const { name } = open;
    // Gateways behind the same door may learn of its targets at different times.
    const owner = open.target.hosts === undefined ? name : `${open.member.id}-by-host`;
    try {
      const server = await openDoor(this.#where, owner, this);
      if (this.#isClosed) return void server.close();
      this.server = server;
      if (this.#failures > 0) log.info('gateway.target.door_opened', { target: name, tries: this.#failures + 1 });
      this.#error = undefined;
    } catch (error) {
      if (this.#isClosed) return;
      // Once for all tries: what it fails of now is among the problems.
      if (this.#failures === 0) log.error('gateway.target.door_failed', { target: name, error });
      this.#error = error;
      const delayMs = Math.min(DOOR_RETRY_MS * 2 ** this.#failures, DOOR_RETRY_MS_MAX);
      this.#failures++;
      this.#retry = clock.after(delayMs, () => void this.#tryOnce());
    }
  }
}

/** A port is free again soon when it was a restart that had it; the first tries follow each other fast. */
const DOOR_RETRY_MS = 1_000;
/** Whoever frees a port should not have to wait for long; a try costs next to nothing. */
const DOOR_RETRY_MS_MAX = 10_000;
