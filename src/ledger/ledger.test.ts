import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LedgerEvent } from '../model/index.ts';
import { codeOf } from '../std/index.ts';
import { noteKeyOf } from '../wire/tlog/index.ts';
import { createLedger, type LedgerEntry, verifyProof } from './index.ts';
import {
  event,
  never,
  ORIGIN,
  operation,
  realDeps,
  testDeps,
  testDirectory,
  testSigner,
} from './testing/ledger-fixture.ts';

// The promises of the ledger as its users meet them: numbers, order, restart, proofs.

let folder: ReturnType<typeof testDirectory>;
beforeEach(() => {
  folder = testDirectory();
});
afterEach(() => folder.remove());

const all = async (entries: AsyncIterable<LedgerEntry>): Promise<LedgerEntry[]> => {
  const list: LedgerEntry[] = [];
  for await (const entry of entries) list.push(entry);
  return list;
};
/** Small segments are used up faster than a busy machine makes new ones: then the next turn is waited for. */
const appendPatiently = async (
  ledger: ReturnType<typeof createLedger>,
  events: readonly LedgerEvent[],
): Promise<number> => {
  for (let attempt = 0; ; attempt++) {
    try {
      return ledger.appendAll(events);
    } catch (error) {
      if (codeOf(error) !== 'ERR_LEDGER_FULL' || attempt > 100_000) throw error;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
};
const readAll = (ledger: ReturnType<typeof createLedger>) => all(ledger.search({}, never));

describe('a ledger', () => {
  it('numbers entries without gaps, over segments and restarts', async () => {
    const ledger = createLedger(realDeps(folder.directory));
    await ledger.start(never);
    expect(ledger.sequence).toBe(0);
    for (let i = 0; i < 1000; i++) {
      for (const each of operation(i)) {
        const sequence = await appendPatiently(ledger, [each]);
        expect(sequence).toBe(ledger.sequence);
        if (i % 50 === 0) await ledger.synced(sequence);
      }
    }
    expect(ledger.appendAll([event({ kind: 'admin' }), event({ kind: 'denial' })])).toBe(2001);
    await ledger.stop();
    const again = createLedger(realDeps(folder.directory));
    await again.start(never);
    again.append(event());
    const entries = await readAll(again);
    expect(entries.map((entry) => entry.seq)).toEqual(entries.map((_, i) => i));
    expect(entries.filter((entry) => entry.kind === 'ledger').map((entry) => entry.action)).toEqual([
      'start',
      'stop',
      'start',
    ]);
    await again.stop();
  });

  it('says in the entry of each start what its writer has to say of itself', async () => {
    for (const digestKey of ['first', 'second']) {
      const ledger = createLedger({ ...realDeps(folder.directory), about: { digestKey } });
      await ledger.start(never);
      const start = await ledger.show(ledger.sequence, never);
      expect(start).toMatchObject({ action: 'start', detail: { digestKey, tornBytes: 0, unknownOutcomes: 0 } });
      await ledger.stop();
    }
  });

  it('gives an intent left without outcome the outcome unknown at the next start', async () => {
    const ledger = createLedger(realDeps(folder.directory));
    await ledger.start(never);
    const [intent] = operation(7);
    const sequence = ledger.append(intent);
    ledger.appendAll(operation(8));
    await ledger.stop();
    for (const expected of [1, 0]) {
      const again = createLedger(realDeps(folder.directory));
      await again.start(never);
      const [start] = (await all(again.search({ kinds: ['ledger'], action: 'start' }, never))).slice(-1);
      expect(start?.detail['unknownOutcomes']).toBe(expected);
      const outcomes = await all(again.search({ kinds: ['outcome'] }, never));
      const unknown = outcomes.filter((entry) => entry.detail['status'] === 'unknown');
      expect(unknown.map((entry) => [entry.operation, entry.detail['intent']])).toEqual([['o7', sequence]]);
      await again.stop();
    }
  });

  it('never lets time go back, and keeps what the wall clock said', async () => {
    const ledger = createLedger(testDeps(folder.directory));
    await Promise.all([ledger.start(never)]);
    const start = await ledger.show(0, never);
    ledger.append(event({ timeMs: start.timeMs + 1000 }));
    ledger.append(event({ timeMs: start.timeMs - 5000 }));
    ledger.append(event({ timeMs: start.timeMs + 2000 }));
    const times = (await readAll(ledger))
      .slice(1)
      .map((entry) => [entry.timeMs - start.timeMs, (entry.wallMs ?? entry.timeMs) - start.timeMs]);
    expect(times).toEqual([
      [1000, 1000],
      [1000, -5000],
      [2000, 2000],
    ]);
    await ledger.stop();
  });

  it('proves an entry to whoever has the public key', async () => {
    const ledger = createLedger(realDeps(folder.directory));
    await ledger.start(never);
    for (let i = 0; i < 700; i++) await appendPatiently(ledger, operation(i));
    await ledger.stop();
    const reader = createLedger(realDeps(folder.directory));
    await reader.start(never);
    const key = noteKeyOf(ORIGIN, testSigner().publicKey);
    for (const sequence of [0, 1, 255, 256, 511, 512, 1023, 1400]) {
      const proof = await reader.prove(sequence, never);
      expect(verifyProof(proof, { origin: ORIGIN, key }).entry).toEqual(await reader.show(sequence, never));
      const forged = { ...proof, entry: proof.entry.replace('"timeMs":1', '"timeMs":2') };
      expect(() => verifyProof(forged, { origin: ORIGIN, key })).toThrow(
        expect.objectContaining({ code: 'ERR_LEDGER_PROOF_INVALID' }),
      );
    }
    expect(verifyProof(await reader.prove(reader.sequence, never), { origin: ORIGIN, key }).entry.kind).toBe('ledger');
    const fresh = reader.append(event());
    await expect(reader.prove(fresh, never)).rejects.toMatchObject({ code: 'ERR_LEDGER_NOT_FOUND' });
    await reader.stop();
  });

  it('refuses a second writer in the same folder, and lets it in once the first has stopped', async () => {
    const first = createLedger(realDeps(folder.directory));
    const second = createLedger(realDeps(folder.directory));
    await first.start(never);
    await expect(second.start(never)).rejects.toMatchObject({ code: 'ERR_LEDGER_LOCKED' });
    await second.stop();
    await first.stop();
    await second.start(never);
    await second.stop();
  });

  it('refuses what is not canonical JSON, and goes on', async () => {
    const ledger = createLedger(realDeps(folder.directory));
    await ledger.start(never);
    const before = ledger.sequence;
    for (const bad of [0.5, '\ud800', Number.MAX_VALUE]) {
      expect(() => ledger.append(event({ detail: { bad } }))).toThrow(
        expect.objectContaining({ code: 'ERR_LEDGER_ENTRY_INVALID' }),
      );
    }
    expect(() => ledger.append(event({ detail: { big: 'x'.repeat(40_000) } }))).toThrow(
      expect.objectContaining({ code: 'ERR_LEDGER_ENTRY_INVALID' }),
    );
    expect(ledger.append(event())).toBe(before + 1);
    await ledger.stop();
  });

  it('accepts nothing before start and after stop', async () => {
    const ledger = createLedger(realDeps(folder.directory));
    const attempt = () => {
      try {
        ledger.append(event());
        return undefined;
      } catch (error) {
        return codeOf(error);
      }
    };
    expect(attempt()).toBe('ERR_LEDGER_CLOSED');
    await ledger.start(never);
    expect(attempt()).toBeUndefined();
    await ledger.stop();
    expect(attempt()).toBe('ERR_LEDGER_CLOSED');
  });

  it('follows new entries as they are written', async () => {
    const ledger = createLedger(realDeps(folder.directory));
    await ledger.start(never);
    ledger.append(event({ operation: 'before' }));
    const seen: string[] = [];
    const abort = new AbortController();
    const following = (async () => {
      for await (const entry of ledger.tail({ count: 1, follow: true, signal: abort.signal })) {
        seen.push(entry.operation);
        if (seen.length < 4) ledger.append(event({ operation: `after-${seen.length}` }));
        else abort.abort();
      }
    })();
    await expect(following).rejects.toMatchObject({ name: 'AbortError' });
    expect(seen).toEqual(['before', 'after-1', 'after-2', 'after-3']);
    await ledger.stop();
  });
});
