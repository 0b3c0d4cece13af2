import type { AuthorityDeps, AuthorityKind } from '../authority.ts';
import { AuthorityError } from '../errors.ts';
import { type JournalRow, type JournalWriter, journalTransaction } from '../journal.ts';
import type { Timeline } from '../timeline.ts';
import { prepareAuthority } from './prepare-authority.ts';
import { decideRotation, type RotationSlot } from './rotation.ts';

// The steps in an authority's life. Each is one transaction on the journal, and key files are touched only so that a crash in between
// leaves something harmless: a key is made before its row (a key without a row is removed at the next start) and destroyed after its row
// has changed.

/** What the steps work on. `rows` is the journal as it was loaded last. */
export interface StepContext {
  readonly deps: AuthorityDeps;
  readonly timeline: Timeline;
  readonly rows: readonly JournalRow[];
  readonly signal: AbortSignal;
  /** Lets what was committed sign: to be awaited before a key is destroyed that signed until then, or whoever asks in between is refused. */
  readonly publish: () => Promise<void>;
}

/** Takes the next step that is due, if any; true when it did something and there may be another. */
export async function takeNextStep(context: StepContext): Promise<boolean> {
  const { keystore, options } = context.deps;
  for (const kind of KINDS) {
    const slots: RotationSlot[] = [];
    for (const row of context.rows) {
      const { state } = row;
      if (row.kind !== kind || row.serverId !== options.serverId || state === 'old') continue;
      slots.push({ ...row, state, usable: keystore.find(row.keyId) !== undefined });
    }
    const time = { earliestMs: context.timeline.earliestMs(), latestMs: context.timeline.latestMs() };
    const next = decideRotation(slots, time);
    if (next.step === 'none') continue;
    if (next.step === 'prepare') await prepareNext(kind, context);
    else if (next.step === 'activate') await activateNext(kind, context);
    else await retire(next.id, next.reason, context);
    return true;
  }
  return prune(context);
}

/** Makes the next authority unless one is prepared already; answers the id of the prepared one. */
export async function prepareNext(kind: AuthorityKind, context: StepContext): Promise<string> {
  const known = ownRow(context.rows, kind, { state: 'prepared', context });
  if (known) return known.id;
  const { deps, timeline, signal } = context;
  const { keystore, random, trustDomain, options } = deps;
  const type = kind === 'x509' ? options.x509KeyType : options.jwtKeyType;
  const key = await keystore.generate(`${kind}.${options.serverId}.${random.bytes(8).toString('hex')}`, type, signal);
  const { serverId, caTtlMs: ttlMs } = options;
  const row = prepareAuthority({ kind, key, serverId, trustDomain, timeline, random, ttlMs });
  await write(context, async (journal) => {
    if (ownRow(await journal.rows(), kind, { state: 'prepared', context })) {
      throw new AuthorityError('ERR_AUTHORITY_STATE', `another process prepares authorities as server ${serverId}`);
    }
    await journal.insert(row);
    await journal.bumpSequence(trustDomain);
  });
  deps.log.info('authority.prepared', { kind, authority: row.id, expiresAtS: row.expiresAtS });
  return row.id;
}

/**
 * Lets the prepared authority sign instead of the active one; answers its id.
 * @throws AuthorityError ERR_AUTHORITY_STATE when none is prepared
 */
export async function activateNext(kind: AuthorityKind, context: StepContext): Promise<string> {
  const next = ownRow(context.rows, kind, { state: 'prepared', context });
  if (!next) throw new AuthorityError('ERR_AUTHORITY_STATE', `no ${kind} authority is prepared`);
  const previous = ownRow(context.rows, kind, { state: 'active', context });
  await write(context, async (journal) => {
    if (previous) await journal.update(previous.id, { state: 'old' });
    await journal.update(next.id, { state: 'active' });
  });
  context.deps.log.info('authority.activated', { kind, authority: next.id, previous: previous?.id });
  // What no longer signs needs no private key: nobody can steal it any more.
  if (previous) await destroyKey(previous.keyId, context);
  return next.id;
}

/** Marks an old authority as compromised. @throws AuthorityError ERR_AUTHORITY_NOT_FOUND, ERR_AUTHORITY_STATE */
export async function taintAuthority(id: string, context: StepContext): Promise<void> {
  await write(context, async (journal) => {
    const row = await rowOf(id, journal);
    if (row.state !== 'old') {
      throw new AuthorityError(
        'ERR_AUTHORITY_STATE',
        `authority ${id} is ${row.state}; only an old one can be tainted`,
      );
    }
    await journal.update(id, { tainted: true });
    await journal.bumpSequence(context.deps.trustDomain);
  });
  context.deps.log.warn('authority.tainted', { authority: id });
}

/** Takes a tainted authority out of the bundle. @throws AuthorityError ERR_AUTHORITY_NOT_FOUND, ERR_AUTHORITY_STATE */
export async function revokeAuthority(id: string, context: StepContext): Promise<void> {
  await write(context, async (journal) => {
    const row = await rowOf(id, journal);
    if (row.state !== 'old' || !row.tainted) {
      const found = `${row.state} and ${row.tainted ? '' : 'not '}tainted`;
      throw new AuthorityError(
        'ERR_AUTHORITY_STATE',
        `authority ${id} is ${found}; only an old, tainted one can be revoked`,
      );
    }
    await journal.remove(id);
    await journal.bumpSequence(context.deps.trustDomain);
  });
  context.deps.log.warn('authority.revoked', { authority: id });
}

/** Destroys the keys of this server that the journal does not need: what a crash left behind. */
export async function removeOrphanKeys({ deps, rows, signal }: StepContext): Promise<void> {
  const needed = new Set(rows.filter((row) => row.state !== 'old').map((row) => row.keyId));
  for (const keyId of deps.keystore.list()) {
    // The keystore may be shared: keys of others are theirs.
    const isOurs = KINDS.some((kind) => keyId.startsWith(`${kind}.${deps.options.serverId}.`));
    if (!isOurs || needed.has(keyId)) continue;
    deps.log.info('authority.key.orphaned', { key: keyId });
    await deps.keystore.remove(keyId, signal);
  }
}

async function retire(id: string, reason: string, context: StepContext): Promise<void> {
  const row = context.rows.find((each) => each.id === id);
  if (!row) return;
  await write(context, (journal) => journal.update(id, { state: 'old' }));
  context.deps.log.warn('authority.retired', { kind: row.kind, authority: id, reason });
  await destroyKey(row.keyId, context);
}

async function destroyKey(keyId: string, { deps, signal, publish }: StepContext): Promise<void> {
  await publish();
  await deps.keystore.remove(keyId, signal);
}

/** Forgets expired authorities of every server, so that those of a server that is gone go too. */
async function prune(context: StepContext): Promise<boolean> {
  const { deps, timeline, signal } = context;
  const nowMs = timeline.earliestMs();
  const gone = context.rows.filter((row) => nowMs >= row.expiresAtS * 1000 + PRUNE_GRACE_MS);
  if (gone.length === 0) return false;
  await write(context, async (journal) => {
    for (const row of gone) await journal.remove(row.id);
    await journal.bumpSequence(deps.trustDomain);
  });
  for (const row of gone) {
    deps.log.info('authority.pruned', { kind: row.kind, authority: row.id });
    if (row.serverId === deps.options.serverId) await deps.keystore.remove(row.keyId, signal);
  }
  return true;
}

function write({ deps, signal }: StepContext, work: (journal: JournalWriter) => Promise<void>): Promise<void> {
  return journalTransaction(deps.store, work, { changes: true, signal });
}

async function rowOf(id: string, journal: JournalWriter): Promise<JournalRow> {
  const row = (await journal.rows()).find((each) => each.id === id);
  if (!row) throw new AuthorityError('ERR_AUTHORITY_NOT_FOUND', `there is no authority ${id}`);
  return row;
}

function ownRow(
  rows: readonly JournalRow[],
  kind: AuthorityKind,
  { state, context }: { readonly state: JournalRow['state']; readonly context: StepContext },
): JournalRow | undefined {
  const { serverId } = context.deps.options;
  return rows.find((row) => row.serverId === serverId && row.kind === kind && row.state === state);
}

const KINDS = ['x509', 'jwt'] as const;
/** Verifiers far behind in time, or holding a cached chain, still find the authority for a day. */
const PRUNE_GRACE_MS = 86_400_000;
