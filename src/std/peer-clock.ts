import type { Clock } from './clock.ts';

/** How far the wall clock of another machine is from this one's, by what that machine says. */
export interface PeerClock {
  /** It said what time it is there, epoch milliseconds. */
  says(epochMs: number): void;
  /** It showed something by which its clock can't be before or after that. What it says counts more. */
  isBeyond(epochMs: number, side: 'not-before' | 'not-after'): void;
  /** Undefined while nothing was heard. */
  offset(): ClockOffset | undefined;
}

export interface ClockOffset {
  /** Positive: the other one is ahead. */
  readonly aheadMs: number;
  /** False: by so much at least. */
  readonly exact: boolean;
  /** Whose clock was stepped since they last agreed, as far as that can be told. */
  readonly stepped: 'own' | 'peer' | undefined;
}

/**
 * Creates one. What the other said is carried on by monotonic time, so a step of the own clock shows at once, and who stepped is told by whose
 * clock left that time.
 */
export function createPeerClock(clock: Clock): PeerClock {
  const own = () => clock.now() - clock.monotonicMs();
  const firstOwn = own();
  let firstPeer: number | undefined;
  let peer: number | undefined;
  let bound: { readonly aheadMs: number } | undefined;
  return {
    says(epochMs) {
      peer = epochMs - clock.monotonicMs();
      firstPeer ??= peer;
      bound = undefined;
    },
    isBeyond(epochMs, side) {
      const aheadMs = epochMs - clock.now();
      if (side === 'not-before' ? aheadMs > 0 : aheadMs < 0) bound = { aheadMs };
    },
    offset() {
      if (bound === undefined && peer === undefined) return undefined;
      const ownStepped = Math.abs(own() - firstOwn) >= STEP_MS;
      const peerStepped = peer !== undefined && firstPeer !== undefined && Math.abs(peer - firstPeer) >= STEP_MS;
      const stepped = ownStepped === peerStepped ? undefined : ownStepped ? 'own' : 'peer';
      if (bound !== undefined) return { aheadMs: bound.aheadMs, exact: false, stepped };
      return { aheadMs: (peer ?? 0) - own(), exact: true, stepped };
    },
  };
}

/** What is told in whole seconds, over a network, and slewed by a disciplined clock stays well below. */
const STEP_MS = 10_000;
