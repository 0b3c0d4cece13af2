import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EVENT_VERSION, type LedgerEvent } from '../model/index.ts';
import { formatCanonicalJson, noteKeyOf } from '../wire/tlog/index.ts';
import { createDirectoryReader, createLedger, type LedgerEntry, verifyLedger, verifyProof } from './index.ts';
import { event, never, ORIGIN, realDeps, testDirectory, testSigner } from './testing/ledger-fixture.ts';

// Goal: what a newer version writes into its entries is shown by this one, proven, verified and written on behind, and never called corrupt.

const writer = vi.hoisted(() => ({ isNewer: false }));
vi.mock(import('./entry.ts'), async (load) => {
  const actual = await load();
  return {
    ...actual,
    formatEntry(given, at) {
      const text = actual.formatEntry(given, at);
      return writer.isNewer ? formatCanonicalJson({ ...JSON.parse(text), ...NEWER }) : text;
    },
  };
});

const NEWER = { v: EVENT_VERSION + 1, zone: { name: 'eu', racks: [1, 2] } };
const newer = [
  // Kinds are few today.
  event({ kind: 'approval' as LedgerEvent['kind'], operation: '' }),
  event({ kind: 'admin', detail: { step: 'done', approvers: [{ person: 'ada', at: { desk: true } }] } }),
  event({ operation: 'o9' }),
];

let folder: ReturnType<typeof testDirectory>;
beforeEach(async () => {
  folder = testDirectory();
  writer.isNewer = true;
  const ledger = createLedger(realDeps(folder.directory));
  await ledger.start(never);
  ledger.appendAll(newer);
  await ledger.stop();
  writer.isNewer = false;
});
afterEach(() => folder.remove());

const all = async (entries: AsyncIterable<LedgerEntry>): Promise<LedgerEntry[]> => {
  const list: LedgerEntry[] = [];
  for await (const entry of entries) list.push(entry);
  return list;
};
const reader = () => createDirectoryReader({ clock: realDeps('').clock, directory: folder.directory });
const expected = newer.map(({ kind, detail }) => ({ kind, detail, ...NEWER }));

describe('entries of a newer writer', () => {
  it('are shown whole, one by one, at the end of the log and in a search', async () => {
    expect(await reader().show(1, never)).toMatchObject(expected[0] ?? {});
    const tail = await all(reader().tail({ count: 4, follow: false, signal: never }));
    expect(tail.slice(0, 3)).toMatchObject(expected);
    expect((await all(reader().search({}, never))).slice(1, 4)).toMatchObject(expected);
    expect(await all(reader().search({ kinds: ['approval'] }, never))).toMatchObject([expected[0]]);
  });

  it('are proven, and verified with all others', async () => {
    const proof = await reader().prove(2, never);
    const key = noteKeyOf(ORIGIN, testSigner().publicKey);
    expect(verifyProof(proof, { origin: ORIGIN, key }).entry).toMatchObject(expected[1] ?? {});
    const report = await verifyLedger(folder.directory, key, { signal: never });
    expect(report).toMatchObject({ ok: true, entries: 5, findings: [] });
  });

  it('stay where this version goes on behind them, and end what they began', async () => {
    const ledger = createLedger(realDeps(folder.directory));
    await ledger.start(never);
    const entries = await all(ledger.search({}, never));
    await ledger.stop();
    expect(entries.slice(1, 4)).toMatchObject(expected);
    expect(entries).toContainEqual(
      expect.objectContaining({
        ...{ kind: 'outcome', operation: 'o9', v: EVENT_VERSION },
        detail: expect.objectContaining({ status: 'unknown' }),
      }),
    );
  });
});
