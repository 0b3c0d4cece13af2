import { describe, expect, it } from 'vitest';
import { type LedgerEntry, LedgerError, type LedgerReader } from '../../ledger/index.ts';
import { createManualClock } from '../../std/index.ts';
import { formatCheckpoint } from '../../wire/tlog/index.ts';
import { damageOf, readSigned, untilSigned } from './folder.ts';

const { signal } = new AbortController();
const saysVerify = { code: 'ERR_LEDGER_CORRUPT', message: expect.stringContaining('`countersign ledger verify`') };

describe('a ledger that is read', () => {
  it.each([
    ['nothing was signed', 0, undefined],
    ['all that was signed is there', 3, 3],
    ['more is there than was signed', 5, 3],
  ])('is whole as far as reading goes when %s', async (_, entries, signed) => {
    expect(await damageOf(reader({ entries, signed }), signal)).toBeUndefined();
  });

  it('is damaged when an entry that was signed can not be read, and the first such is named', async () => {
    const damage = await damageOf(reader({ entries: 2, signed: 3 }), signal);
    expect(damage).toMatchObject(saysVerify);
    expect(damage?.message).toContain('entry 2 can not be read, though 3 entries were signed');
  });

  it.each([
    ['the checkpoint is none', { note: 'nothing' }],
    ['entries do not follow each other', { failure: new LedgerError('ERR_LEDGER_CORRUPT', 'segment 2') }],
  ])('is damaged when %s', async (_, how) => {
    expect(await damageOf(reader({ entries: 2, signed: 2, ...how }), signal)).toMatchObject(saysVerify);
  });

  it('is not called damaged when the disk fails', async () => {
    const failure = new LedgerError('ERR_LEDGER_IO', 'EIO');
    await expect(damageOf(reader({ entries: 2, signed: 2, failure }), signal)).rejects.toBe(failure);
  });
});

describe('one entry', () => {
  const missing = new LedgerError('ERR_LEDGER_NOT_FOUND', 'there is no entry');
  const read = (sequence: number, error: unknown) =>
    readSigned(reader({ entries: 2, signed: 3 }), sequence, () => Promise.reject(error));

  it('that is missing behind what was signed is a wrong number', async () => {
    await expect(read(3, missing)).rejects.toBe(missing);
  });

  it('that was signed and is missing is damage', async () => {
    await expect(read(2, missing)).rejects.toMatchObject(saysVerify);
    await expect(read(2, new LedgerError('ERR_LEDGER_CORRUPT', 'no'))).rejects.toMatchObject(saysVerify);
  });
});

describe('the signature of an entry that was just written', () => {
  const clock = createManualClock(0);
  /** Its writer signs after so many looks. */
  const signedAt = (looks: number): LedgerReader => {
    let looked = 0;
    return {
      ...reader({ entries: 3, signed: 2 }),
      checkpoint: () => reader({ entries: 3, signed: ++looked > looks ? 3 : 2 }).checkpoint(),
      show: (seq) => (seq < 3 ? Promise.resolve(entry(seq)) : Promise.reject(new Error('none'))),
    };
  };
  /** How long it was waited for, in ms. */
  const waitFor = async (sequence: number, looks: number) => {
    const began = clock.monotonicMs();
    let over = false;
    const waiting = untilSigned(signedAt(looks), sequence, { clock, signal }).finally(() => {
      over = true;
    });
    while (!over) await clock.advance(clock.pending() > 0 ? 100 : 0);
    await waiting;
    return clock.monotonicMs() - began;
  };

  it.each([
    ['is not waited for when it is there', 2, 0, 0],
    ['is waited for', 2, 3, 300],
    ['is not waited for where there is no such entry', 3, 3, 0],
    ['is given up when its writer is gone', 2, Number.POSITIVE_INFINITY, 5000],
  ])('%s', async (_, sequence, looks, ms) => {
    expect(await waitFor(sequence, looks)).toBe(ms);
  });
});

/** The reader of a ledger in which so many entries can be read, and so many are signed. */
function reader(of: { entries: number; signed: number | undefined; note?: string; failure?: Error }): LedgerReader {
  const origin = 'log.example/1';
  const { signed } = of;
  const note =
    signed === undefined
      ? undefined
      : `${formatCheckpoint({ origin, size: signed, root: Buffer.alloc(32) })}\n\u2014 ${origin} ${Buffer.alloc(68).toString('base64')}\n`;
  const unused = () => Promise.reject(new Error('not asked for'));
  return {
    checkpoint: async () => of.note ?? note,
    async *tail() {
      if (of.failure !== undefined) throw of.failure;
      if (of.entries > 0) yield entry(of.entries - 1);
    },
    show: unused,
    prove: unused,
    proveConsistency: unused,
    async *search() {},
  };
}

function entry(seq: number): LedgerEntry {
  const names = { kind: 'admin', actor: 'a', target: '', action: 'x', session: '', operation: '' } as const;
  return { ...names, seq, timeMs: 0, detail: {} };
}
