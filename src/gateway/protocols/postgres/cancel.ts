import type { SpiffeId } from '@countersign/sdk/identity';
import { constantTimeEqual, type Random } from '../../../std/index.ts';

/** Keys that clients cancel by: ours, never the target's. */
export interface CancelKeys {
  /** Mints a key for a session; `cancel` is called when its own identity shows it. `keyBytes`: 4 in protocol 3.0, 32 in 3.2. */
  mint(identity: SpiffeId, keyBytes: number, cancel: () => void): CancelKey;
  /** Calls the session's `cancel` when key and identity are its own; says nothing either way, as PostgreSQL does. */
  use(identity: SpiffeId, processId: number, key: Buffer): boolean;
}

export interface CancelKey {
  readonly processId: number;
  readonly key: Buffer;
  /** Forgets the key. */
  close(): void;
}

/** Creates the keys of one target. */
export function createCancelKeys(random: Random): CancelKeys {
  const sessions = new Map<number, { identity: string; key: Buffer; cancel: () => void }>();
  return {
    mint(identity, keyBytes, cancel) {
      let processId = 0;
      do processId = random.bytes(4).readUInt32BE() >>> 1;
      while (processId === 0 || sessions.has(processId));
      const key = random.bytes(keyBytes);
      sessions.set(processId, { identity: identity.uri, key, cancel });
      return { processId, key, close: () => void sessions.delete(processId) };
    },
    use(identity, processId, key) {
      const session = sessions.get(processId);
      // A key alone does not do: it may have been seen in the memory or the traffic of the workload it was given to.
      if (session === undefined || session.identity !== identity.uri || !constantTimeEqual(session.key, key))
        return false;
      session.cancel();
      return true;
    },
  };
}
