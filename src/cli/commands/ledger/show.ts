import { join } from 'node:path';
import { parseWithheldKey, WITHHELD_KEY_FILE } from '../../../app/role-keys.ts';
import { gatewayFolderOf } from '../../../app/workers/own-folder.ts';
import { openWithheld } from '../../../gateway/index.ts';
import type { LedgerEntry } from '../../../ledger/index.ts';
import { readGivenSecret } from '../../../private-files/index.ts';
import { createSealer, SealError } from '../../../wire/seal/index.ts';
import {
  type CliCommand,
  type CliContext,
  type CliInput,
  exitCodes,
  flagOption,
  textOption,
  UsageError,
} from '../../command.ts';
import { ledgerFolder, ledgerOptions, openLedgerFolder, readSigned, sequenceArgument } from '../../ledger/folder.ts';
import { fieldsOf } from '../../ledger/lines.ts';
import { formatFields } from '../../terminal/table.ts';

export const command: CliCommand = {
  summary: 'Show one entry of the ledger, whole; with --json as it was written.',
  arguments: '<sequence>',
  options: [
    ...ledgerOptions,
    ['--withheld', "with what the client was not shown of the target's error"],
    ['--withheld-key <file>', "the key that opens it (default: withheld.key beside the ledger's folder)"],
  ],
  examples: ['countersign ledger show 42', 'countersign ledger show 42 --withheld'],
  async run(context, input) {
    const sequence = sequenceArgument(input);
    const reader = openLedgerFolder(context, input);
    const entry = await readSigned(reader, sequence, () => reader.show(sequence, context.signal));
    const shown = flagOption(input, 'withheld') ? await withWithheld(entry, context, input) : entry;
    context.emit(shown, () => formatFields(fieldsOf(shown), context.columns));
    return exitCodes.ok;
  },
};

/** The entry with the sealed texts opened. @throws UsageError without them, or without the right to them */
async function withWithheld(entry: LedgerEntry, context: CliContext, input: CliInput) {
  const sealed = entry.detail['withheld'];
  if (typeof sealed !== 'string') throw new UsageError(`nothing was withheld of entry ${entry.seq}`);
  const path =
    textOption(input, 'withheldKey') ?? join(gatewayFolderOf(ledgerFolder(context, input)), WITHHELD_KEY_FILE);
  const text = await readGivenSecret(`file:${path}`, { env: context.env, bytesMax: 1024 }).catch((cause) => {
    throw new UsageError(`what was withheld of entry ${entry.seq} takes the key ${path}, which this user can't read`, {
      cause,
    });
  });
  if (text === undefined) throw new UsageError(`there is no key ${path}; name the gateway's with --withheld-key`);
  const sealer = createSealer(parseWithheldKey(path, text.reveal().toString('latin1')), context.random);
  try {
    return { ...entry, detail: { ...entry.detail, withheld: openWithheld(sealer, sealed, entry) } };
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    throw new UsageError(`${path} does not open what was withheld of entry ${entry.seq}: it is another gateway's key`, {
      cause: error,
    });
  }
}
