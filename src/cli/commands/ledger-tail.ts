import { type CliCommand, exitCodes, flagOption, textOption, UsageError } from '../command.ts';
import { formatEntryLine, ledgerOptions, openLedgerFolder } from '../ledger-folder.ts';

export const command: CliCommand = {
  summary: 'Show the newest entries of the ledger.',
  options: [['-n, --lines <count>', 'how many', '20'], ['--follow', 'stay and show each new one'], ...ledgerOptions],
  examples: ['countersign ledger tail', 'countersign ledger tail --follow --json'],
  async run(context, input) {
    const count = Number(textOption(input, 'lines'));
    if (!Number.isSafeInteger(count) || count < 0) throw new UsageError('--lines is a whole number');
    const entries = openLedgerFolder(context, input).tail({
      count,
      follow: flagOption(input, 'follow'),
      signal: context.signal,
    });
    for await (const entry of entries) context.emit(entry, () => formatEntryLine(entry));
    return exitCodes.ok;
  },
};
