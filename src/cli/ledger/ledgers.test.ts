import { describe, expect, it } from 'vitest';
import type { LedgerEntry } from '../../ledger/index.ts';
import { inOrderOfTime } from './ledgers.ts';

const entry = (seq: number, timeMs: number): LedgerEntry => ({
  ...{ seq, timeMs, kind: 'intent', actor: '', target: '', action: '', session: '', operation: '', detail: {} },
});

async function* ledger(...timesMs: number[]): AsyncGenerator<LedgerEntry> {
  for (const [seq, timeMs] of timesMs.entries()) yield entry(seq, timeMs);
}

async function merged(...ledgers: number[][]): Promise<string[]> {
  const all: string[] = [];
  const named = ledgers.map((times, index) => ({ worker: index + 1, entries: ledger(...times) }));
  for await (const one of inOrderOfTime(named)) all.push(`${one.worker}/${one.entry.seq}`);
  return all;
}

describe('entries of several ledgers', () => {
  it('come in the order of time, those of one ledger in their own', async () => {
    expect(await merged([1, 4, 4, 9], [], [2, 3, 10])).toEqual(['1/0', '3/0', '3/1', '1/1', '1/2', '1/3', '3/2']);
    expect(await merged([5], [5])).toEqual(['1/0', '2/0']);
    expect(await merged([], [])).toEqual([]);
    expect(await merged()).toEqual([]);
  });

  it('are read no further by whoever has enough, and every ledger is let go of', async () => {
    let open = 0;
    const endless = async function* () {
      open++;
      try {
        for (let seq = 0; ; seq++) yield entry(seq, seq);
      } finally {
        open--;
      }
    };
    const ledgers = [1, 2].map((worker) => ({ worker, entries: endless() }));
    for await (const one of inOrderOfTime(ledgers)) if (one.entry.seq === 3) break;
    expect(open).toBe(0);
  });
});
