import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ownFolderOf, WORKERS, workerNamed } from '../../app/workers/own-folder.ts';
import type { LedgerEntry, LedgerReader } from '../../ledger/index.ts';
import { messageOf } from '../../std/index.ts';
import { type CliContext, type CliInput, textOption, UsageError } from '../command.ts';
import { ledgerFolder, openLedgerIn } from './folder.ts';

/** One of the ledgers that a command reads. `worker`: whose, where a gateway has several; undefined: there is no other. */
export interface NamedLedger {
  readonly directory: string;
  readonly worker: number | undefined;
}

/** One that is read. */
export interface OpenLedger extends NamedLedger {
  readonly reader: LedgerReader;
}

/**
 * The ledgers that are meant: of a gateway those of all its workers, also of such as it has no more, unless one is named; a folder that is named
 * may be a ledger's, or that of a role. @throws UsageError
 */
export function ledgerFolders(context: CliContext, input: CliInput): readonly NamedLedger[] {
  const directory = ledgerFolder(context, input);
  if (textOption(input, 'worker') !== undefined || isOneAlone(directory, input))
    return [{ directory, worker: undefined }];
  const role = dirname(directory);
  const others = workersIn(role);
  if (others.length === 0) return [{ directory, worker: undefined }];
  return [
    { directory, worker: 1 },
    ...others.map((worker) => ({ directory: join(ownFolderOf(role, worker), 'ledger'), worker })),
  ];
}

/** Reads those, beside a role that writes them. @throws UsageError */
export function openLedgers(context: CliContext, input: CliInput): readonly OpenLedger[] {
  return ledgerFolders(context, input).map((ledger) => ({
    ...ledger,
    reader: openLedgerIn(context, ledger.directory),
  }));
}

/** What is printed as JSON of an entry: with whose it is, where there are several. */
export function entryValue(
  entry: LedgerEntry,
  worker: number | undefined,
): LedgerEntry | (LedgerEntry & { worker: number }) {
  return worker === undefined ? entry : { worker, ...entry };
}

/** An entry, and of which worker it is. */
export interface NamedEntry {
  readonly entry: LedgerEntry;
  readonly worker: number | undefined;
}

/** Entries of several ledgers, each of which has them in the order of time, in that order; of one moment, those of the first ledger first. */
export async function* inOrderOfTime(
  ledgers: readonly { readonly worker: number | undefined; readonly entries: AsyncIterable<LedgerEntry> }[],
): AsyncGenerator<NamedEntry> {
  const sources = ledgers.map(({ worker, entries }) => ({ worker, iterator: entries[Symbol.asyncIterator]() }));
  try {
    const heads = await Promise.all(sources.map(({ iterator }) => iterator.next()));
    for (;;) {
      let first = -1;
      heads.forEach(({ done, value }, index) => {
        if (done !== true && (first < 0 || value.timeMs < heads[first]?.value.timeMs)) first = index;
      });
      const [head, source] = [heads[first], sources[first]];
      if (head === undefined || source === undefined || head.done === true) return;
      yield { entry: head.value, worker: source.worker };
      heads[first] = await source.iterator.next();
    }
  } finally {
    await Promise.all(sources.map(({ iterator }) => iterator.return?.()));
  }
}

/** Whether the folder that was named is that of a ledger itself. */
function isOneAlone(directory: string, input: CliInput): boolean {
  return textOption(input, 'dir') === directory;
}

/** Numbers of those that have, or had, a ledger in a gateway's folder, but for the first. @throws UsageError */
function workersIn(role: string): number[] {
  const folder = join(role, WORKERS);
  if (!existsSync(folder)) return [];
  try {
    return readdirSync(folder)
      .flatMap((name) => workerNamed(name) ?? [])
      .filter((number) => ['ledger', 'ledger.vkey'].some((name) => existsSync(join(ownFolderOf(role, number), name))))
      .toSorted((a, b) => a - b);
  } catch (cause) {
    throw new UsageError(`${folder} has ledgers of the gateway that this user may not read: ${messageOf(cause)}`, {
      cause,
    });
  }
}
