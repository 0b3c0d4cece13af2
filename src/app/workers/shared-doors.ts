import type { Place, SharedDoor } from '../../gateway/index.ts';
import { messageOf } from '../../std/index.ts';
import { claimPort, type PortToClaim } from '../process/claim-port.ts';

/** The doors of all workers, each of which is one owner's, and nobody else's while any of them has it. */
export interface SharedDoors {
  /** That worker has it as well; else why it can't. */
  take(door: SharedDoor, worker: number): Place | { readonly shut: string };
}

/** `claim` takes a port for this gateway, and gives it back. */
export function createSharedDoors(claim: (where: PortToClaim) => () => void = claimPort): SharedDoors {
  const doors = new Map<
    string,
    { readonly target: string; readonly release: () => void; readonly holders: Set<number> }
  >();
  return {
    take({ target, address, port }, worker) {
      const key = `${address} ${port}`;
      let door = doors.get(key);
      // Clients of one would come to the other: each worker could listen twice.
      if (door !== undefined && door.target !== target) return { shut: `it is the door of target ${door.target}` };
      if (door?.holders.has(worker) === true) return { shut: APART };
      try {
        door ??= { target, release: claim({ address, port }), holders: new Set() };
      } catch (error) {
        return { shut: `${messageOf(error)}${TAKEN}` };
      }
      const taken = door;
      taken.holders.add(worker);
      doors.set(key, taken);
      let isLeft = false;
      return {
        leave() {
          if (isLeft) return;
          isLeft = true;
          taken.holders.delete(worker);
          if (taken.holders.size > 0) return;
          doors.delete(key);
          taken.release();
        },
      };
    },
  };
}

/** The system would take a second one beside it, and give each client to either. */
const APART =
  'another door of this gateway is there; targets share one whose listen.host is written alike, and none of whose hosts is of two';
/** Whoever it may be. */
export const TAKEN =
  '; if it is in use: by another process, by a gateway for its workers, or by another door of this one';
