import { parseSpiffeId } from '@countersign/sdk/identity';
import type { Kysely } from 'kysely';
import {
  InvalidRevocation,
  parseRevocation,
  type Revocation,
  type RevocationSubject,
  revocationSubjectKey,
} from '../model/index.ts';
import { formatTime } from '../std/index.ts';
import { databaseMs } from '../store/index.ts';
import { standingOf } from './effect.ts';
import { RevocationError } from './errors.ts';
import { checkRoom, insertMembers, TOPIC_CHANGED } from './label-members.ts';
import type { RevocationTables } from './migrations.ts';
import type { RevocationsDeps } from './revocations.ts';
import { readHead, readStanding, takeSequence } from './rows.ts';
import type { AddedRevocation, RevocationRequest, Revocations, StandingRevocation } from './types.ts';

/** Creates what changes the revocations that stand, one change after another; `changed` reads what was changed, before whoever asked is told. */
export function createChanges(
  deps: RevocationsDeps,
  changed: () => Promise<unknown>,
): Pick<Revocations, 'add' | 'lift' | 'restart'> {
  const { store, clock, random } = deps;
  const newName = () => random.bytes(16).toString('hex');
  return {
    async add(request, by) {
      const [id, mark, lifeMs] = [newName(), newName(), deps.lifeMsMax()];
      const added = await store.transaction<RevocationTables, AddedRevocation>(
        async (trx, effects) => {
          const atMs = await databaseMs(store, clock, trx);
          // Whatever becomes of it: what is malformed changes nothing.
          const wanted = parsed({ id, ...request, by, sequence: 1, atMs });
          const replaced = await takeLooser(trx, wanted, newName());
          const sequence = await takeSequence(trx, { mark });
          const revocation = { ...wanted, sequence };
          const { subject } = revocation;
          // Nothing of a person outlives their sign-ins, which end here.
          const endsMs = subject.kind === 'person' ? atMs : atMs + lifeMs;
          await insertRow(trx, revocation, endsMs);
          if (subject.kind === 'person' && revocation.mode === 'revoked') await deps.endSignIns(trx, subject);
          const members = subject.kind === 'label' ? await deps.labelled(trx, subject) : [];
          // Who belonged to the one before belongs to this.
          const all = [...new Set([...members, ...(replaced?.members ?? [])])];
          await insertMembers(trx, id, { members: all, sequence });
          await checkRoom(trx);
          effects.notify(TOPIC_CHANGED, '');
          const more = { ...(all.length > 0 ? { members: all } : {}), ...(replaced ? { replaced: replaced.id } : {}) };
          return { ...revocation, ...more, latestExpiryMs: endsMs };
        },
        { order: ORDER },
      );
      await changed();
      return added;
    },
    async lift(id) {
      const mark = newName();
      const lifted = await store.transaction<RevocationTables, StandingRevocation>(
        async (trx, effects) => {
          const found = standingOf(await readStanding(trx), id);
          const nowMs = await databaseMs(store, clock, trx);
          if (found.mode === 'revoked' && nowMs < found.latestExpiryMs)
            throw new RevocationError(
              'ERR_REVOCATION_LIVES',
              `what was issued before may be valid until ${formatTime(found.latestExpiryMs)}`,
            );
          await takeSequence(trx, { mark });
          await deleteRow(trx, id);
          effects.notify(TOPIC_CHANGED, '');
          return found;
        },
        { order: ORDER },
      );
      await changed();
      return lifted;
    },
    async restart() {
      const next = { incarnation: newName(), mark: newName() };
      const sequence = await store.transaction<RevocationTables, number>(
        async (trx, effects) => {
          const { incarnation, follows } = await readHead(trx);
          const all = [incarnation, ...(JSON.parse(follows) as string[])].slice(0, FOLLOWED_MAX); // Written below alone.
          effects.notify(TOPIC_CHANGED, '');
          return takeSequence(trx, { ...next, follows: all });
        },
        { order: ORDER },
      );
      await changed();
      return { ...next, sequence };
    },
  };
}

/** @throws RevocationError ERR_REVOCATION_REQUEST */
function parsed(value: RevocationRequest & Omit<Revocation, keyof RevocationRequest>): Revocation {
  let revocation: Revocation;
  try {
    revocation = parseRevocation(value);
  } catch (cause) {
    if (!(cause instanceof InvalidRevocation)) throw cause;
    throw new RevocationError('ERR_REVOCATION_REQUEST', cause.message, { cause });
  }
  checkHolds(revocation.subject);
  return revocation;
}

/** What would hold for nobody, or for the servers, is refused: whoever asks for it takes it for done. @throws RevocationError ERR_REVOCATION_REQUEST */
function checkHolds(subject: RevocationSubject): void {
  if ('spiffeId' in subject && parseSpiffeId(subject.spiffeId).path === '/spire/server')
    throw new RevocationError(
      'ERR_REVOCATION_REQUEST',
      `${subject.spiffeId} is the servers' own, by which all are told what is revoked; stop a server that is not to be trusted`,
    );
  if ('nodeId' in subject && !parseSpiffeId(subject.nodeId).path.startsWith('/spire/agent/'))
    throw new RevocationError(
      'ERR_REVOCATION_REQUEST',
      `${subject.nodeId} is no node's own SPIFFE ID, under /spire/agent/ (countersign node list); of an alias nobody is told what comes through which node`,
    );
}

/**
 * Takes away, in the same transaction, the quarantine in whose place a stricter one of the same subject comes: nobody gets in between. What would let pass more is
 * a lift, which not all may do who may quarantine. @throws RevocationError ERR_REVOCATION_EXISTS
 */
async function takeLooser(
  trx: Kysely<RevocationTables>,
  next: Revocation,
  mark: string,
): Promise<{ readonly id: string; readonly members: readonly string[] } | undefined> {
  if (next.mode !== 'quarantined') return undefined;
  const row = await trx
    .selectFrom(tableOf(next.subject))
    .select(['id', 'told'])
    .where('subject_key', '=', revocationSubjectKey(next.subject))
    .where('mode', '=', next.mode)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const { allow, running } = parseRevocation(JSON.parse(row.told));
  const isLooser =
    next.allow.some((action) => !allow.includes(action)) || (running === 'end' && next.running === 'keep');
  if (isLooser || (next.allow.length === allow.length && next.running === running))
    throw new RevocationError(
      'ERR_REVOCATION_EXISTS',
      `it is quarantined already, by ${row.id}${isLooser ? ', which lets pass less; one that lets pass more stands once that is lifted' : ''}`,
    );
  const members = await trx
    .selectFrom('revocation_members')
    .select('spiffe_id')
    .where('revocation', '=', row.id)
    .execute();
  await takeSequence(trx, { mark });
  await deleteRow(trx, row.id);
  return { id: row.id, members: members.map(({ spiffe_id }) => spiffe_id) };
}

async function deleteRow(trx: Kysely<RevocationTables>, id: string): Promise<void> {
  for (const table of ['revocation_standing', 'revocation_persons'] as const)
    await trx.deleteFrom(table).where('id', '=', id).execute();
  for (const table of ['revocation_effects', 'revocation_members'] as const)
    await trx.deleteFrom(table).where('revocation', '=', id).execute();
}

/** @throws RevocationError ERR_REVOCATION_EXISTS */
async function insertRow(trx: Kysely<RevocationTables>, revocation: Revocation, latestExpiryMs: number): Promise<void> {
  const { id, subject, mode, sequence, atMs } = revocation;
  const key = revocationSubjectKey(subject);
  const same = trx.selectFrom(tableOf(subject)).select('id').where('subject_key', '=', key);
  const other = await same.where('mode', '=', mode).executeTakeFirst();
  if (other !== undefined) throw new RevocationError('ERR_REVOCATION_EXISTS', `it is ${mode} already, by ${other.id}`);
  await trx
    .insertInto(tableOf(subject))
    .values({
      ...{ id, subject_key: key, mode, sequence, at_ms: atMs, latest_expiry_ms: latestExpiryMs },
      told: JSON.stringify(revocation),
    })
    .execute();
}

function tableOf({ kind }: RevocationSubject): 'revocation_standing' | 'revocation_persons' {
  return kind === 'person' ? 'revocation_persons' : 'revocation_standing';
}

/** In the transaction in which somebody signs in. @throws RevocationError ERR_REVOCATION_REVOKED */
export async function admitPerson<Tables>(
  trx: Kysely<Tables>,
  { issuer, subject }: { readonly issuer: string; readonly subject: string },
): Promise<void> {
  const row = await (trx as unknown as Kysely<RevocationTables>) // Whose it is, says which of the tables there are.
    .selectFrom('revocation_persons')
    .select('id')
    .where('subject_key', '=', revocationSubjectKey({ kind: 'person', issuer, subject }))
    .executeTakeFirst();
  if (row !== undefined) throw new RevocationError('ERR_REVOCATION_REVOKED', `who signs in is revoked (${row.id})`);
}

/** Of all that changes what stands: one after another. */
export const ORDER = 'revocation';
const FOLLOWED_MAX = 16;
