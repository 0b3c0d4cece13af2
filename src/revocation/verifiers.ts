import type { Kysely } from 'kysely';
import { type Clock, type Log, messageOf, type Service, type Timer } from '../std/index.ts';
import { databaseMs, type Store } from '../store/index.ts';
import type { RevocationTables, VerifierRow } from './migrations.ts';
import type { StateName, Verifier, WatchingVerifier } from './types.ts';

/** Who is told of revocations, kept in the store so that any server can tell. Everything may throw StoreError. */
export interface Verifiers extends Service {
  /** It watches this server from now on, and says which state is in effect there. Resolves once that is kept. */
  joined(verifier: WatchingVerifier, state: AckedState): Promise<void>;
  /** It does not any more. `gone`: for good, in good order. */
  left(verifier: Verifier, how: 'gone' | 'away'): Promise<void>;
  /** That state is in effect there. Resolves once it is kept. */
  acknowledged(verifier: Verifier, state: AckedState): Promise<void>;
}

interface VerifiersDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** Tells this server from others, and from itself before its start. */
  readonly server: string;
}

type Change =
  | { readonly kind: 'joined'; readonly verifier: WatchingVerifier; readonly state: AckedState }
  | { readonly kind: 'left'; readonly verifier: Verifier; readonly how: 'gone' | 'away' }
  | { readonly kind: 'acknowledged'; readonly verifier: Verifier; readonly state: AckedState };

type AckedState = Pick<StateName, 'incarnation' | 'sequence'>;

type Tables = Kysely<RevocationTables>;

/**
 * Creates them. A thousand agents say at once that something is in effect: what comes while the store writes goes into one transaction after it. Each server
 * says every half a minute of those that watch it that they are there, by one statement.
 */
export function createVerifiers(deps: VerifiersDeps): Verifiers {
  const { store, clock, log, server } = deps;
  const db = store.db<RevocationTables>();
  const waiting: { change: Change; resolve: () => void; reject: (error: unknown) => void }[] = [];
  let writing: Promise<void> | undefined;
  let timer: Timer | undefined;
  let isStopped = false;

  const write = async () => {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, BATCH_MAX);
      try {
        await store.transaction<RevocationTables, void>(
          async (trx, effects) => {
            const nowMs = await databaseMs(store, clock, trx);
            for (const { change } of batch) await applyChange(trx, change, { nowMs, server });
            effects.notify(TOPIC_ACKNOWLEDGED, '');
          },
          { order: ORDER },
        );
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    writing = undefined;
  };
  const note = (change: Change) =>
    new Promise<void>((resolve, reject) => {
      waiting.push({ change, resolve, reject });
      writing ??= write();
    });
  const beat = () => {
    timer = clock.after(BEAT_MS, () => {
      void sayPresent(deps)
        .catch((error: unknown) => log.warn('revocation.verifiers.unsaid', { reason: messageOf(error) }))
        .then(() => isStopped || beat());
    });
  };
  return {
    joined: (verifier, { incarnation, sequence }) =>
      note({ kind: 'joined', verifier, state: { incarnation, sequence } }),
    left: (verifier, how) => note({ kind: 'left', verifier, how }),
    acknowledged: (verifier, { incarnation, sequence }) =>
      note({ kind: 'acknowledged', verifier, state: { incarnation, sequence } }),
    async start() {
      const nowMs = await databaseMs(store, clock, db);
      await db
        .deleteFrom('revocation_verifiers')
        .where('seen_ms', '<', nowMs - FORGOTTEN_MS)
        .execute();
      beat();
    },
    async stop() {
      isStopped = true;
      timer?.cancel();
      await writing;
      // Whoever watched this server is another's soon, and says so itself.
      await db.updateTable('revocation_verifiers').set({ connected: 0 }).where('server', '=', server).execute();
    },
  };
}

async function sayPresent({ store, clock, server }: VerifiersDeps): Promise<void> {
  const db = store.db<RevocationTables>();
  const nowMs = await databaseMs(store, clock, db);
  const those = db.updateTable('revocation_verifiers').where('server', '=', server).where('connected', '=', 1);
  await those.set({ seen_ms: nowMs }).execute();
}

async function applyChange(trx: Tables, change: Change, now: { nowMs: number; server: string }): Promise<void> {
  switch (change.kind) {
    case 'joined': {
      const { freshForMs, thenRefuses } = change.verifier;
      const said = { fresh_for_ms: freshForMs, then_refuses: thenRefuses ? 1 : 0 };
      const there = { server: now.server, connected: 1, seen_ms: now.nowMs, ...said, ...change.state };
      await trx
        .insertInto('revocation_verifiers')
        .values({ ...keyOf(change.verifier), ...there })
        .onConflict((conflict) => conflict.columns(KEY).doUpdateSet(there))
        .execute();
      return;
    }
    case 'left': {
      // Not one that watches another server by now.
      const own = { ...keyOf(change.verifier), server: now.server };
      if (change.how === 'gone') {
        await trx
          .deleteFrom('revocation_verifiers')
          .where((row) => row.and(own))
          .execute();
        return;
      }
      const away = { connected: 0, seen_ms: now.nowMs };
      await trx
        .updateTable('revocation_verifiers')
        .set(away)
        .where((row) => row.and(own))
        .execute();
      return;
    }
    case 'acknowledged':
      await acknowledge(trx, change, now);
      return;
    default:
      change satisfies never;
  }
}

/** What it had before stays: an older one that comes late takes nothing back. */
async function acknowledge(
  trx: Tables,
  { verifier, state }: Extract<Change, { kind: 'acknowledged' }>,
  { nowMs }: { nowMs: number },
): Promise<void> {
  const key = keyOf(verifier);
  const before = await rowOf(trx, verifier);
  if (before === undefined) return; // It watches nobody; when it does, it says so again.
  const isSame = before.incarnation === state.incarnation;
  if (isSame && before.sequence >= state.sequence) return;
  await trx
    .updateTable('revocation_verifiers')
    .set({ ...state, seen_ms: nowMs })
    .where((row) => row.and(key))
    .execute();
  const fresh = await trx
    .selectFrom('revocation_standing')
    .select(['id', 'at_ms'])
    .where('sequence', '>', isSame ? before.sequence : 0)
    .where('sequence', '<=', state.sequence)
    .where('at_ms', '>', nowMs - NEW_MS)
    .limit(EFFECTS_MAX)
    .execute();
  if (fresh.length === 0) return;
  await trx
    .insertInto('revocation_effects')
    .values(fresh.map(({ id, at_ms }) => ({ ...key, revocation: id, after_ms: Math.max(0, nowMs - at_ms) })))
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

function rowOf(trx: Tables, verifier: Verifier): Promise<VerifierRow | undefined> {
  const rows = trx.selectFrom('revocation_verifiers').selectAll();
  return rows.where((row) => row.and(keyOf(verifier))).executeTakeFirst();
}

function keyOf({ kind, spiffeId, address, instance }: Verifier) {
  return { kind, spiffe_id: spiffeId, address, instance };
}

export const TOPIC_ACKNOWLEDGED = 'revocation.acknowledged';
/** How often a server says of those that watch it that they are there. */
export const BEAT_MS = 30_000;
const ORDER = 'revocation.verifiers';
const KEY = ['kind', 'spiffe_id', 'address', 'instance'] as const;
/** Each costs some statements. */
const BATCH_MAX = 200;
/** A verifier that comes after an hour has been away: how long it was says nothing. */
const NEW_MS = 3_600_000;
const EFFECTS_MAX = 100;
/** As nodes are. */
const FORGOTTEN_MS = 30 * 86_400_000;
