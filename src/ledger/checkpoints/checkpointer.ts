import { type Clock, codeOf, type Log, messageOf, type Timer } from '../../std/index.ts';
import { formatCheckpoint, formatNote, type NoteKey, verifyCheckpoint } from '../../wire/tlog/index.ts';
import type { CheckpointKeeper, LedgerSigner } from '../contract.ts';
import { LedgerError } from '../errors.ts';
import type { TreeHead, TreeWriter } from '../tree/tree-writer.ts';
import { UNSIGNED_MS_MAX } from './unsigned-tail.ts';

/** Signs a checkpoint at most every so often while there are new entries, and once more at the end. */
export interface Checkpointer {
  /**
   * Signs what a start found and wrote: nothing new is accepted before. A disk without room, or a signer that is away, is waited for.
   * @throws ERR_LEDGER_CORRUPT when the entries can't be joined to the last checkpoint
   */
  begin(): Promise<void>;
  /** Something was written, which is to be signed in time. */
  wrote(): void;
  /** Why nothing new may be accepted: what no checkpoint covers could be changed unseen, so it must not grow old. */
  refusal(): LedgerError | undefined;
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
  readonly keeper?: CheckpointKeeper;
  readonly key: NoteKey;
  readonly tree: TreeWriter;
  readonly everyMs: number;
  readonly signedSize: number;
  /** Entries written. */
  readonly writtenSize: () => number;
  readonly onSigned: () => void;
}): Checkpointer {
  const { clock, log, tree, writtenSize } = deps;
  let syncedSize = deps.signedSize;
  let signedSize = deps.signedSize;
  let timer: Timer | undefined;
  let running: Promise<void> | undefined;
  let finishing = false;
  let failing: Error | undefined;
  let begun = false;
  /** When the oldest entry without a signature was written, or the last checkpoint was begun if that was later. */
  let unsignedSinceMs: number | undefined;

  const sign = async () => {
    const sinceMs = clock.monotonicMs();
    const head = await tree.advance(syncedSize);
    const note = await signHead(deps, head);
    await tree.publish(note);
    signedSize = head.size;
    begun = true;
    // Whatever was written meanwhile waits since then at most.
    unsignedSinceMs = unsignedSinceMs === undefined ? undefined : Math.max(unsignedSinceMs, sinceMs);
    if (writtenSize() === signedSize) unsignedSinceMs = undefined;
    // Behind all else: what is kept must never be ahead of what is in the folder. It may lag, so its failure stops nothing.
    const unkept = await deps.keeper?.write(note).then(() => undefined, asError);
    if (unkept) {
      failed(unkept);
      deps.onSigned();
      return;
    }
    if (failing) log.info('ledger.checkpoint.resumed', { size: signedSize });
    failing = undefined;
    deps.onSigned();
  };
  const failed = (error: unknown) => {
    if (!failing) log.error('ledger.checkpoint.failed', { size: syncedSize, code: codeOf(error), error });
    failing = asError(error);
  };
  const arm = () => {
    if (timer || running || finishing || syncedSize <= signedSize) return;
    timer = clock.after(deps.everyMs, () => {
      timer = undefined;
      running = sign()
        // Signing is tried again while entries come; before what is unsigned grows old, nothing new is accepted.
        .catch(failed)
        .finally(() => {
          running = undefined;
          arm();
        });
    });
  };
  const unsignedMs = () => (unsignedSinceMs === undefined ? 0 : clock.monotonicMs() - unsignedSinceMs);
  return {
    async begin() {
      try {
        if (syncedSize > signedSize) await sign();
        begun = true;
      } catch (error) {
        if (codeOf(error) === 'ERR_LEDGER_CORRUPT') throw error;
        failed(error);
      }
      arm();
    },
    wrote() {
      unsignedSinceMs ??= clock.monotonicMs();
    },
    refusal() {
      if (begun && unsignedMs() <= UNSIGNED_MS_MAX) return undefined;
      return unsignedTooLong(failing);
    },
    synced(size) {
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
      return { unsignedMs: unsignedMs(), unsignedEntries, failure: failing };
    },
  };
}

async function signHead(
  deps: { readonly origin: string; readonly signer: LedgerSigner; readonly key: NoteKey },
  head: TreeHead,
): Promise<string> {
  const text = formatCheckpoint({ origin: deps.origin, ...head });
  const note = formatNote(text, deps.key, await deps.signer.sign(Buffer.from(text, 'utf8')));
  // A signer that holds another key than it says would otherwise be noticed only by an auditor.
  verifyCheckpoint(note, deps);
  return note;
}

function unsignedTooLong(failing: Error | undefined): LedgerError {
  const code = isFull(failing) ? 'ERR_LEDGER_FULL' : 'ERR_LEDGER_UNSIGNED';
  const why = failing === undefined ? 'it takes too long' : messageOf(failing);
  return new LedgerError(code, `no checkpoint can be signed, so nothing new is accepted: ${why}`, { cause: failing });
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'ERR_LEDGER_FULL'].includes(codeOf(error) ?? '');
}
