import { type CliCommand, exitCodes } from '../command.ts';
import { ledgerOptions, openLedgerFolder, sequenceArgument } from '../ledger-folder.ts';

export const command: CliCommand = {
  summary: 'Show one entry of the ledger, whole.',
  arguments: '<sequence>',
  options: ledgerOptions,
  examples: ['countersign ledger show 42'],
  async run(context, input) {
    const entry = await openLedgerFolder(context, input).show(sequenceArgument(input), context.signal);
    context.emit(entry, () => JSON.stringify(entry, null, 2));
    return exitCodes.ok;
  },
};
