import { type Clock, codeOf, type Log, type Timer } from '../std/index.ts';
import { formatCheckpoint, formatNote, type NoteKey, verifyCheckpoint } from '../wire/tlog/index.ts';
import type { LedgerSigner } from './contract.ts';
import type { TreeWriter } from './tree-writer.ts';

/** Signs a checkpoint at most every so often while there are new entries, and once more at the end. */
export interface Checkpointer {
  /** Entries below `size` are on disk. */
  synced(size: number): void;
  /** Signs what is still unsigned, whatever the interval; the tree's first failure is thrown. */
  finish(): Promise<void>;
  /** How far signing is behind: see `LedgerState`. */
  lag(): { readonly unsignedMs: number; readonly unsignedEntries: number; readonly failure: Error | undefined };
}

/** Creates a {@link Checkpointer}. The private key never leaves its holder: the tree goes to the signer, not the key to the tree. */
export function createCheckpointer(deps: {
  readonly clock: Clock;
  readonly log: Log;
  readonly origin: string;
  readonly signer: LedgerSigner;
  readonly key: NoteKey;
  readonly tree: TreeWriter;
  readonly everyMs: number;
  readonly signedSize: number;
  readonly onSigned: () => void;
}): Checkpointer {
  const { clock, log, tree } = deps;
  let syncedSize = deps.signedSize;
  let signedSize = deps.signedSize;
  let timer: Timer | undefined;
  let running: Promise<void> | undefined;
  let finishing = false;
  let failing: Error | undefined;
  /** When the oldest entry without a signature came to be on disk, or the last checkpoint was signed if that was later. */
  let unsignedSinceMs = 0;

  const sign = async () => {
    const head = await tree.advance(syncedSize);
    const text = formatCheckpoint({ origin: deps.origin, ...head });
    const signature = await deps.signer.sign(Buffer.from(text, 'utf8'));
    const note = formatNote(text, deps.key, signature);
    // A signer that holds another key than it says would otherwise be noticed only by an auditor.
    verifyCheckpoint(note, deps);
    await tree.publish(note);
    signedSize = head.size;
    unsignedSinceMs = clock.monotonicMs();
    if (failing) log.info('ledger.checkpoint.resumed', { size: signedSize });
    failing = undefined;
    deps.onSigned();
  };
  const arm = () => {
    if (timer || running || finishing || syncedSize <= signedSize) return;
    timer = clock.after(deps.everyMs, () => {
      timer = undefined;
      running = sign()
        .catch((error: unknown) => {
          // Entries go on being accepted and synced: they are signed when the tree, the key or the disk is back. A tree that
          // can't be led on from the entries stays unsigned for good, which is what a verifier should see.
          if (!failing) log.error('ledger.checkpoint.failed', { size: syncedSize, code: codeOf(error), error });
          failing = error instanceof Error ? error : new Error(String(error));
        })
        .finally(() => {
          running = undefined;
          arm();
        });
    });
  };
  return {
    synced(size) {
      if (size > syncedSize && syncedSize === signedSize) unsignedSinceMs = clock.monotonicMs();
      syncedSize = size;
      arm();
    },
    async finish() {
      finishing = true;
      timer?.cancel();
      await running;
      if (syncedSize > signedSize) await sign();
    },
    lag() {
      const unsignedEntries = syncedSize - signedSize;
      const unsignedMs = unsignedEntries > 0 ? clock.monotonicMs() - unsignedSinceMs : 0;
      return { unsignedMs, unsignedEntries, failure: failing };
    },
  };
}
