import type { LedgerWriter } from '../../ledger/index.ts';
import type { Content, LedgerEvent } from '../../model/index.ts';
import type { Clock } from '../../std/index.ts';
import type { Sealer } from '../../wire/seal/index.ts';
import type { ContentDigester } from './content-digest.ts';
import type { LedgerBatch, Recorded } from './ledger-batch.ts';
import { sealWithheld, type Withheld } from './withheld.ts';

/** How long an operation waits for its ledger entry: see design §8. */
export type Durability = 'process' | 'release' | 'strict';

/** The session's part of the ledger: actor, target, session and time are filled in. */
export interface SessionLedger {
  /**
   * Writes events at once; all or nothing. Returns the last sequence number.
   * @throws LedgerError: then nothing of what they announce may happen
   */
  append(events: readonly OperationEvent[]): number;
  /** Writes events together with those of other sessions, at the end of this turn of the event loop; all or nothing. */
  record(events: readonly OperationEvent[], recorded: Recorded): void;
  /** Writes now what `record` was given. */
  flush(): void;
  /** Resolves when the entry with that number is on disk. */
  synced(sequence: number): Promise<void>;
  readonly syncedSequence: number;
  /** The durability of operations that change something (and of denials) or don't. */
  durability(changes: boolean): Durability;
  /** What the client was not shown of an answer, as it may stand in the entry of that operation: sealed for who may read it. */
  seal(withheld: Withheld, operation: string): string;
  /** What stands in an entry for what a client said: equal for equal content, and not to be tried out without the gateway's key. */
  digest(content: Content): string;
}

/** An event of one operation. */
export interface OperationEvent {
  readonly kind: 'hold' | 'intent' | 'outcome' | 'denial' | 'session-open' | 'session-close';
  readonly action: string;
  readonly operation: string;
  readonly detail: LedgerEvent['detail'];
}

/** The ledger as one session writes it. `durability`: for operations that only read, and for those that change something or were denied. */
export function createSessionLedger(deps: {
  ledger: LedgerWriter;
  /** Of that ledger, shared by all sessions. */
  batch: LedgerBatch;
  clock: Clock;
  session: string;
  actor: string;
  target: string;
  durability: { readonly reads: Durability; readonly changes: Durability };
  /** Of what clients are not shown. */
  sealer: Sealer;
  digester: Pick<ContentDigester, 'digest'>;
}): SessionLedger {
  const { ledger, batch, clock, session, actor, target, durability, sealer, digester } = deps;
  const complete = (events: readonly OperationEvent[]): LedgerEvent[] => {
    const timeMs = clock.now();
    return events.map(({ kind, action, operation, detail }) => {
      return { kind, timeMs, actor, target, action, session, operation, detail };
    });
  };
  return {
    append(events) {
      batch.flush();
      return ledger.appendAll(complete(events)) + events.length - 1;
    },
    record: (events, recorded) => batch.add(complete(events), recorded),
    flush: () => batch.flush(),
    synced: (sequence) => ledger.synced(sequence),
    get syncedSequence() {
      return ledger.syncedSequence;
    },
    durability: (changes) => (changes ? durability.changes : durability.reads),
    seal: (withheld, operation) => sealWithheld(sealer, withheld, { session, operation }),
    digest: (content) => digester.digest(content),
  };
}
