import type { Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { LedgerWriter } from '../ledger/index.ts';
import type { ResolvedTarget } from '../model/index.ts';
import type { CompiledPolicies } from '../policy/index.ts';
import {
  anySignal,
  assert,
  type Clock,
  createSampledLog,
  type Log,
  type LogFields,
  type Random,
  raceAbort,
  type Secret,
  type Service,
  timeoutSignal,
} from '../std/index.ts';
import { fitRoom } from './descriptors.ts';
import { createDoors, portOf } from './doors.ts';
import { GatewayError } from './errors.ts';
import { createHeldBytes } from './held-bytes.ts';
import type { GatewayIdentity } from './identity.ts';
import { createLedgerTurn } from './ledger-turn.ts';
import { encodePrefaceAnswer, readPreface } from './link-preface.ts';
import { type Peer, verifyPeer } from './peer.ts';
import { createPolicyBoard, createSessionPolicy } from './policy-board.ts';
import type { ProtocolMember, SecretResolver, SessionRefusal, Target } from './protocol.ts';
import { type Durability, SessionEnd } from './session.ts';
import { createSessionLedger } from './session-ledger.ts';
import { createSessions, type SessionHandle, type SessionLimits } from './sessions.ts';
import { createTlsAcceptor, type TlsAcceptor } from './tls.ts';

/** What a gateway is made of. */
export interface GatewayDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly identity: GatewayIdentity;
  readonly ledger: LedgerWriter;
  readonly protocols: readonly ProtocolMember[];
  readonly secrets: SecretResolver;
  /** 32 bytes: key of `hash` masks. */
  readonly maskKey: Secret;
  /** Where agents connect. Port 0: the system chooses. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly limits?: Partial<SessionLimits>;
  readonly durability?: { readonly reads: Durability; readonly changes: Durability };
  /** How long `stop` lets busy sessions finish, in milliseconds. */
  readonly drainMs?: number;
  /** Bytes that all sessions together may hold in memory for others; beyond it the session that holds most is ended. */
  readonly heldBytesMax?: number;
  /** Files and sockets this process may have open; the system is asked when absent. */
  readonly descriptorsMax?: number;
}

/** The access gateway: see the folder's door. */
export interface Gateway {
  /**
   * The targets from now on. Those that stay as they are keep their sessions; sessions of a target that went or changed end at their
   * next idle moment. A target with a faulty config is left out and logged; it does not hold up the others. Resolves when doors are open.
   */
  applyTargets(targets: readonly ResolvedTarget[]): Promise<void>;
  /** The policies from now on: also for sessions that run, from their next operation. */
  applyPolicies(policies: CompiledPolicies): void;
  /** Running sessions, for operators. */
  sessions(): readonly SessionInfo[];
  /** Ends one session at once; false when there is none of that id. */
  endSession(id: string): boolean;
  /** Logs in to a target once: undefined = fine, else what is wrong. */
  checkTarget(name: string, signal: AbortSignal): Promise<string | undefined>;
  /** Where the doors are, once started. */
  address(): { readonly link: number; readonly targets: ReadonlyMap<string, number> };
  /** For metrics: connections refused or cut before they were a session's, since the start; bytes held for sessions now. */
  counts(): { readonly refused: number; readonly heldBytes: number };
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
    applyPolicies: (policies) => core.board.replace(policies),
    sessions: () =>
      core.sessions
        .list()
        .map(({ id, identity, target, door, startedMs }) => ({ id, identity: identity.uri, target, door, startedMs })),
    endSession(id) {
      const found = core.sessions.list().some((session) => session.id === id);
      core.sessions.end({ code: 'shutdown', what: 'an operator ended this session' }, (session) => session.id === id);
      return found;
    },
    async checkTarget(name, signal) {
      const open = core.targets.get(name);
      return open === undefined ? `there is no target ${name}` : await open.target.check(signal);
    },
    address: () => core.address(),
    counts: () => core.counts(),
  };
}

/** A target with its doors. */
interface OpenTarget {
  /** Equal texts are equal targets. */
  readonly definition: string;
  readonly member: ProtocolMember;
  readonly target: Target;
  door: Server | undefined;
  acceptor: TlsAcceptor | undefined;
}

class Core {
  readonly board = createPolicyBoard();
  readonly targets = new Map<string, OpenTarget>();
  readonly sessions;
  readonly #deps: GatewayDeps;
  readonly #turn;
  readonly #link = createTlsAcceptor({ name: LINK_ALPN, required: true });
  readonly #stopping = new AbortController();
  readonly #doors;
  readonly #held;
  readonly #refusals;
  #refused = 0;
  #server: Server | undefined;
  #stopListening = () => {};
  #applying: Promise<void> = Promise.resolve();

  constructor(deps: GatewayDeps) {
    this.#deps = deps;
    this.#turn = createLedgerTurn({ ledger: deps.ledger });
    const { clock, log } = deps;
    const limits = { ...LIMITS, ...deps.limits };
    const room = fitRoom({ log, descriptors: deps.descriptorsMax, sessionsMax: limits.sessionsMax });
    this.#refusals = createSampledLog({ clock, log });
    this.#held = createHeldBytes(deps.heldBytesMax ?? HELD_BYTES_MAX);
    this.#doors = createDoors({
      ...room,
      clock,
      refused: (why, detail) => this.#noteRefused(`gateway.client.${why}`, detail),
    });
    this.sessions = createSessions({
      clock,
      log,
      limits: { ...limits, sessionsMax: room.sessionsMax },
      bundle: (trustDomain) => deps.identity.current()?.bundles.get(trustDomain),
    });
  }

  async start(signal: AbortSignal): Promise<void> {
    const { identity, listen } = this.#deps;
    await identity.ready(signal);
    this.#present();
    this.#stopListening = identity.onChange(() => {
      this.#present();
      this.sessions.reverify();
    });
    this.#server = await this.#doors.open(listen, (socket, known) => this.#acceptLink(socket, known));
  }

  async stop(): Promise<void> {
    this.#stopListening();
    const refusal: SessionRefusal = { code: 'shutdown', what: 'the gateway is shutting down; connect again' };
    this.#stopping.abort();
    this.#server?.close();
    for (const { door } of this.targets.values()) door?.close();
    this.sessions.drain(refusal);
    const grace = timeoutSignal(this.#deps.clock, this.#deps.drainMs ?? DRAIN_MS);
    try {
      await raceAbort(this.sessions.empty(), grace.signal);
    } catch {
      // The grace is over: what still runs is told so and cut.
      this.sessions.end(refusal);
      await this.sessions.empty();
    } finally {
      grace.cancel();
    }
    this.sessions.stop();
    this.#refusals.stop();
    await Promise.all([...this.targets.values()].map(({ target }) => target.close()));
    this.targets.clear();
  }

  /** One change after the other: two at once could open the same door twice. */
  applyTargets(targets: readonly ResolvedTarget[]): Promise<void> {
    const applied = this.#applying.then(() => this.#apply(targets));
    this.#applying = applied.catch(() => {}); // The caller hears of it.
    return applied;
  }

  address() {
    const targets = new Map<string, number>();
    for (const [name, { door }] of this.targets) if (door !== undefined) targets.set(name, portOf(door));
    return { link: this.#server === undefined ? 0 : portOf(this.#server), targets };
  }

  counts() {
    return { refused: this.#refused, heldBytes: this.#held.bytes };
  }

  #noteRefused(event: string, detail: LogFields): void {
    this.#refused++;
    this.#refusals.info(event, detail);
  }

  async #apply(targets: readonly ResolvedTarget[]): Promise<void> {
    const wanted = new Map(targets.map((target) => [target.name, JSON.stringify([target.protocol, target.config])]));
    for (const [name, open] of [...this.targets]) {
      if (wanted.get(name) === open.definition) continue;
      this.targets.delete(name);
      open.door?.close();
      this.sessions.drain(
        { code: 'target', what: `target ${name} has changed; connect again` },
        (session) => session.target === name,
      );
      await open.target.close();
    }
    for (const resolved of targets) {
      if (this.targets.has(resolved.name)) continue;
      try {
        await this.#open(resolved, wanted.get(resolved.name) ?? '');
      } catch (error) {
        // One faulty target must not keep the others from being served; whoever asks for it is told that it is not there.
        this.#deps.log.error('gateway.target.faulty', { target: resolved.name, error });
      }
    }
  }

  async #open(resolved: ResolvedTarget, definition: string): Promise<void> {
    const { clock, random, log, secrets, maskKey, protocols } = this.#deps;
    const member = protocols.find((one) => one.id === resolved.protocol);
    if (member === undefined) {
      throw new GatewayError(
        'ERR_GATEWAY_PROTOCOL',
        `target ${resolved.name} wants protocol ${resolved.protocol}; there are ${protocols.map((one) => one.id).join(', ')}`,
      );
    }
    const target = member.openTarget(resolved.config, {
      name: resolved.name,
      clock,
      random,
      log: log.child({ target: resolved.name }),
      secrets,
      maskKey,
    });
    const open: OpenTarget = { definition, member, target, door: undefined, acceptor: undefined };
    if (target.listen !== undefined) {
      open.acceptor = createTlsAcceptor({ name: member.alpn, required: false });
      const current = this.#deps.identity.current();
      if (current !== undefined) open.acceptor.present(current);
      open.door = await this.#doors.open(target.listen, (socket, known) =>
        this.#acceptDirect(socket, known, { name: resolved.name, open }),
      );
    }
    this.targets.set(resolved.name, open);
  }

  #present(): void {
    const current = this.#deps.identity.current();
    if (current === undefined) return;
    this.#link.present(current);
    for (const { acceptor } of this.targets.values()) acceptor?.present(current);
  }

  async #acceptLink(socket: Socket, known: () => void): Promise<void> {
    const timeout = timeoutSignal(this.#deps.clock, HANDSHAKE_MS_MAX);
    const signal = anySignal(timeout.signal, this.#stopping.signal);
    let tls: TLSSocket;
    let name: string | undefined;
    try {
      tls = await this.#link.handshake(socket, signal);
      name = await readPreface(tls, signal);
    } finally {
      timeout.cancel();
    }
    if (name === undefined) return void tls.destroy();
    const peer = verifyPeer(tls, this.#deps.identity, this.#deps.clock.now());
    const open = this.targets.get(name);
    const refuse = (why: 'untrusted' | 'unserved', what: string) => {
      this.#noteRefused(`gateway.client.${why}`, { remote: socket.remoteAddress, reason: what });
      tls.end(encodePrefaceAnswer(what));
    };
    if (typeof peer === 'string') return refuse('untrusted', `the identity is not trusted: ${peer}`);
    if (open === undefined) return refuse('unserved', 'this gateway does not serve that target');
    const handle = this.#handle(peer, name, 'agent');
    const full = this.sessions.admit(handle);
    if (full !== undefined) return refuse('unserved', full.what);
    known();
    tls.write(encodePrefaceAnswer(undefined));
    await this.#serve(open, handle, tls);
  }

  async #acceptDirect(
    socket: Socket,
    known: () => void,
    { name, open }: { name: string; open: OpenTarget },
  ): Promise<void> {
    const timeout = timeoutSignal(this.#deps.clock, HANDSHAKE_MS_MAX);
    const signal = anySignal(timeout.signal, this.#stopping.signal);
    let secured: TLSSocket | undefined;
    try {
      const startTls = async (first: Buffer): Promise<Duplex> => {
        assert(open.acceptor !== undefined, 'a door without TLS');
        if (first.length > 0) socket.unshift(first);
        secured = await open.acceptor.handshake(socket, signal);
        return secured;
      };
      await open.member.negotiateDirect(socket, startTls, signal);
    } finally {
      timeout.cancel();
    }
    if (secured === undefined) return;
    const client = secured;
    const peer = verifyPeer(client, this.#deps.identity, this.#deps.clock.now());
    const refuse = (why: 'untrusted' | 'unserved', refusal: SessionRefusal) => {
      this.#noteRefused(`gateway.client.${why}`, { remote: socket.remoteAddress, reason: refusal.what });
      open.target.refuse(client, refusal);
    };
    if (typeof peer === 'string') {
      return refuse('untrusted', { code: 'identity', what: `the client certificate is no trusted SVID: ${peer}` });
    }
    const handle = this.#handle(peer, name, 'direct');
    const full = this.sessions.admit(handle);
    if (full !== undefined) return refuse('unserved', full);
    known();
    await this.#serve(open, handle, client);
  }

  #handle(peer: Peer, target: string, door: 'agent' | 'direct'): SessionHandle {
    const { random, clock } = this.#deps;
    const switches = { end: new AbortController(), drain: new AbortController() };
    return { ...peer, ...switches, id: random.bytes(12).toString('hex'), target, door, startedMs: clock.now() };
  }

  async #serve(open: OpenTarget, handle: SessionHandle, client: Duplex): Promise<void> {
    const { clock, log, ledger, durability = DURABILITY } = this.#deps;
    const fields = { session: handle.id, identity: handle.identity.uri, target: handle.target, door: handle.door };
    log.info('gateway.session.opened', fields);
    const memory = this.#held.open((heldBytes) => {
      log.warn('gateway.session.memory', { ...fields, heldBytes });
      handle.end.abort(new SessionEnd(OUT_OF_MEMORY));
    });
    try {
      await open.target.serve({
        id: handle.id,
        identity: handle.identity,
        client,
        door: handle.door,
        policy: createSessionPolicy(this.board, handle.identity),
        ledger: createSessionLedger({
          ledger,
          turn: this.#turn,
          clock,
          session: handle.id,
          actor: handle.identity.uri,
          target: handle.target,
          durability,
        }),
        signal: handle.end.signal,
        drain: handle.drain.signal,
        memory,
      });
    } catch (error) {
      // A member that throws has a bug; one session is lost, not the gateway.
      log.error('gateway.session.failed', { ...fields, error });
      client.destroy();
    } finally {
      memory.close();
      this.sessions.remove(handle);
      log.info('gateway.session.closed', fields);
    }
  }
}

/** ALPN name of the link from agents. */
const LINK_ALPN = 'countersign-link/1';
/** For TLS, preface and encryption requests. */
const HANDSHAKE_MS_MAX = 10_000;
/** Eight of the largest messages; every other session works with some ten thousandths of it. */
const HELD_BYTES_MAX = 512 * 1024 * 1024;
const OUT_OF_MEMORY: SessionRefusal = {
  code: 'memory',
  what: 'the gateway holds as many bytes as it may, and this session held most of them',
};
const LIMITS: SessionLimits = { sessionsMax: 10_000, sessionsPerIdentityMax: 1_000 };
const DRAIN_MS = 10_000;
/** Reads survive kill -9; changes and denials are on disk before their answer goes out. */
const DURABILITY = { reads: 'process', changes: 'release' } as const;
