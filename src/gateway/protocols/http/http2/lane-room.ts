/** How many lanes beyond those of a burst the connections of one identity have together. */
export interface LaneRoom {
  /** False: it has as many as it may. */
  take(identity: string): boolean;
  give(identity: string): void;
}

/** Creates it, for one target. */
export function createLaneRoom(): LaneRoom {
  const taken = new Map<string, number>();
  return {
    take(identity) {
      const count = taken.get(identity) ?? 0;
      if (count >= FURTHER_MAX) return false;
      taken.set(identity, count + 1);
      return true;
    },
    give(identity) {
      const count = taken.get(identity) ?? 0;
      if (count <= 1) taken.delete(identity);
      else taken.set(identity, count - 1);
    },
  };
}

/** Each is a connection upstream: four connections of a client can have all of theirs, and no identity has those of all others. */
const FURTHER_MAX = 4 * 68;
