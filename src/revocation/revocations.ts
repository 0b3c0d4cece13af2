import type { Kysely } from 'kysely';
import type { RevocationFacts, RevocationVerdict } from '../model/index.ts';
import { assert, createListeners, type Log, type Service } from '../std/index.ts';
import { createFollower } from '../store/index.ts';
import { createChanges, ORDER } from './changes.ts';
import { createEffect } from './effect.ts';
import { RevocationError } from './errors.ts';
import { createFreshStanding } from './fresh-standing.ts';
import { type FindLabelled, joinMissed, type LabelMembersDeps, TOPIC_CHANGED } from './label-members.ts';
import type { RevocationTables } from './migrations.ts';
import { createState, hasState, readHead, type Standing } from './rows.ts';
import type { KnownVerifiers, Revocations, StateName } from './types.ts';

export interface RevocationsDeps extends LabelMembersDeps {
  readonly log: Log;
  readonly known: KnownVerifiers;
  readonly labelled: FindLabelled;
  /** Ends the sign-ins of somebody, in that transaction. */
  readonly endSignIns: <Tables>(
    trx: Kysely<Tables>,
    person: { readonly issuer: string; readonly subject: string },
  ) => Promise<void>;
}

/** What the feed is made of. */
export interface StandingSource {
  /** As this server has it in memory, read at the start and after each change. */
  latest(): Standing;
  /** As the store has it after the call. @throws StoreError */
  read(): Promise<Standing>;
  /** Whether the store has that state in its history, or follows it by an operator's order. @throws RevocationError ERR_REVOCATION_PUT_BACK */
  checkKnown(state: StateName): Promise<void>;
  onChange(listener: () => void): () => void;
}

/** Creates revocations over a migrated store. */
export function createRevocations(deps: RevocationsDeps): Revocations & StandingSource & Service {
  const { store, random, log } = deps;
  const db = store.db<RevocationTables>();
  const listeners = createListeners((error) => log.error('revocation.listener.failed', { error }));
  const fresh = createFreshStanding({ store, changed: () => listeners.tell() });
  const follower = createFollower(deps, {
    ...{ topic: TOPIC_CHANGED, pollMs: POLL_MS },
    async load() {
      await fresh.read();
    },
  });
  const latest = (): Standing => {
    const standing = fresh.latest();
    assert(standing !== undefined, 'revocations are started');
    return standing;
  };
  return {
    async start(signal) {
      await createState(db, random.bytes(16).toString('hex'));
      await store.transaction<RevocationTables, void>((trx, effects) => joinMissed(trx, deps, effects), {
        order: ORDER,
      });
      await follower.start(signal);
    },
    stop: follower.stop,
    latest,
    read: fresh.read,
    onChange: listeners.add,
    checkKnown: (state) => checkKnown(db, state),
    ...createChanges(deps, fresh.read),
    async list() {
      const { state, latestExpiryMs } = await fresh.read();
      return state.revocations.map((one) => ({ ...one, latestExpiryMs: latestExpiryMs.get(one.id) ?? 0 }));
    },
    async checkSigned(facts) {
      const { index } = await fresh.read();
      return facts.map((one) => refusalOf(index.find(one)));
    },
    refuseUse(facts: RevocationFacts, use?: 'operating') {
      const verdict = latest().index.find(facts);
      const refusal = refusalOf(verdict && use === 'operating' ? { ...verdict, mode: 'revoked' } : verdict);
      if (refusal !== undefined) throw refusal;
    },
    effect: createEffect(deps),
  };
}

/** A quarantine keeps nobody from being given credentials: whoever takes them refuses what it names. */
function refusalOf(verdict: RevocationVerdict | undefined): RevocationError | undefined {
  if (verdict?.mode !== 'revoked') return undefined;
  const [first] = verdict.revocations;
  return new RevocationError('ERR_REVOCATION_REVOKED', `it is revoked (${first?.id})`);
}

async function checkKnown(db: Kysely<RevocationTables>, state: StateName): Promise<void> {
  if (state.incarnation === '') return;
  const head = await readHead(db);
  const isOwn = head.incarnation === state.incarnation;
  if (isOwn ? await hasState(db, state) : (JSON.parse(head.follows) as string[]).includes(state.incarnation)) return;
  throw new RevocationError(
    'ERR_REVOCATION_PUT_BACK',
    `this store has no state ${state.sequence} of ${state.incarnation}`,
  );
}

/** A notification that was lost is made up for within it. */
const POLL_MS = 1_000;
