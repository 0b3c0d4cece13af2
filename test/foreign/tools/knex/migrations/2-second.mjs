export async function up(db) {
  await db.schema.alterTable('customers', (table) => table.renameColumn('about', 'notes'));
  await db.schema.alterTable('orders', (table) => table.string('state', 20).notNullable().defaultTo('new'));
  await db.raw(
    'create function total_of(int) returns numeric language sql as $$ select sum(total) from orders where customer = $1 $$',
  );
  await db.raw('create view totals as select id, total_of(id) as total from customers');
}
export async function down(db) {
  await db.raw('drop view totals; drop function total_of(int)');
  await db.schema.alterTable('customers', (table) => table.renameColumn('notes', 'about'));
  await db.schema.alterTable('orders', (table) => table.dropColumn('state'));
}
