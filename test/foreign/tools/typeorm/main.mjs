// TypeORM: a schema synchronised twice, a migration, relations, nested transactions, streams, listeners.
import 'reflect-metadata';
import { DataSource, EntitySchema } from 'typeorm';

const { PGHOST, PGPORT, PGUSER, PGDATABASE } = process.env;
const step = async (name, act) => {
  try {
    console.log(name, JSON.stringify(await act()));
  } catch (error) {
    console.log(name, 'failed:', error.message, error.code ?? '', error.driverError?.detail ?? '');
  }
};
const Customer = new EntitySchema({
  name: 'Customer',
  columns: {
    id: { type: Number, primary: true, generated: true },
    key: { type: 'uuid', generated: 'uuid' },
    name: { type: String, unique: true },
    mood: { type: 'enum', enum: ['low', 'high'], default: 'low' },
    tags: { type: 'text', array: true, nullable: true },
    about: { type: 'jsonb', nullable: true },
    place: { type: 'point', nullable: true },
  },
  relations: { orders: { type: 'one-to-many', target: 'Order', inverseSide: 'customer', cascade: true } },
  indices: [{ columns: ['mood'] }],
});
const Order = new EntitySchema({
  name: 'Order',
  tableName: 'orders',
  columns: {
    id: { type: Number, primary: true, generated: 'increment' },
    total: { type: 'numeric', precision: 10, scale: 2 },
  },
  relations: { customer: { type: 'many-to-one', target: 'Customer', inverseSide: 'orders', onDelete: 'CASCADE' } },
});
class Second1700000000000 {
  name = 'Second1700000000000';
  async up(runner) {
    await runner.query('create function twice(int) returns int language sql as $$ select $1 * 2 $$');
    await runner.query('create view doubled as select id, twice(id) as n from customer');
    await runner.query('alter table customer add column extra int default twice(4)');
  }
  async down(runner) {
    await runner.query('drop view doubled; alter table customer drop column extra; drop function twice(int)');
  }
}
const base = {
  type: 'postgres',
  host: PGHOST,
  port: Number(PGPORT),
  username: PGUSER,
  password: 'unused',
  database: PGDATABASE,
};
const db = new DataSource({
  ...base,
  entities: [Customer, Order],
  migrations: [Second1700000000000],
  migrationsTransactionMode: 'each',
});
await step('connect', () => db.initialize().then(() => db.driver.version));
await step('synchronise', () => db.synchronize().then(() => 'made'));
await step('again', () =>
  db.driver
    .createSchemaBuilder()
    .log()
    .then(({ upQueries }) => upQueries.length),
);
await step('migrate', () => db.runMigrations().then((all) => all.map(({ name }) => name)));
await step('undo', () => db.undoLastMigration().then(() => 'undone'));
await step('migrate again', () => db.runMigrations().then((all) => all.map(({ name }) => name)));
const customers = db.getRepository('Customer');
await step('save', () =>
  customers
    .save({
      name: 'ada',
      mood: 'high',
      tags: ['x'],
      about: { a: [1] },
      place: '(1,2)',
      orders: [{ total: 2 }, { total: 3 }],
    })
    .then(({ id, orders }) => [id, orders.length]),
);
await step('many', () =>
  customers
    .insert(Array.from({ length: 2000 }, (_, n) => ({ name: `n${n}` })))
    .then(({ identifiers }) => identifiers.length),
);
await step('find', () =>
  customers.findOne({ where: { name: 'ada' }, relations: ['orders'] }).then(({ key, ...rest }) => rest),
);
await step('upsert', () =>
  customers.upsert({ name: 'ada', mood: 'low' }, ['name']).then(({ identifiers }) => identifiers),
);
await step('nested', () =>
  db.transaction(async (outer) => {
    await outer.getRepository('Order').insert({ total: 1 });
    await outer
      .transaction(async (inner) => {
        await inner.getRepository('Order').insert({ total: 1 });
        throw new Error('inner goes');
      })
      .catch(() => {});
    return outer.getRepository('Order').count();
  }),
);
await step('page', () => customers.findAndCount({ take: 2, skip: 1, order: { id: 'asc' }, select: ['id', 'name'] }));
await step('builder', () =>
  customers
    .createQueryBuilder('c')
    .leftJoin('c.orders', 'o')
    .select('c.mood', 'mood')
    .addSelect('count(o.id)', 'n')
    .groupBy('c.mood')
    .orderBy('c.mood')
    .getRawMany(),
);
await step('view', () => db.query('select * from doubled where id = 1'));
await step('lock', () =>
  db.transaction((m) =>
    m.getRepository('Customer').createQueryBuilder('c').setLock('pessimistic_write').where('c.id = 1').getCount(),
  ),
);
await step('twice', () => customers.insert({ name: 'ada' }));
await step('schema', async () => {
  const runner = db.createQueryRunner();
  await runner.createSchema('other', true);
  const table = await runner.getTable('customer');
  const found = [
    await runner.hasSchema('other'),
    await runner.hasTable('customer'),
    table?.columns.map(({ name, type }) => [name, type]),
  ];
  await runner.release();
  return found;
});
await step('in a schema', async () => {
  const second = await new DataSource({
    ...base,
    schema: 'other',
    entities: [Customer, Order],
    synchronize: true,
  }).initialize();
  const count = await second.getRepository('Customer').count();
  await second.destroy();
  return count;
});
await step('clear', () => db.dropDatabase().then(() => 'dropped'));
await db.destroy();
