import type { SpiffeId } from '@countersign/sdk/identity';
import { constantTimeEqual, type Random } from '../../../../std/index.ts';

/** Keys that clients cancel by: ours, never the target's. */
export interface CancelKeys {
  /**
   * Mints a key for a session of that process of the target; `cancel` is called when its own identity shows it. `keyBytes`: 4 in protocol 3.0,
   * 32 in 3.2.
   */
  mint(
    session: { readonly identity: SpiffeId; readonly processId: number; readonly keyBytes: number },
    cancel: () => Promise<void>,
  ): CancelKey;
  /** Calls the session's `cancel` when key and identity are its own, and answers its promise; else undefined. */
  use(identity: SpiffeId, processId: number, key: Buffer): Promise<void> | undefined;
}

export interface CancelKey {
  readonly processId: number;
  readonly key: Buffer;
  /** Forgets the key. */
  close(): void;
}

interface Session {
  readonly identity: string;
  readonly key: Buffer;
  readonly cancel: () => Promise<void>;
}

/** Creates the keys of one target. */
export function createCancelKeys(random: Random): CancelKeys {
  // What stands behind a target's name may be several servers, which number their processes alike.
  const sessions = new Map<number, Set<Session>>();
  return {
    mint({ identity, processId, keyBytes }, cancel) {
      const session: Session = { identity: identity.uri, key: random.bytes(keyBytes), cancel };
      const alike = sessions.get(processId) ?? new Set();
      sessions.set(processId, alike.add(session));
      return {
        processId,
        key: session.key,
        close() {
          alike.delete(session);
          if (alike.size === 0 && sessions.get(processId) === alike) sessions.delete(processId);
        },
      };
    },
    use(identity, processId, key) {
      for (const session of sessions.get(processId) ?? []) {
        // A key alone does not do: it may have been seen in the memory or the traffic of the workload it was given to.
        if (session.identity !== identity.uri || !constantTimeEqual(session.key, key)) continue;
        return session.cancel();
      }
      return undefined;
    },
  };
}

/** A request to cancel, for those who may have the session that it is about. */
export function wordOf(processId: number, key: Buffer): Buffer {
  const word = Buffer.alloc(PROCESS_ID_BYTES + key.length);
  word.writeInt32BE(processId);
  key.copy(word, PROCESS_ID_BYTES);
  return word;
}

/** Does what such a word asks, where the session is here: false, where it is not or may not be cancelled by that identity. */
export function hearWord(keys: Pick<CancelKeys, 'use'>, identity: SpiffeId, word: Buffer): boolean {
  if (word.length <= PROCESS_ID_BYTES) return false;
  return keys.use(identity, word.readInt32BE(), word.subarray(PROCESS_ID_BYTES)) !== undefined;
}

const PROCESS_ID_BYTES = 4;
