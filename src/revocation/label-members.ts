import { type Kysely, sql } from 'kysely';
import { parseRevocation, revocationLimits, revocationSubjectKey } from '../model/index.ts';
import type { Clock, Random } from '../std/index.ts';
import { databaseMs, type Store, type TransactionEffects } from '../store/index.ts';
import { RevocationError } from './errors.ts';
import type { RevocationTables } from './migrations.ts';
import { takeSequence } from './rows.ts';

/** An identity, and the labels of one entry of it. */
export interface LabelledIdentity {
  readonly spiffeId: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Finds, in that transaction, all identities that have an entry with that label. */
export type FindLabelled = <Tables>(
  trx: Kysely<Tables>,
  label: { readonly name: string; readonly value: string },
) => Promise<readonly string[]>;

export interface LabelMembersDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  /** How long what this trust domain's authorities sign may be valid at most, milliseconds from now. */
  readonly lifeMsMax: () => number;
}

/**
 * Which identities belong to the labels that are revoked or quarantined: kept with what stands, so that whoever takes a label from an entry, or an entry away,
 * takes nobody out of it.
 */
export interface LabelMembers {
  /**
   * In the transaction that makes or changes entries: their identities belong from its commit on to each label of theirs that stands. Serializable as transactions
   * are, either this sees the revocation or the revocation sees the entry. @throws RevocationError ERR_REVOCATION_LIMIT
   */
  join<Tables>(
    trx: Kysely<Tables>,
    identities: readonly LabelledIdentity[],
    effects: Pick<TransactionEffects, 'notify'>,
  ): Promise<void>;
}

/** Creates them. */
export function createLabelMembers(deps: LabelMembersDeps): LabelMembers {
  return {
    async join(given, identities, effects) {
      const trx = given as unknown as Kysely<RevocationTables>; // The store lets the caller say which tables there are.
      const labelled = identities.filter(({ labels }) => Object.keys(labels).length > 0);
      if (labelled.length === 0) return;
      const standing = await labelRows(trx);
      if (standing.length === 0) return;
      const members = new Map<string, Set<string>>();
      for (const { spiffeId, labels } of labelled) {
        for (const [name, value] of Object.entries(labels)) {
          const key = revocationSubjectKey({ kind: 'label', name, value });
          const known = members.get(key);
          if (known === undefined) members.set(key, new Set([spiffeId]));
          else known.add(spiffeId);
        }
      }
      await addMissing(trx, { deps, standing, effects, membersOf: async (key) => [...(members.get(key) ?? [])] });
    },
  };
}

/** Brings in, in a transaction, whoever has a label that stands and was given it by a server that knew nothing of members. */
export async function joinMissed(
  trx: Kysely<RevocationTables>,
  deps: LabelMembersDeps & { readonly labelled: FindLabelled },
  effects: Pick<TransactionEffects, 'notify'>,
): Promise<void> {
  const standing = await labelRows(trx);
  const labels = new Map(standing.map(({ subject_key, label }) => [subject_key, label]));
  await addMissing(trx, {
    ...{ deps, standing, effects },
    async membersOf(key) {
      const label = labels.get(key);
      return label === undefined ? [] : deps.labelled(trx, label);
    },
  });
}

/** Those that a revocation begins with, in its transaction. */
export async function insertMembers(
  trx: Kysely<RevocationTables>,
  revocation: string,
  { members, sequence }: { readonly members: readonly string[]; readonly sequence: number },
): Promise<void> {
  for (let start = 0; start < members.length; start += ROWS_PER_INSERT) {
    const rows = members
      .slice(start, start + ROWS_PER_INSERT)
      .map((spiffe_id) => ({ revocation, spiffe_id, sequence }));
    await trx.insertInto('revocation_members').values(rows).execute();
  }
}

/** What stands has to fit into one message to each verifier. @throws RevocationError ERR_REVOCATION_LIMIT */
export async function checkRoom(trx: Kysely<RevocationTables>): Promise<void> {
  const { count, bytes } = await sizeOf(trx, 'revocation_standing', 'told');
  const members = await sizeOf(trx, 'revocation_members', 'spiffe_id');
  const persons = await sizeOf(trx, 'revocation_persons', 'told');
  const limits = revocationLimits;
  if (
    count + persons.count <= limits.standing &&
    bytes + persons.bytes + members.bytes + members.count * QUOTES_BYTES <= limits.bytes
  )
    return;
  throw new RevocationError(
    'ERR_REVOCATION_LIMIT',
    `${limits.standing} revocations may stand at once, of ${limits.bytes} bytes together with the identities that belong to labels`,
  );
}

interface LabelRow {
  readonly id: string;
  readonly subject_key: string;
  readonly label: { readonly name: string; readonly value: string };
}

/** Labels that stand. */
async function labelRows(trx: Kysely<RevocationTables>): Promise<readonly LabelRow[]> {
  const rows = await trx
    .selectFrom('revocation_standing')
    .select(['id', 'subject_key', 'told'])
    .where('subject_key', 'like', '["label",%')
    .execute();
  return rows.flatMap(({ told, ...row }) => {
    const { subject } = parseRevocation(JSON.parse(told));
    return subject.kind === 'label' ? [{ ...row, label: subject }] : [];
  });
}

async function addMissing(
  trx: Kysely<RevocationTables>,
  of: {
    readonly deps: LabelMembersDeps;
    readonly standing: readonly LabelRow[];
    readonly effects: Pick<TransactionEffects, 'notify'>;
    readonly membersOf: (subjectKey: string) => Promise<readonly string[]>;
  },
): Promise<void> {
  const { deps, standing, effects, membersOf } = of;
  let isChanged = false;
  for (const { id, subject_key } of standing) {
    const wanted = await membersOf(subject_key);
    const known = new Set<string>();
    for (let start = 0; start < wanted.length; start += ROWS_PER_INSERT) {
      const rows = await trx
        .selectFrom('revocation_members')
        .select('spiffe_id')
        .where('revocation', '=', id)
        .where('spiffe_id', 'in', wanted.slice(start, start + ROWS_PER_INSERT))
        .execute();
      for (const { spiffe_id } of rows) known.add(spiffe_id);
    }
    const members = wanted.filter((spiffeId) => !known.has(spiffeId));
    if (members.length === 0) continue;
    const sequence = await takeSequence(trx, { mark: deps.random.bytes(16).toString('hex') });
    await insertMembers(trx, id, { members, sequence });
    // What was issued to them before they came has its whole life before it.
    const endMs = (await databaseMs(deps.store, deps.clock, trx)) + deps.lifeMsMax();
    await trx
      .updateTable('revocation_standing')
      .set({ latest_expiry_ms: endMs })
      .where('id', '=', id)
      .where('latest_expiry_ms', '<', endMs)
      .execute();
    isChanged = true;
  }
  if (!isChanged) return;
  await checkRoom(trx);
  effects.notify(TOPIC_CHANGED, '');
}

async function sizeOf<Table extends 'revocation_standing' | 'revocation_persons' | 'revocation_members'>(
  trx: Kysely<RevocationTables>,
  table: Table,
  column: Table extends 'revocation_members' ? 'spiffe_id' : 'told',
): Promise<{ readonly count: number; readonly bytes: number }> {
  const { rows } = await sql<{ count: number | string; bytes: number | string | null }>`
    select count(*) as count, sum(octet_length(${sql.ref(column)})) as bytes from ${sql.table(table)}
  `.execute(trx);
  const [first] = rows;
  return { count: Number(first?.count ?? 0), bytes: Number(first?.bytes ?? 0) };
}

/** What tells servers that another state stands. */
export const TOPIC_CHANGED = 'revocation.changed';
/** SQLite binds at most 32,766 values in one statement. */
const ROWS_PER_INSERT = 500;
/** Of a member in a list of JSON. */
const QUOTES_BYTES = 3;
