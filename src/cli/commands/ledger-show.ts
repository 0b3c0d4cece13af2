import { type CliCommand, exitCodes } from '../command.ts';
import { ledgerOptions, openLedgerFolder, readSigned, sequenceArgument } from '../ledger-folder.ts';

export const command: CliCommand = {
  summary: 'Show one entry of the ledger, whole.',
  arguments: '<sequence>',
  options: ledgerOptions,
  examples: ['countersign ledger show 42'],
  async run(context, input) {
    const sequence = sequenceArgument(input);
    const reader = openLedgerFolder(context, input);
    const entry = await readSigned(reader, sequence, () => reader.show(sequence, context.signal));
    context.emit(entry, () => JSON.stringify(entry, null, 2));
    return exitCodes.ok;
  },
};
