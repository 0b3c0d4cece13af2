import type { LedgerWriter } from '../ledger/index.ts';
import type { LedgerEvent } from '../model/index.ts';
import type { Clock } from '../std/index.ts';
import type { Sealer } from '../wire/seal/index.ts';
import type { LedgerTurn } from './ledger-turn.ts';
import type { Durability, OperationEvent, SessionLedger } from './session.ts';
import { sealWithheld } from './withheld.ts';

/** The ledger as one session writes it. `durability`: for operations that only read, and for those that change something or were denied. */
export function createSessionLedger(deps: {
  ledger: LedgerWriter;
  /** Of that ledger, shared by all sessions. */
  turn: LedgerTurn;
  clock: Clock;
  session: string;
  actor: string;
  target: string;
  durability: { readonly reads: Durability; readonly changes: Durability };
  /** Of what clients are not shown. */
  sealer: Sealer;
}): SessionLedger {
  const { ledger, turn, clock, session, actor, target, durability, sealer } = deps;
  const complete = (events: readonly OperationEvent[]): LedgerEvent[] => {
    const timeMs = clock.now();
    return events.map(({ kind, action, operation, detail }) => {
      return { kind, timeMs, actor, target, action, session, operation, detail };
    });
  };
  return {
    append(events) {
      turn.flush();
      return ledger.appendAll(complete(events)) + events.length - 1;
    },
    record: (events, recorded) => turn.add(complete(events), recorded),
    flush: () => turn.flush(),
    synced: (sequence) => ledger.synced(sequence),
    get syncedSequence() {
      return ledger.syncedSequence;
    },
    durability: (changes) => (changes ? durability.changes : durability.reads),
    seal: (withheld, operation) => sealWithheld(sealer, withheld, { session, operation }),
  };
}
