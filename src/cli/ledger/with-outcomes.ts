import type { LedgerEntry } from '../../ledger/index.ts';

/**
 * Finds what was asked together with what came of it: an outcome says neither object nor policy, so it is found with its intent. Entries have to be asked
 * about in their order, with the intents among them; those of another ledger by another one.
 */
export function withOutcomes(matches: (entry: LedgerEntry) => boolean): (entry: LedgerEntry) => boolean {
  const open = new Set<string>();
  return (entry) => {
    const operation = `${entry.session} ${entry.operation}`;
    if (entry.kind === 'outcome') return open.delete(operation) || matches(entry);
    if (!matches(entry)) return false;
    if (entry.kind === 'intent') {
      // Those of gateways that were killed have an outcome too, from the next start; some are long under way.
      for (const oldest of open) {
        if (open.size < OPEN_MAX) break;
        open.delete(oldest);
      }
      open.add(operation);
    }
    return true;
  };
}

/** Operations under way at one time; the outcomes of the oldest beyond that are not found. */
const OPEN_MAX = 100_000;
