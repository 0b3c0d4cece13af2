import type { LedgerEntry } from '../../../ledger/index.ts';
import { type CliCommand, exitCodes, flagOption, textOption, UsageError } from '../../command.ts';
import { asDamage, damageOfAny, entriesIn, ledgerLines, ledgerOptions } from '../../ledger/folder.ts';
import { entryValue, inOrderOfTime, type NamedEntry, type OpenLedger, openLedgers } from '../../ledger/ledgers.ts';
import type { LedgerLines } from '../../ledger/lines.ts';
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
    const ledgers = openLedgers(context, input);
    const damage = await damageOfAny(ledgers, context.signal);
    // What can be read is shown all the same; nothing new will ever be read behind the damage.
    const follow = flagOption(input, 'follow') && damage === undefined;
    const lines = ledgerLines(context);
    const watch = follow ? watchReader(context.clock, context.signal) : undefined;
    const { signal } = watch ?? context;
    try {
      const tails = await Promise.all(ledgers.map((ledger) => beginTail(ledger, { count, follow, signal })));
      const show = ({ entry, worker }: NamedEntry) =>
        context.emit(entryValue(entry, worker), () => lines.line(entry, worker));
      await showNewest(tails, { count, lines, show });
      await Promise.all(tails.map((tail) => tail.rest(show)));
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

/** Shows the newest entries of all of them; what was read before one that can't be, too. */
async function showNewest(
  tails: readonly Awaited<ReturnType<typeof beginTail>>[],
  { count, lines, show }: { count: number; lines: LedgerLines; show: (one: NamedEntry) => void },
): Promise<void> {
  const [only, other] = tails;
  const there: NamedEntry[] = [];
  let failure: unknown;
  try {
    for await (const one of inOrderOfTime(tails)) {
      // Of one ledger it is known which they are before they are read.
      if (only === undefined || other !== undefined) there.push(one);
      else if (one.entry.seq < only.until - count) lines.pass(one.entry);
      else show(one);
    }
  } catch (error) {
    failure = error;
  }
  for (const { entry } of there.slice(0, Math.max(0, there.length - count))) lines.pass(entry);
  for (const one of there.slice(Math.max(0, there.length - count))) show(one);
  if (failure !== undefined) throw failure;
}

/** The newest entries of a ledger, and then, where it is followed, what is written to it. */
async function beginTail(
  { reader, worker }: OpenLedger,
  { count, follow, signal }: { count: number; follow: boolean; signal: AbortSignal },
) {
  const until = await entriesIn(reader, signal);
  const all = reader.tail({ count: count + ENTRIES_BEFORE, follow, signal })[Symbol.asyncIterator]();
  /** Read, and not of those that were there. */
  let next: LedgerEntry | undefined;
  return {
    ...{ worker, until },
    entries: (async function* () {
      if (until === 0) return;
      for (let { done, value } = await all.next(); done !== true; { done, value } = await all.next()) {
        if (value.seq >= until) next = value;
        else yield value;
        if (value.seq >= until - 1) return;
      }
    })(),
    async rest(show: (one: NamedEntry) => void) {
      if (next !== undefined) show({ entry: next, worker });
      for (let { done, value } = await all.next(); done !== true; { done, value } = await all.next())
        show({ entry: value, worker });
    },
  };
}

/** Outcomes that are shown are mostly about intents among so many entries before them. */
const ENTRIES_BEFORE = 200;
