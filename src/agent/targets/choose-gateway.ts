import type { TargetView } from '../../model/index.ts';
import { type Clock, sha256 } from '../../std/index.ts';

/** A gateway as the server names it. */
export type GatewayPlace = TargetView['gateways'][number];

/** In which order the gateways of a target are tried for a session. */
export interface GatewayChoice {
  /** For one session. */
  order(target: TargetView): GatewayOrder;
  /** A session was taken there. */
  took(place: GatewayPlace): void;
  /** It could not be reached, did not answer in time, or takes nobody now. */
  missed(place: GatewayPlace): void;
  /** These are all that there are: one that was not among them and comes again is as good as any. */
  listed(places: readonly GatewayPlace[]): void;
}

/** The gateways of a target, as one session tries them. */
export interface GatewayOrder {
  /** Best first. */
  readonly places: readonly GatewayPlace[];
  /** It was missed before, so nobody should wait for it for long. */
  isMissed(place: GatewayPlace): boolean;
  /** The session has gone before it found out: what it alone was to try is for another one. */
  giveBack(): void;
}

/**
 * Creates the choice of one node: by rendezvous hashing of node, target and gateway, so that nodes spread over all gateways, each stays with its
 * own, and one that goes moves only those that had it. One that was missed comes behind the others for some seconds, each time for longer; then one
 * session at a time finds out whether it is back, so that a host that is silent holds up only that one, and that one not for long.
 */
export function createGatewayChoice({ clock, node }: { clock: Clock; node: () => string }): GatewayChoice {
  const missed = new Map<string, Missed>();
  const leaveAlone = (
    key: string,
    { forMs, times, isTrial }: Omit<Missed, 'sinceMs' | 'untilMs'> & { forMs: number },
  ) => {
    const nowMs = clock.monotonicMs();
    const one: Missed = { sinceMs: nowMs, untilMs: nowMs + forMs, times, isTrial };
    missed.delete(key);
    missed.set(key, one);
    // What was missed longest ago may be tried as if it had not been.
    for (const oldest of missed.keys()) if (missed.size > MISSED_MAX) missed.delete(oldest);
    return one;
  };
  return {
    order(target) {
      const nowMs = clock.monotonicMs();
      const rated = target.gateways.map((place) => {
        const key = keyOf(place);
        const weight = sha256(Buffer.from(`${node()}\n${target.name}\n${key}`)).toString('hex');
        return { place, key, weight, isMissed: (missed.get(key)?.untilMs ?? 0) > nowMs };
      });
      rated.sort((a, b) => Number(a.isMissed) - Number(b.isMissed) || (a.weight < b.weight ? 1 : -1));
      const first = rated[0]?.key;
      // It is this session that finds out.
      const before = first === undefined ? undefined : missed.get(first);
      const trial =
        first === undefined || before === undefined
          ? undefined
          : leaveAlone(first, { forMs: LEFT_ALONE_MS, times: before.times, isTrial: true });
      return {
        places: rated.map(({ place }) => place),
        isMissed: (place) => missed.has(keyOf(place)),
        giveBack() {
          if (first === undefined || trial === undefined || missed.get(first) !== trial) return;
          const triedMs = clock.monotonicMs() - trial.sinceMs;
          leaveAlone(first, { ...trial, forMs: Math.min(triedMs * LEFT_ALONE_TIMES, LEFT_ALONE_MS) });
        },
      };
    },
    took: (place) => void missed.delete(keyOf(place)),
    missed(place) {
      const key = keyOf(place);
      const before = missed.get(key);
      // Sessions that were on their way together have missed it once, not a hundred times.
      const isSame = before !== undefined && !before.isTrial && clock.monotonicMs() < before.untilMs;
      const times = isSame ? before.times : (before?.times ?? 0) + 1;
      const forMs = Math.min(LEFT_ALONE_MS * 2 ** (times - 1), LEFT_ALONE_MS_MAX);
      leaveAlone(key, { forMs, times, isTrial: false });
    },
    listed(places) {
      const keys = new Set(places.map(keyOf));
      for (const key of missed.keys()) if (!keys.has(key)) missed.delete(key);
    },
  };
}

/** When it was missed, or is tried, and from when on it may be tried again. */
interface Missed {
  readonly sinceMs: number;
  readonly untilMs: number;
  /** In a row. */
  readonly times: number;
  /** One session finds out whether it is back. */
  readonly isTrial: boolean;
}

/** Tells one gateway from all others. */
export function keyOf({ address, spiffeId }: GatewayPlace): string {
  return `${spiffeId} ${address}`;
}

/** A gateway is started again within some seconds; trying it once more costs one session half a second at most. Twice as long each time. */
const LEFT_ALONE_MS = 5_000;
/** Servers tell who is gone, and who is back; this is for one that only this node can't reach. */
const LEFT_ALONE_MS_MAX = 60_000;
/** As long as a session waited in vain: where a host is silent, clients whose patience is short must not all wait for it. */
const LEFT_ALONE_TIMES = 20;
/** More than a node is ever told of. */
const MISSED_MAX = 1_000;
