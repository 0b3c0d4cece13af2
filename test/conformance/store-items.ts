import { bytesType, type Migration } from '../../src/store/index.ts';

/** The table that the conformance suite of store engines works on. */
export interface ItemTables {
  items: { id: number; note: string | null; payload?: Buffer | null };
}

export const itemMigrations: readonly Migration[] = [
  {
    name: '0001-items',
    async up(db, dialect) {
      await db.schema
        .createTable('items')
        .addColumn('id', 'bigint', (column) => column.primaryKey())
        .addColumn('note', 'text', (column) => column.unique())
        .addColumn('payload', bytesType(dialect))
        .execute();
    },
  },
];
