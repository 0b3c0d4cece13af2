import type { Kysely } from 'kysely';
import { type Clock, type Log, messageOf, type Service, type Timer } from '../std/index.ts';
import { databaseMs, type Store } from '../store/index.ts';
import { RevocationError } from './errors.ts';
import type { RevocationTables, VerifierRow } from './migrations.ts';
import { hasState, readHead } from './rows.ts';
import type { StateName, Verifier, WatchingVerifier } from './types.ts';

/** Who is told of revocations, kept in the store so that any server can tell. Everything may throw StoreError. */
export interface Verifiers extends Service {
  /** It watches this server from now on, and says which state is in effect there. Resolves once that is kept. */
  joined(verifier: WatchingVerifier, watch: Watch): Promise<void>;
  /** It does not any more. `gone`: for good, in good order. */
  left(verifier: Verifier, how: 'gone' | 'away'): Promise<void>;
  /** That state is in effect there, if its newest stream is that one, and the state one of this store. Resolves once it is kept. */
  acknowledged(verifier: Verifier, word: Pick<Watch, 'state' | 'stream'>): Promise<void>;
}

interface VerifiersDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** Tells this server from others, and from itself before its start. */
  readonly server: string;
}

type Change =
  | { readonly kind: 'joined'; readonly verifier: WatchingVerifier; readonly watch: Watch }
  | { readonly kind: 'left'; readonly verifier: Verifier; readonly how: 'gone' | 'away' }
  | { readonly kind: 'acknowledged'; readonly verifier: Verifier; readonly word: Pick<Watch, 'state' | 'stream'> };

interface Watch {
  /** What is in effect there. */
  readonly state: StateName;
  /** SHA-256 of its nonce, in hex; empty: an earlier version, which does not say it again. */
  readonly stream: string;
  /** Which its connection has proven: SHA-256, in hex. */
  readonly key: string;
}

/** What became of changes. */
interface Applied {
  readonly refused: ReadonlyMap<Change, RevocationError>;
  readonly isAnyNew: boolean;
}

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
  let isStarted = false;
  let isStopped = false;

  const write = async () => {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, BATCH_MAX);
      try {
        const { refused } = await store.transaction<RevocationTables, Applied>(
          async (trx, effects) => {
            const nowMs = await databaseMs(store, clock, trx);
            const changes = batch.map(({ change }) => change);
            const applied = await applyAll(trx, changes, { nowMs, server });
            // A word that is repeated wakes nobody: whoever waits reads much.
            if (applied.isAnyNew) effects.notify(TOPIC_ACKNOWLEDGED, '');
            return applied;
          },
          { order: ORDER },
        );
        for (const { change, resolve, reject } of batch) {
          const refusal = refused.get(change);
          if (refusal === undefined) resolve();
          else reject(refusal);
        }
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
        .then(() => forgetPast(deps))
        .catch((error: unknown) => log.warn('revocation.verifiers.unsaid', { reason: messageOf(error) }))
        .then(() => isStopped || beat());
    });
  };
  return {
    joined: (verifier, watch) => note({ kind: 'joined', verifier, watch }),
    left: (verifier, how) => note({ kind: 'left', verifier, how }),
    acknowledged: (verifier, word) => note({ kind: 'acknowledged', verifier, word }),
    async start() {
      await forgetPast(deps);
      isStarted = true;
      beat();
    },
    async stop() {
      timer?.cancel();
      if (isStopped || !isStarted) return;
      isStopped = true;
      await writing;
      // Whoever watched this server is another's soon, and says so itself.
      const nowMs = await databaseMs(store, clock, db);
      const own = db.updateTable('revocation_verifiers').where('server', '=', server).where('connected', '=', 1);
      await own.set({ connected: 0, seen_ms: nowMs }).execute();
    },
  };
}

async function sayPresent({ store, clock, server }: VerifiersDeps): Promise<void> {
  const db = store.db<RevocationTables>();
  const nowMs = await databaseMs(store, clock, db);
  const those = db.updateTable('revocation_verifiers').where('server', '=', server).where('connected', '=', 1);
  await those.set({ seen_ms: nowMs }).execute();
}

/**
 * Forgets those that can do nothing any more: they refuse everything for an hour, or others have been at the address of a gateway for a day. One that is merely
 * away stays, so that it is named.
 */
async function forgetPast({ store, clock }: VerifiersDeps): Promise<void> {
  const db = store.db<RevocationTables>();
  const nowMs = await databaseMs(store, clock, db);
  const rows = await db.selectFrom('revocation_verifiers').selectAll().execute();
  const addresses = new Set(rows.filter(({ connected }) => connected === 1).map(addressOf));
  for (const row of rows) {
    const awayMs = nowMs - row.seen_ms;
    if (row.connected === 1 && awayMs < 2 * BEAT_MS) continue;
    const isRefusing = row.then_refuses === 1 && row.fresh_for_ms > 0 && awayMs > row.fresh_for_ms + PAST_MS;
    const isReplaced = row.kind === 'gateway' && awayMs > REPLACED_MS && addresses.has(addressOf(row));
    if (!isRefusing && !isReplaced && awayMs < FORGOTTEN_MS) continue;
    const same = { ...keyOf(verifierOf(row)), server: row.server, seen_ms: row.seen_ms };
    await db
      .deleteFrom('revocation_verifiers')
      .where((of) => of.and(same))
      .execute();
  }
}

function addressOf({ spiffe_id, address }: Pick<VerifierRow, 'spiffe_id' | 'address'>): string {
  return `${spiffe_id} ${address}`;
}

function verifierOf({ kind, spiffe_id: spiffeId, address, instance }: VerifierRow): Verifier {
  return { kind, spiffeId, address, instance };
}

/** @throws RevocationError ERR_REVOCATION_LIMIT */
async function checkRoom(trx: Tables, { spiffeId }: Verifier, key: string): Promise<void> {
  const count = async (those: { spiffe_id: string; public_key?: string }) => {
    const rows = trx.selectFrom('revocation_verifiers').select(({ fn }) => fn.countAll<number | string>().as('count'));
    return Number((await rows.where((row) => row.and(those)).executeTakeFirstOrThrow()).count);
  };
  const refuse = (max: number, of: string) => {
    throw new RevocationError('ERR_REVOCATION_LIMIT', `${max} processes of ${of} are known already`);
  };
  if ((await count({ spiffe_id: spiffeId })) >= ROWS_MAX) refuse(ROWS_MAX, spiffeId);
  if ((await count({ spiffe_id: spiffeId, public_key: key })) >= ROWS_PER_KEY_MAX)
    refuse(ROWS_PER_KEY_MAX, `${spiffeId} with one key`);
}

/** Each by itself: one that is refused does not stop the others. */
async function applyAll(trx: Tables, changes: readonly Change[], now: { nowMs: number; server: string }) {
  const refused = new Map<Change, RevocationError>();
  let isAnyNew = false;
  for (const change of changes) {
    try {
      isAnyNew = (await applyChange(trx, change, now)) || isAnyNew;
    } catch (error) {
      if (!(error instanceof RevocationError)) throw error;
      refused.set(change, error);
    }
  }
  return { refused, isAnyNew };
}

/** True when it changed something. */
async function applyChange(trx: Tables, change: Change, now: { nowMs: number; server: string }): Promise<boolean> {
  switch (change.kind) {
    case 'joined': {
      const { freshForMs, thenRefuses } = change.verifier;
      const said = { fresh_for_ms: freshForMs, then_refuses: thenRefuses ? 1 : 0 };
      const { state, stream, key } = change.watch;
      if ((await rowOf(trx, change.verifier)) === undefined) await checkRoom(trx, change.verifier, key);
      const { incarnation, sequence } = state;
      const here = { server: now.server, connected: 1, seen_ms: now.nowMs };
      const there = { ...here, ...said, stream, public_key: key, incarnation, sequence };
      await trx
        .insertInto('revocation_verifiers')
        .values({ ...keyOf(change.verifier), ...there })
        .onConflict((conflict) => conflict.columns(KEY).doUpdateSet(there))
        .execute();
      return true;
    }
    case 'left': {
      // Not one that watches another server by now.
      const own = { ...keyOf(change.verifier), server: now.server };
      if (change.how === 'gone') {
        await trx
          .deleteFrom('revocation_verifiers')
          .where((row) => row.and(own))
          .execute();
        return true;
      }
      const away = { connected: 0, seen_ms: now.nowMs };
      await trx
        .updateTable('revocation_verifiers')
        .set(away)
        .where((row) => row.and(own))
        .execute();
      return true;
    }
    case 'acknowledged':
      return acknowledge(trx, change, now);
    default:
      return change satisfies never;
  }
}

/** What it had before stays: an older one that comes late takes nothing back. True when it was new. */
async function acknowledge(
  trx: Tables,
  { verifier, word }: Extract<Change, { kind: 'acknowledged' }>,
  { nowMs }: { nowMs: number },
): Promise<boolean> {
  const { state, stream } = word;
  const key = keyOf(verifier);
  const before = await rowOf(trx, verifier);
  // It watches nobody, or says so by a stream that is over, or somebody else does in its name; on its newest stream it says so again.
  if (before === undefined || before.stream !== stream) return false;
  const isSame = before.incarnation === state.incarnation;
  if (isSame && before.sequence >= state.sequence) return false;
  const head = await readHead(trx);
  // What there is not, nobody has; and of a state with the same number in a store that was put back, the mark is another.
  if (head.incarnation !== state.incarnation || head.sequence < state.sequence) return false;
  if (stream !== '' && !(await hasState(trx, state))) return false;
  const { incarnation, sequence } = state;
  await trx
    .updateTable('revocation_verifiers')
    .set({ incarnation, sequence, seen_ms: nowMs })
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
  if (fresh.length === 0) return true;
  await trx
    .insertInto('revocation_effects')
    .values(fresh.map(({ id, at_ms }) => ({ ...key, revocation: id, after_ms: Math.max(0, nowMs - at_ms) })))
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return true;
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
const PAST_MS = 3_600_000;
const REPLACED_MS = 86_400_000;
/** Of one SPIFFE ID: a gateway that makes up processes of its own fills no table. */
const ROWS_MAX = 1_000;
/** Of one public key, which is that of all processes of one gateway and rises with none of them. */
const ROWS_PER_KEY_MAX = 64;
/** As nodes are. */
const FORGOTTEN_MS = 30 * 86_400_000;
