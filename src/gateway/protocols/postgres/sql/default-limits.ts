import type { TextLimits } from './plan.ts';

/**
 * Far above what drivers and tools send: dumps of 20 MB, 65,535 parameters, 20,000 rows of ten columns. The intents of all statements of
 * a text are one batch of the ledger, of which a segment must hold all.
 */
export const defaultLimits: TextLimits = { textBytes: 32 << 20, statements: 20_000, words: 1_000_000 };
