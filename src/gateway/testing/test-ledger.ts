import type { LedgerEvent } from '../../model/index.ts';
import { Secret } from '../../std/index.ts';
import { createContentDigester } from '../recording/content-digest.ts';
import { createLedgerBatch, type Recorded } from '../recording/ledger-batch.ts';
import type { Durability, OperationEvent, SessionLedger } from '../recording/session-ledger.ts';

/** A ledger that keeps its events in memory, and fails and waits as it is told to. */
export interface TestLedger {
  readonly events: LedgerEvent[];
  /** Announcements fail with it. */
  failure: Error | undefined;
  durability: { reads: Durability; changes: Durability };
  /** Entries are not synced until the returned function is called. */
  hold(): () => void;
  /** What operations record is not written until the returned function is called. */
  holdWrites(): () => void;
  /** Events that are not written yet. */
  readonly waiting: number;
  readonly session: SessionLedger;
}

/** `written` hears of each event. */
export function createTestLedger(written: (event: LedgerEvent) => void = () => {}): TestLedger {
  const events: LedgerEvent[] = [];
  let gate: Promise<void> = Promise.resolve();
  let synced = -1;
  let held = false;
  // Only what announces can be made to fail: the room for outcomes is promised.
  const appendAll = (more: readonly LedgerEvent[]): number => {
    if (ledger.failure !== undefined && more.some(({ kind }) => kind !== 'outcome' && kind !== 'session-close')) {
      throw ledger.failure;
    }
    for (const event of more) written(event);
    return events.push(...more) - more.length;
  };
  let isWriting = true;
  const unwritten: { readonly events: readonly LedgerEvent[]; readonly recorded: Recorded }[] = [];
  const batch = createLedgerBatch({ ledger: { appendAll } });
  const ledger: TestLedger = {
    events,
    failure: undefined,
    durability: { reads: 'process', changes: 'release' },
    hold() {
      held = true;
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return () => {
        held = false;
        resolve();
      };
    },
    holdWrites() {
      isWriting = false;
      return () => {
        isWriting = true;
        for (const one of unwritten.splice(0)) batch.add(one.events, one.recorded);
      };
    },
    get waiting() {
      return unwritten.reduce((sum, { events: more }) => sum + more.length, 0);
    },
    session: {
      append(more) {
        batch.flush();
        return appendAll(complete(more)) + more.length - 1;
      },
      record(more, recorded) {
        if (isWriting) batch.add(complete(more), recorded);
        else unwritten.push({ events: complete(more), recorded });
      },
      flush: () => batch.flush(),
      async synced(sequence) {
        await gate;
        synced = Math.max(synced, sequence);
      },
      get syncedSequence() {
        return held ? synced : events.length - 1;
      },
      durability: (changes) => (changes ? ledger.durability.changes : ledger.durability.reads),
      seal: (withheld) => JSON.stringify(withheld),
      digest: testDigester.digest,
    },
  };
  return ledger;
}

/** What its entries have of content. */
export const testDigester = createContentDigester(new Secret(Buffer.alloc(32, 9)));

function complete(events: readonly OperationEvent[]): LedgerEvent[] {
  return events.map((event) => ({ ...event, timeMs: 0, actor: '', target: '', session: '' }));
}
