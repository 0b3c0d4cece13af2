import type { Clock } from '../../std/index.ts';
import type { LedgerReader } from '../contract.ts';
import { createDiskFiles, type LedgerFiles } from '../files.ts';
import { createReader, findLastSequence } from './read.ts';

/**
 * Reads a ledger's folder that another process writes, or a copy of one. Nothing is locked or changed. `tail` with `follow`
 * looks for more every 250 ms.
 */
export function createDirectoryReader(deps: {
  readonly clock: Clock;
  readonly directory: string;
  readonly files?: LedgerFiles;
}): LedgerReader {
  const { clock, directory } = deps;
  const files = deps.files ?? createDiskFiles();
  return createReader({
    files,
    directory,
    lastSequence: () => findLastSequence(files, directory),
    onMore(watcher) {
      let timer = clock.after(POLL_MS, poll);
      function poll() {
        timer = clock.after(POLL_MS, poll);
        watcher();
      }
      return () => timer.cancel();
    },
  });
}

const POLL_MS = 250;
