export async function up(db) {
  await db.raw('create extension if not exists "uuid-ossp"');
  await db.schema.createTable('customers', (table) => {
    table.increments();
    table.uuid('key').defaultTo(db.raw('uuid_generate_v4()'));
    table.string('name').notNullable().unique();
    table.enu('mood', ['low', 'high'], { useNative: true, enumName: 'mood' });
    table.jsonb('about');
    table.specificType('tags', 'text[]');
    table.timestamps(true, true);
  });
  await db.schema.createTable('orders', (table) => {
    table.bigIncrements();
    table.integer('customer').references('customers.id').onDelete('cascade').index();
    table.decimal('total', 10, 2).defaultTo(0);
  });
}
export async function down(db) {
  await db.schema.dropTable('orders').dropTable('customers');
  await db.raw('drop type mood');
}
