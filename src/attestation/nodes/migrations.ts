import type { Kysely } from 'kysely';
import type { Migration } from '../../store/index.ts';

/** Rows of `attestation_nodes`. Times in epoch seconds; an empty `serial` means banned. */
export interface NodeRow {
  id: string;
  attestation_type: string;
  serial: string;
  not_after_s: number;
  new_serial: string;
  new_not_after_s: number;
  /** JSON list of [type, value]. */
  selectors: string;
  reattestable: number;
  agent_version: string;
}

/** Rows of `attestation_tokens`: unused join tokens. */
export interface TokenRow {
  /** SHA-256 of the token, hex. */
  token_hash: string;
  expires_at_s: number;
  /** Alias SPIFFE ID for the node; empty = none. */
  agent_id: string;
}

export interface AttestationTables {
  attestation_nodes: NodeRow;
  attestation_tokens: TokenRow;
}

/** The tables of attestation. */
export const attestationMigrations: readonly Migration[] = [{ name: '0001-attestation-nodes', up: createTables }];

async function createTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('attestation_nodes')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('attestation_type', 'text', (column) => column.notNull())
    .addColumn('serial', 'text', (column) => column.notNull())
    .addColumn('not_after_s', 'bigint', (column) => column.notNull())
    .addColumn('new_serial', 'text', (column) => column.notNull())
    .addColumn('new_not_after_s', 'bigint', (column) => column.notNull())
    .addColumn('selectors', 'text', (column) => column.notNull())
    .addColumn('reattestable', 'integer', (column) => column.notNull())
    .addColumn('agent_version', 'text', (column) => column.notNull())
    .execute();
  await db.schema
    .createTable('attestation_tokens')
    .addColumn('token_hash', 'text', (column) => column.primaryKey())
    .addColumn('expires_at_s', 'bigint', (column) => column.notNull())
    .addColumn('agent_id', 'text', (column) => column.notNull())
    .execute();
}
