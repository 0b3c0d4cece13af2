import type { Timer } from '../../../../std/index.ts';
import type { GatewaySession } from '../../../sessions/session.ts';
import type { OpenTarget } from '../target.ts';
import { Lane, type LanePort } from './lane.ts';
import { STREAMS_MAX } from './session-options.ts';
import type { StreamExchange } from './stream-exchange.ts';

/** Whose streams a lane is for: one session's, and no other's ever. */
export interface LaneOwner {
  readonly target: OpenTarget;
  readonly session: GatewaySession;
}

/** What a pool asks of its connection. */
export interface PoolPort {
  /** Does something on behalf of the connection, which it ends if that throws. */
  guard(act: () => void): void;
  /** Whether a stream that has waited is still to be begun. */
  readonly isServing: boolean;
  /** A stream has done with its lane. */
  used(): void;
}

/**
 * The lanes of one connection, each for one session, which has so many that others have theirs as well. Streams get them in the order in which they ask,
 * but for those of a session that has all of its own. Streams that go on for long hold no place of those that are soon over: they are beside these.
 */
export class LanePool implements LanePort {
  readonly #port: PoolPort;
  readonly #owners = new Map<Lane, LaneOwner>();
  /** What each holds. */
  readonly #bytes = new Map<Lane, number>();
  /** The one that has waited longest first. */
  readonly #idle: Lane[] = [];
  readonly #waiting = new Map<StreamExchange, LaneOwner>();
  /** When its last stream got it. */
  readonly #begunMs = new Map<Lane, number>();
  /** Those that are beside what is soon over; they are not used again. */
  readonly #further = new Set<Lane>();
  #patience: Timer | undefined;
  /** Those that are closing as well. */
  readonly #served = new Map<Promise<void>, LaneOwner>();

  constructor(port: PoolPort) {
    this.#port = port;
  }

  /** Calls its `begin`, now or when there is a lane for it. */
  wants(owner: LaneOwner, exchange: StreamExchange): void {
    const lane = this.#takeIdle(owner) ?? this.#openLane(owner);
    if (lane === undefined) {
      this.#waiting.set(exchange, owner);
      this.#lookSoon(owner);
    } else this.#give(lane, exchange, owner);
  }

  isWaiting(exchange: StreamExchange): boolean {
    return this.#waiting.has(exchange);
  }

  /** The streams that have no lane yet. */
  waiting(owner?: LaneOwner): readonly StreamExchange[] {
    return [...this.#waiting].flatMap(([exchange, other]) =>
      owner === undefined || other === owner ? [exchange] : [],
    );
  }

  /** It waits no longer. */
  drop(exchange: StreamExchange): void {
    this.#waiting.delete(exchange);
  }

  /** A stream needs its lane no longer, which can be used again. */
  released(lane: Lane): void {
    this.#port.used();
    // Later: who serves it may not have done with it yet.
    queueMicrotask(() =>
      this.#port.guard(() => {
        const owner = this.#owners.get(lane);
        if (!lane.isOpen || owner === undefined) return;
        if (!this.#further.has(lane) || this.#isWanted(owner)) this.#idle.push(lane);
        else lane.destroy();
        this.#serveNext();
      }),
    );
  }

  holds(lane: Lane, bytes: number): void {
    const owner = this.#owners.get(lane);
    if (owner === undefined) return;
    this.#bytes.set(lane, bytes);
    this.#tell(owner);
  }

  over(lane: Lane): void {
    this.#forget(lane);
    this.#port.guard(() => this.#serveNext());
  }

  /** Ends the lanes of that owner, or all. Resolves when nothing of them is left. */
  async close(owner?: LaneOwner): Promise<void> {
    if (owner === undefined) this.#patience?.cancel();
    const isMeant = (other: LaneOwner) => owner === undefined || other === owner;
    for (const [lane, other] of [...this.#owners]) if (isMeant(other)) lane.destroy();
    await Promise.all([...this.#served].flatMap(([served, other]) => (isMeant(other) ? [served] : [])));
  }

  #takeIdle(owner: LaneOwner): Lane | undefined {
    for (let at = this.#idle.length - 1; at >= 0; at--) {
      const lane = this.#idle[at];
      if (lane === undefined || this.#owners.get(lane) !== owner) continue;
      this.#idle.splice(at, 1);
      if (lane.isOpen) return lane;
    }
    return undefined;
  }

  #openLane(owner: LaneOwner): Lane | undefined {
    const more = this.#mayHave(owner);
    if (more === undefined) return undefined;
    const oldest = this.#owners.size < ALL_LANES_MAX ? undefined : this.#idle.shift();
    if (oldest !== undefined) {
      // Another's, whose streams do not need it now.
      this.#forget(oldest);
      oldest.destroy();
    }
    if (this.#owners.size >= ALL_LANES_MAX) return undefined;
    if (more === 'further' && !owner.target.laneRoom.take(owner.session.identity.uri)) return undefined;
    const lane = new Lane(owner.target, owner.session, this);
    this.#owners.set(lane, owner);
    if (more === 'further') this.#further.add(lane);
    this.#served.set(lane.served, owner);
    void lane.served.finally(() => this.#served.delete(lane.served));
    return lane;
  }

  #give(lane: Lane, exchange: StreamExchange, owner: LaneOwner) {
    this.#begunMs.set(lane, owner.target.deps.clock.monotonicMs());
    exchange.begin(lane);
  }

  #isWanted(owner: LaneOwner): boolean {
    for (const other of this.#waiting.values()) if (other === owner) return true;
    return false;
  }

  /** By then some of the streams that have lanes are among those that may keep them for hours. */
  #lookSoon({ target }: LaneOwner) {
    this.#patience ??= target.deps.clock.after(LONG_MS, () => {
      this.#patience = undefined;
      this.#port.guard(() => {
        while (this.#serveNext());
        const [owner] = this.#waiting.values();
        if (owner !== undefined) this.#lookSoon(owner);
      });
    });
  }

  /** Gives the first stream that can have one a lane; false where none can. */
  #serveNext(): boolean {
    for (const [exchange, owner] of this.#waiting) {
      // A client that goes takes its streams back one after another: none of them is begun for that.
      const isWanted = !exchange.isGone && this.#port.isServing;
      const lane = isWanted ? (this.#takeIdle(owner) ?? this.#openLane(owner)) : undefined;
      if (isWanted && lane === undefined) continue;
      this.#waiting.delete(exchange);
      if (lane === undefined) continue;
      this.#give(lane, exchange, owner);
      return true;
    }
    return false;
  }

  /** Whether that owner may have one more lane, for what is soon over or beside that. */
  #mayHave(owner: LaneOwner): 'soon-over' | 'further' | undefined {
    let [lanes, soonOver] = [0, 0];
    const longMs = owner.target.deps.clock.monotonicMs() - LONG_MS;
    for (const [lane, other] of this.#owners) {
      if (other !== owner) continue;
      lanes++;
      if ((this.#begunMs.get(lane) ?? 0) > longMs) soonOver++;
    }
    if (lanes < LANES_MAX) return 'soon-over';
    return soonOver < LANES_MAX ? 'further' : undefined;
  }

  #forget(lane: Lane) {
    const owner = this.#owners.get(lane);
    if (owner === undefined) return;
    this.#owners.delete(lane);
    this.#bytes.delete(lane);
    this.#begunMs.delete(lane);
    if (this.#further.delete(lane)) owner.target.laneRoom.give(owner.session.identity.uri);
    const at = this.#idle.indexOf(lane);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#tell(owner);
  }

  #tell(owner: LaneOwner) {
    let sum = 0;
    for (const [lane, bytes] of this.#bytes) if (this.#owners.get(lane) === owner) sum += bytes;
    owner.session.memory.hold(sum);
  }
}

/** Of a session, served at once, each by a connection upstream of its own, beside those that go on for long; its further streams wait. */
const LANES_MAX = 32;
/** Whatever goes on for longer holds no place of what is soon over. */
const LONG_MS = 250;
/** Of all sessions of a connection: as many as there may be streams. */
const ALL_LANES_MAX = STREAMS_MAX;
