// Knex: migrations up, down and up again, search paths, nested transactions, batches, streams, introspection.
import { once } from 'node:events';
import knex from 'knex';

const { PGHOST, PGPORT, PGUSER, PGDATABASE } = process.env;
const connection = { host: PGHOST, port: Number(PGPORT), user: PGUSER, password: 'unused', database: PGDATABASE };
const db = knex({
  client: 'pg',
  connection,
  migrations: { directory: './migrations', loadExtensions: ['.mjs'] },
  pool: { min: 0, max: 5 },
});
const pathed = knex({ client: 'pg', connection, searchPath: ['elsewhere', 'public'] });
const step = async (name, act) => {
  try {
    console.log(name, JSON.stringify(await act()));
  } catch (error) {
    console.log(name, 'failed:', error.message, error.code, error.detail ?? '');
  }
};

await step('latest', () => db.migrate.latest().then(([, files]) => files));
await step('rollback', () => db.migrate.rollback(undefined, true).then(([, files]) => files));
await step('latest again', () => db.migrate.latest().then(([, files]) => files));
await step('list', () => db.migrate.list().then(([done, next]) => [done.length, next.length]));
await step('insert', () =>
  db('customers')
    .insert({ name: 'ada', mood: 'high', notes: { a: 1 }, tags: ['x'] })
    .returning(['id', 'name', 'mood', 'notes', 'tags']),
);
await step('batch', () =>
  db
    .batchInsert(
      'customers',
      Array.from({ length: 5000 }, (_, n) => ({ name: `n${n}` })),
      1000,
    )
    .then(() => db('customers').count()),
);
await step('upsert', () =>
  db('customers').insert({ name: 'ada', mood: 'low' }).onConflict('name').merge().returning('mood'),
);
await step('orders', () =>
  db('orders')
    .insert([
      { customer: 1, total: 2.5 },
      { customer: 1, total: 4 },
    ])
    .returning('id'),
);
await step('view', () => db('totals').where({ id: 1 }));
await step('join', () =>
  db('orders')
    .join('customers', 'customers.id', 'orders.customer')
    .select('customers.name', 'orders.total')
    .orderBy('orders.id'),
);
await step('nested', () =>
  db.transaction(async (outer) => {
    await outer('orders').insert({ customer: 1, total: 1 });
    await outer
      .transaction(async (inner) => {
        await inner('orders').insert({ customer: 1, total: 1 });
        throw new Error('inner goes');
      })
      .catch(() => {});
    return outer('orders').count();
  }),
);
await step('made and used', () =>
  db.transaction(async (trx) => {
    await trx.schema.createTable('brief', (table) => table.increments());
    await trx
      .transaction(async (inner) => {
        await inner('nowhere');
      })
      .catch(() => {});
    await trx('brief').insert({ id: 7 });
    return trx('brief');
  }),
);
await step('twice', () => db('customers').insert({ name: 'ada' }));
await step('unknown', () => db('nowhere').select());
await step('stream', async () => {
  let count = 0;
  const stream = db('customers').select('id').orderBy('id').stream({ highWaterMark: 100 });
  stream.on('data', () => {
    count += 1;
  });
  await once(stream, 'end');
  return count;
});
await step('columns', () =>
  db('customers')
    .columnInfo()
    .then((all) => Object.entries(all).map(([name, { type, nullable }]) => [name, type, nullable])),
);
await step('has', () =>
  Promise.all([
    db.schema.hasTable('customers'),
    db.schema.hasTable('nothing'),
    db.schema.hasColumn('customers', 'notes'),
  ]),
);
await step('path', () => pathed('people').select('id'));
await step('path and table', () =>
  pathed.schema.createTable('mine', (table) => table.increments()).then(() => pathed.schema.hasTable('mine')),
);
await step('with schema', () => db.withSchema('elsewhere').from('mine').count());
await step('lock', () =>
  db.transaction((trx) => trx('customers').where({ id: 1 }).forUpdate().skipLocked().select('name')),
);
await step('raw', () => db.raw('select ?::int + 1 as n, ??', [4, 'name']).catch(({ code }) => code));
await step('cte', () =>
  db
    .with('a', db('customers').where('id', '<', 3))
    .from('a')
    .count(),
);
// A connection whose search path was refused stays open for ever.
process.exit();
