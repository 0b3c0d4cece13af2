import type { Place, SharedDoor } from '../../gateway/index.ts';
import { messageOf } from '../../std/index.ts';
import { claimPort, type PortToClaim } from '../process/claim-port.ts';

/** The doors of all workers, each of which is one target's, and nobody else's while any of them has it. */
export interface SharedDoors {
  /** One worker more has it; else why it can't. */
  take(door: SharedDoor): Place | { readonly shut: string };
}

/** `claim` takes a port for this gateway, and gives it back. */
export function createSharedDoors(claim: (where: PortToClaim) => () => void = claimPort): SharedDoors {
  const doors = new Map<string, { readonly target: string; readonly release: () => void; holders: number }>();
  return {
    take({ target, address, port }) {
      const key = `${address} ${port}`;
      let door = doors.get(key);
      // Clients of one would come to the other: each worker could listen twice.
      if (door !== undefined && door.target !== target) return { shut: `it is the door of target ${door.target}` };
      try {
        door ??= { target, release: claim({ address, port }), holders: 0 };
      } catch (error) {
        return { shut: `${messageOf(error)}${TAKEN}` };
      }
      const taken = door;
      taken.holders++;
      doors.set(key, taken);
      let isLeft = false;
      return {
        leave() {
          if (isLeft) return;
          isLeft = true;
          if (--taken.holders > 0) return;
          doors.delete(key);
          taken.release();
        },
      };
    },
  };
}

/** Whoever it may be. */
export const TAKEN =
  '; if it is in use: by another process, by a gateway for its workers, or by another door of this one';
