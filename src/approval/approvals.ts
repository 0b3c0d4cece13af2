import {
  type Clock,
  createListeners,
  type Listeners,
  type Log,
  type Random,
  type Service,
  startAll,
  stopAll,
} from '../std/index.ts';
import { createFollower, type Store } from '../store/index.ts';
import { createAnswer } from './answer.ts';
import { createHolds, type Holds } from './holds.ts';
import { type ApprovalLists, createLists } from './list.ts';
import type { ApprovalTables } from './migrations.ts';
import { createState, readSequence, TOPIC } from './rows.ts';
import { type AskedSpend, createSpend } from './spend.ts';
import { createSweep } from './sweep.ts';
import type { AnsweredApproval, ApprovalSurroundings, AskedAnswer, HoldingGateway } from './types.ts';

export interface ApprovalsDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly trustDomain: string;
  readonly around: ApprovalSurroundings;
}

/** Operations that wait for an answer, over all servers of one store. Everything may throw StoreError. */
export interface Approvals extends Holds, ApprovalLists {
  /** Takes an answer of somebody; see `createAnswer`. @throws ApprovalError */
  answer(asked: AskedAnswer): Promise<AnsweredApproval>;
  /** Takes an approval for its one use, and resolves to a signed statement of it. @throws ApprovalError ERR_APPROVAL_SPENT, ERR_APPROVAL_REVOKED */
  spend(gateway: HoldingGateway, asked: AskedSpend): Promise<string>;
  /** Calls when something of that approval may have changed, at whichever server. Returns how to stop. */
  onHold(id: string, listener: () => void): () => void;
  /** Calls when something of any may have changed. Returns how to stop. */
  onChange(listener: () => void): () => void;
}

/** Creates them over a migrated store. */
export function createApprovals(deps: ApprovalsDeps): Approvals & Service {
  const { store, log } = deps;
  const failed = (error: unknown) => log.error('approval.listener.failed', { error });
  const listeners = createListeners<void>(failed);
  const byId = new Map<string, Listeners<void>>();
  const follower = createHoldFollower(deps, {
    changed(id) {
      byId.get(id)?.tell();
    },
    anyChanged(isAll) {
      if (isAll) for (const each of [...byId.values()]) each.tell();
      listeners.tell();
    },
  });
  const sweep = createSweep(deps);
  return {
    ...createHolds(deps),
    ...createLists(deps),
    answer: createAnswer(deps),
    spend: createSpend(deps),
    onChange: listeners.add,
    onHold(id, listener) {
      const own = byId.get(id) ?? createListeners<void>(failed);
      byId.set(id, own);
      const stop = own.add(listener);
      return () => {
        stop();
        if (own.size === 0 && byId.get(id) === own) byId.delete(id);
      };
    },
    async start(signal) {
      await createState(store.db<ApprovalTables>());
      await startAll([follower, sweep], signal);
    },
    stop: () => stopAll([follower, sweep]),
  };
}

/** Follows changes by their sequence: of each that was changed its id, or that any may have been. */
function createHoldFollower(
  deps: ApprovalsDeps,
  { changed, anyChanged }: { changed(id: string): void; anyChanged(isAll: boolean): void },
): Service {
  const db = deps.store.db<ApprovalTables>();
  let seen = 0;
  return createFollower(deps, {
    ...{ topic: TOPIC, pollMs: POLL_MS },
    async load() {
      seen = await readSequence(db);
      anyChanged(true);
    },
    async read() {
      const head = await readSequence(db);
      if (head === seen) return 'all';
      // A store that was put back has lower ones.
      if (head < seen) return 'gap';
      const rows = await db
        .selectFrom('approval_holds')
        .select(['id', 'sequence'])
        .where('sequence', '>', seen)
        .orderBy('sequence')
        .execute();
      seen = Math.max(head, rows.at(-1)?.sequence ?? head);
      for (const { id } of rows) changed(id);
      anyChanged(false);
      return 'all';
    },
  });
}

/** A notification that was lost is made up for within it. */
const POLL_MS = 1_000;
