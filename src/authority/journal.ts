import type { Insertable, Kysely, Selectable } from 'kysely';
import { bytesType, type Migration, type Store, type TransactionEffects } from '../store/index.ts';
import type { AuthorityKind } from './authority.ts';
import { AuthorityError } from './errors.ts';

/** The tables of the authority. */
export interface AuthorityTables {
  readonly authority_keys: KeysTable;
  readonly authority_bundles: BundlesTable;
}

/** One row for each authority of each server, from prepared until pruned. */
interface KeysTable {
  readonly id: string;
  readonly kind: string;
  readonly server_id: string;
  /** Name of the private key in that server's keystore. */
  readonly key_id: string;
  readonly state: string;
  readonly tainted: number;
  readonly public_key_der: Uint8Array;
  /** Empty for JWT keys. */
  readonly certificate_der: Uint8Array;
  readonly not_before_s: number;
  readonly expires_at_s: number;
  readonly prepared_at_ms: number;
}

/** One row for each trust domain. `content` is empty for the own one: its authorities are the rows of the other table. */
interface BundlesTable {
  readonly trust_domain: string;
  readonly sequence: number;
  readonly refresh_hint_s: number;
  readonly content: string;
}

/** A row of the journal as the rest of the authority sees it. */
export interface JournalRow {
  readonly id: string;
  readonly kind: AuthorityKind;
  readonly serverId: string;
  readonly keyId: string;
  readonly state: 'prepared' | 'active' | 'old';
  readonly tainted: boolean;
  readonly publicKeyDer: Buffer;
  readonly certificateDer: Buffer;
  readonly notBeforeS: number;
  readonly expiresAtS: number;
  readonly preparedAtMs: number;
}

export interface StoredBundle {
  readonly trustDomain: string;
  readonly sequence: number;
  readonly refreshHintS: number;
  readonly content: string;
}

export const authorityMigrations: readonly Migration[] = [
  {
    name: '0001-authority-journal',
    async up(db, dialect) {
      await db.schema
        .createTable('authority_keys')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('kind', 'text', (column) => column.notNull())
        .addColumn('server_id', 'text', (column) => column.notNull())
        .addColumn('key_id', 'text', (column) => column.notNull())
        .addColumn('state', 'text', (column) => column.notNull())
        .addColumn('tainted', 'integer', (column) => column.notNull())
        .addColumn('public_key_der', bytesType(dialect), (column) => column.notNull())
        .addColumn('certificate_der', bytesType(dialect), (column) => column.notNull())
        .addColumn('not_before_s', 'bigint', (column) => column.notNull())
        .addColumn('expires_at_s', 'bigint', (column) => column.notNull())
        .addColumn('prepared_at_ms', 'bigint', (column) => column.notNull())
        .execute();
      await db.schema
        .createTable('authority_bundles')
        .addColumn('trust_domain', 'text', (column) => column.primaryKey())
        .addColumn('sequence', 'bigint', (column) => column.notNull())
        .addColumn('refresh_hint_s', 'bigint', (column) => column.notNull())
        .addColumn('content', 'text', (column) => column.notNull())
        .execute();
    },
  },
];

/** What one transaction on the journal can do. */
export interface JournalWriter {
  rows(): Promise<readonly JournalRow[]>;
  insert(row: JournalRow): Promise<void>;
  update(id: string, change: { readonly state?: JournalRow['state']; readonly tainted?: boolean }): Promise<void>;
  remove(id: string): Promise<void>;
  /** Raises the sequence of the own bundle: to be called by every transaction that changes what the bundle holds. */
  bumpSequence(trustDomain: string): Promise<void>;
  bundles(): Promise<readonly StoredBundle[]>;
  replaceBundle(bundle: StoredBundle): Promise<void>;
  removeBundle(trustDomain: string): Promise<boolean>;
}

/** Runs `work` as one transaction, in one order with all others on the journal, and tells every server when `changes` is true. */
export function journalTransaction<T>(
  store: Store,
  work: (journal: JournalWriter) => Promise<T>,
  options: { readonly changes: boolean; readonly signal: AbortSignal },
): Promise<T> {
  return store.transaction<AuthorityTables, T>(
    async (trx, effects: TransactionEffects) => {
      const result = await work(writerOf(trx));
      if (options.changes) effects.notify(JOURNAL_TOPIC, 'changed');
      return result;
    },
    { signal: options.signal, order: JOURNAL_TOPIC },
  );
}

/** Topic of the notification after each change. */
export const JOURNAL_TOPIC = 'authority';

function writerOf(trx: Kysely<AuthorityTables>): JournalWriter {
  return {
    async rows() {
      const rows = await trx.selectFrom('authority_keys').selectAll().orderBy('prepared_at_ms').orderBy('id').execute();
      return rows.map(parseRow);
    },
    async insert(row) {
      await trx.insertInto('authority_keys').values(formatRow(row)).execute();
    },
    async update(id, { state, tainted }) {
      await trx
        .updateTable('authority_keys')
        .set({
          ...(state === undefined ? {} : { state }),
          ...(tainted === undefined ? {} : { tainted: Number(tainted) }),
        })
        .where('id', '=', id)
        .execute();
    },
    async remove(id) {
      await trx.deleteFrom('authority_keys').where('id', '=', id).execute();
    },
    async bumpSequence(trustDomain) {
      await trx
        .insertInto('authority_bundles')
        .values({ trust_domain: trustDomain, sequence: 1, refresh_hint_s: 0, content: '' })
        .onConflict((conflict) =>
          conflict.column('trust_domain').doUpdateSet((eb) => ({ sequence: eb('authority_bundles.sequence', '+', 1) })),
        )
        .execute();
    },
    async bundles() {
      const rows = await trx.selectFrom('authority_bundles').selectAll().orderBy('trust_domain').execute();
      return rows.map((row) => ({
        trustDomain: row.trust_domain,
        sequence: row.sequence,
        refreshHintS: row.refresh_hint_s,
        content: row.content,
      }));
    },
    async replaceBundle({ trustDomain, sequence, refreshHintS, content }) {
      const values = { sequence, refresh_hint_s: refreshHintS, content };
      await trx
        .insertInto('authority_bundles')
        .values({ trust_domain: trustDomain, ...values })
        .onConflict((conflict) => conflict.column('trust_domain').doUpdateSet(values))
        .execute();
    },
    async removeBundle(trustDomain) {
      const [result] = await trx.deleteFrom('authority_bundles').where('trust_domain', '=', trustDomain).execute();
      return (result?.numDeletedRows ?? 0n) > 0n;
    },
  };
}

function parseRow(row: Selectable<KeysTable>): JournalRow {
  const { kind, state } = row;
  if ((kind !== 'x509' && kind !== 'jwt') || (state !== 'prepared' && state !== 'active' && state !== 'old')) {
    throw new AuthorityError('ERR_AUTHORITY_JOURNAL', `the journal row ${row.id} has kind ${kind} and state ${state}`);
  }
  return {
    id: row.id,
    kind,
    serverId: row.server_id,
    keyId: row.key_id,
    state,
    tainted: row.tainted !== 0,
    publicKeyDer: Buffer.from(row.public_key_der),
    certificateDer: Buffer.from(row.certificate_der),
    notBeforeS: row.not_before_s,
    expiresAtS: row.expires_at_s,
    preparedAtMs: row.prepared_at_ms,
  };
}

function formatRow(row: JournalRow): Insertable<KeysTable> {
  return {
    id: row.id,
    kind: row.kind,
    server_id: row.serverId,
    key_id: row.keyId,
    state: row.state,
    tainted: Number(row.tainted),
    public_key_der: row.publicKeyDer,
    certificate_der: row.certificateDer,
    not_before_s: row.notBeforeS,
    expires_at_s: row.expiresAtS,
    prepared_at_ms: row.preparedAtMs,
  };
}
