import { type CliCommand, exitCodes, flagOption, textOption, UsageError } from '../../command.ts';
import { asDamage, damageOf, entriesIn, ledgerLines, ledgerOptions, openLedgerFolder } from '../../ledger/folder.ts';
import { watchReader } from '../../terminal/watch-reader.ts';

export const command: CliCommand = {
  summary: 'Show the newest entries of the ledger.',
  options: [['-n, --lines <count>', 'how many', '20'], ['--follow', 'stay and show each new one'], ...ledgerOptions],
  lines: 'each entry',
  examples: ['countersign ledger tail', 'countersign ledger tail --follow --json'],
  waits: (input) => flagOption(input, 'follow'),
  async run(context, input) {
    const count = Number(textOption(input, 'lines'));
    if (!Number.isSafeInteger(count) || count < 0) throw new UsageError('--lines is a whole number');
    const reader = openLedgerFolder(context, input);
    const damage = await damageOf(reader, context.signal);
    // What can be read is shown all the same; nothing new will ever be read behind the damage.
    const follow = flagOption(input, 'follow') && damage === undefined;
    const lines = ledgerLines(context);
    const watch = follow ? watchReader(context.clock, context.signal) : undefined;
    const { signal } = watch ?? context;
    try {
      const first = (await entriesIn(reader, signal)) - count;
      for await (const entry of reader.tail({ count: count + ENTRIES_BEFORE, follow, signal })) {
        if (entry.seq < first) lines.pass(entry);
        else context.emit(entry, () => lines.line(entry));
      }
    } catch (error) {
      if (watch?.isGone) return exitCodes.ok;
      throw asDamage(error);
    } finally {
      watch?.release();
    }
    if (damage !== undefined) throw damage;
    return exitCodes.ok;
  },
};

/** Outcomes that are shown are mostly about intents among so many entries before them. */
const ENTRIES_BEFORE = 200;
