import type { TargetView } from '../../model/index.ts';
import { type Clock, sha256 } from '../../std/index.ts';

/** A gateway as the server names it. */
export type GatewayPlace = TargetView['gateways'][number];

/** In which order the gateways of a target are tried for a session. */
export interface GatewayChoice {
  /** Best first. */
  order(target: TargetView): readonly GatewayPlace[];
  /** A session was taken there. */
  took(place: GatewayPlace): void;
  /** It could not be reached, did not answer in time, or takes nobody now. */
  missed(place: GatewayPlace): void;
}

/**
 * Creates the choice of one node: by rendezvous hashing of node, target and gateway, so that nodes spread over all gateways, each stays with its
 * own, and one that goes moves only those that had it. One that was missed comes behind the others for some seconds; then one session at a
 * time finds out whether it is back, so that a host that is silent holds up only that one.
 */
export function createGatewayChoice({ clock, node }: { clock: Clock; node: () => string }): GatewayChoice {
  /** From when on those that were missed may be tried again. */
  const againAtMs = new Map<string, number>();
  const leaveAlone = (key: string) => {
    againAtMs.delete(key);
    againAtMs.set(key, clock.monotonicMs() + LEFT_ALONE_MS);
    // What was missed longest ago may be tried as if it had not been.
    for (const oldest of againAtMs.keys()) if (againAtMs.size > MISSED_MAX) againAtMs.delete(oldest);
  };
  return {
    order(target) {
      const nowMs = clock.monotonicMs();
      const rated = target.gateways.map((place) => {
        const key = keyOf(place);
        const weight = sha256(Buffer.from(`${node()}\n${target.name}\n${key}`)).toString('hex');
        return { place, key, weight, isMissed: (againAtMs.get(key) ?? 0) > nowMs };
      });
      rated.sort((a, b) => Number(a.isMissed) - Number(b.isMissed) || (a.weight < b.weight ? 1 : -1));
      const [first] = rated;
      // It is this session that finds out.
      if (first !== undefined && againAtMs.has(first.key)) leaveAlone(first.key);
      return rated.map(({ place }) => place);
    },
    took: (place) => void againAtMs.delete(keyOf(place)),
    missed: (place) => leaveAlone(keyOf(place)),
  };
}

/** Tells one gateway from all others. */
export function keyOf({ address, spiffeId }: GatewayPlace): string {
  return `${spiffeId} ${address}`;
}

/** A gateway is started again within some seconds; trying it once more costs one session a quarter of a second at most. */
const LEFT_ALONE_MS = 5_000;
/** More than a node is ever told of. */
const MISSED_MAX = 1_000;
