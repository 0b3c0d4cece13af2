import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import type { LedgerSource } from '../../ledger/index.ts';
import type { LogBatch, LogStand } from '../../records/index.ts';
import { createManualClock, createSeededRandom, createSilentLog, type ManualClock } from '../../std/index.ts';
import { createLedgerShipping, type LedgerShipping } from './ship-ledger.ts';

// Goal: what is signed is shipped in order and once, a server that is away costs nothing but lag, and a stop ships the last of it.

let clock: ManualClock;
let shipping: LedgerShipping;
/** How many entries are signed, and to which of them they can be read. */
let ledger: { signed: number; readable: number };
let server: { isThere: boolean; stand: LogStand; batches: LogBatch[] };

beforeEach(() => {
  clock = createManualClock(1_000_000);
  ledger = { signed: 0, readable: Number.POSITIVE_INFINITY };
  server = { isThere: true, stand: { size: 0, signedSize: 0, checkpoint: undefined }, batches: [] };
  shipping = createLedgerShipping({
    ...{ clock, random: createSeededRandom('shipping'), log: createSilentLog(), source: sourceOf() },
    async connect() {
      if (!server.isThere) throw new Error('away');
      return { stand: server.stand, take, close() {} };
    },
  });
});
afterEach(() => shipping.stop());

function sourceOf(): LedgerSource {
  const at = (size: number) => (size === 0 ? undefined : { note: `note ${size}`, size });
  return {
    newest: () => at(ledger.signed),
    next: (size) => (ledger.signed > size ? at(ledger.signed) : undefined),
    read: (first, end) =>
      Array.from({ length: Math.max(0, Math.min(end, ledger.readable) - first) }, (_, n) =>
        Buffer.from(`${first + n}`),
      ),
    consistency: () => [],
    close() {},
  };
}

async function take(batch: LogBatch): Promise<LogStand> {
  if (!server.isThere) throw new Error('away');
  server.batches.push(batch);
  const size = Math.max(server.stand.size, batch.first + batch.entries.length);
  server.stand = {
    size,
    signedSize: batch.checkpoint === undefined ? server.stand.signedSize : size,
    checkpoint: undefined,
  };
  return server.stand;
}

const shipped = () => server.batches.flatMap(({ entries }) => entries.map(String));
const numbers = (count: number) => Array.from({ length: count }, (_, n) => `${n}`);

/** Lets time pass second by second, so that what is done meanwhile is done. */
async function pass(seconds: number): Promise<void> {
  for (let n = 0; n < seconds; n++) {
    await eventually('it waits', () => clock.pending() > 0);
    await clock.advance(1000);
  }
}

describe('a ledger', () => {
  it('is shipped as it is signed, in batches of which the last has the checkpoint', async () => {
    ledger.signed = 1200;
    await shipping.start(new AbortController().signal);
    await eventually('all is shipped', () => server.stand.signedSize === 1200);
    expect(server.batches.map(({ first, checkpoint }) => [first, checkpoint])).toEqual([
      [0, undefined],
      [500, undefined],
      [1000, 'note 1200'],
    ]);
    ledger.signed = 1201;
    await pass(1);
    await eventually('the next is', () => server.stand.signedSize === 1201);
    expect(shipped()).toEqual(numbers(1201));
    expect(shipping.lag()).toEqual({ entries: 0, forMs: 0, problem: undefined });
  });

  it('to which nothing is added says every ten seconds that it is there', async () => {
    ledger.signed = 3;
    await shipping.start(new AbortController().signal);
    await eventually('all is shipped', () => server.stand.signedSize === 3);
    await pass(21);
    expect(server.batches.slice(1)).toMatchObject([
      { first: 3, entries: [], checkpoint: 'note 3' },
      { first: 3, entries: [], checkpoint: 'note 3' },
    ]);
  });

  it('waits for a server that is away, tells for how long, and goes on from where that stands', async () => {
    ledger.signed = 10;
    server.isThere = false;
    await shipping.start(new AbortController().signal);
    await eventually('it has tried', () => shipping.lag().problem !== undefined);
    await pass(60);
    expect(shipping.lag()).toMatchObject({ entries: 10, problem: { error: new Error('away') } });
    expect(shipping.lag().forMs).toBeGreaterThanOrEqual(59_000);
    server.stand = { size: 4, signedSize: 4, checkpoint: undefined };
    server.isThere = true;
    await pass(25);
    await eventually('all is shipped', () => server.stand.signedSize === 10);
    expect(shipped()).toEqual(numbers(10).slice(4));
    expect(shipping.lag()).toEqual({ entries: 0, forMs: 0, problem: undefined });
  });

  it.each([
    [
      'is behind what was shipped of it says so by its checkpoint',
      { signed: 3, readable: 99 },
      { first: 3, entries: [], checkpoint: 'note 3' },
    ],
    [
      'can not be read though it is signed says so by its checkpoint',
      { signed: 9, readable: 5 },
      { first: 5, entries: [], checkpoint: 'note 9' },
    ],
  ])('that %s', async (_, state, batch) => {
    Object.assign(ledger, state);
    server.stand = { size: 5, signedSize: 5, checkpoint: undefined };
    const first = Promise.withResolvers<LogBatch>();
    const line = {
      stand: server.stand,
      async take(one: LogBatch): Promise<LogStand> {
        first.resolve(one);
        throw new Error('refused');
      },
      close() {},
    };
    const other = createLedgerShipping({
      ...{ clock, random: createSeededRandom('other'), log: createSilentLog(), source: sourceOf() },
      connect: async () => line,
    });
    await other.start(new AbortController().signal);
    expect(await first.promise).toMatchObject(batch);
    await other.stop();
  });

  it('tells its bound of what the server has kept, from the first word of it on', async () => {
    const told: number[] = [];
    ledger.signed = 7;
    server.stand = { size: 5, signedSize: 5, checkpoint: undefined };
    const other = createLedgerShipping({
      ...{ clock, random: createSeededRandom('other'), log: createSilentLog(), source: sourceOf() },
      bound: { shipped: (size) => told.push(size) },
      connect: async () => ({ stand: server.stand, take, close() {} }),
    });
    await other.start(new AbortController().signal);
    await eventually('all is shipped', () => server.stand.signedSize === 7);
    await other.stop();
    expect(told.slice(0, 2)).toEqual([5, 7]);
  });

  it('that is stopped ships what was signed last, and one without a server ends at once', async () => {
    ledger.signed = 2;
    await shipping.start(new AbortController().signal);
    await eventually('all is shipped', () => server.stand.signedSize === 2);
    ledger.signed = 4;
    await shipping.stop();
    expect(shipped()).toEqual(numbers(4));
  });
});
