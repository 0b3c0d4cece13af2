// Sequelize: models with enums and associations synced twice, nested transactions, bulk writes, introspection.
import { DataTypes, Sequelize } from 'sequelize';

const { PGHOST, PGPORT, PGUSER, PGDATABASE } = process.env;
const db = new Sequelize(PGDATABASE, PGUSER, 'unused', {
  dialect: 'postgres',
  host: PGHOST,
  port: PGPORT,
  logging: false,
});
const step = async (name, act) => {
  try {
    console.log(name, JSON.stringify(await act()));
  } catch (error) {
    console.log(name, 'failed:', error.message, error.original?.code, error.original?.detail ?? '');
  }
};

const Customer = db.define(
  'customer',
  {
    name: { type: DataTypes.STRING, allowNull: false, unique: true },
    mood: DataTypes.ENUM('low', 'high'),
    tags: DataTypes.ARRAY(DataTypes.TEXT),
    about: DataTypes.JSONB,
    key: { type: DataTypes.UUID, defaultValue: Sequelize.literal('gen_random_uuid()') },
    at: { type: DataTypes.DATE, defaultValue: new Date(0) },
  },
  { timestamps: false },
);
const Order = db.define('order', { total: DataTypes.DECIMAL(10, 2) }, { timestamps: false });
Customer.hasMany(Order, { onDelete: 'cascade' });
Order.belongsTo(Customer);
const plain = { attributes: { exclude: ['key'] }, order: ['id'], raw: true };

await step('authenticate', () => db.authenticate());
await step('version', () => db.databaseVersion());
await step('sync', () => db.sync().then(() => 'made'));
await step('alter', () => db.sync({ alter: true }).then(() => 'altered'));
await step('force', () => db.sync({ force: true }).then(() => 'anew'));
await step('create', () =>
  Customer.create({ name: 'ada', mood: 'high', tags: ['a', 'b'], about: { x: [1, null] } }).then(({ id }) => id),
);
await step('bulk', () =>
  Customer.bulkCreate(Array.from({ length: 2000 }, (_, n) => ({ name: `n${n}`, mood: 'low' }))).then(
    ({ length }) => length,
  ),
);
await step('upsert', () => Customer.upsert({ id: 1, name: 'ada', mood: 'low' }).then(([{ mood }]) => mood));
await step('twice', () => Customer.create({ name: 'ada' }));
await step('find or create', () =>
  Customer.findOrCreate({ where: { name: 'eve' } }).then(([{ name }, made]) => [name, made]),
);
await step('find or create again', () =>
  Customer.findOrCreate({ where: { name: 'eve' } }).then(([{ name }, made]) => [name, made]),
);
await step('nested', () =>
  db.transaction(async (outer) => {
    await Order.create({ total: 1, customerId: 1 }, { transaction: outer });
    await db
      .transaction({ transaction: outer }, async (inner) => {
        await Order.create({ total: 2, customerId: 1 }, { transaction: inner });
        throw new Error('inner goes');
      })
      .catch(() => {});
    return Order.count({ transaction: outer });
  }),
);
await step('include', () => Customer.findAll({ ...plain, where: { name: 'ada' }, include: Order }));
await step('json path', () => Customer.count({ where: { 'about.x': null } }));
await step('aggregate', () =>
  Customer.findAll({
    attributes: ['mood', [db.fn('count', db.col('id')), 'n']],
    group: 'mood',
    order: ['mood'],
    raw: true,
  }),
);
await step('tables', () =>
  db
    .getQueryInterface()
    .showAllTables()
    .then((all) => all.sort((a, b) => ((a.tableName ?? a) < (b.tableName ?? b) ? -1 : 1))),
);
await step('describe', () => db.getQueryInterface().describeTable('customers'));
await step('indexes', () =>
  db
    .getQueryInterface()
    .showIndex('customers')
    .then((all) => all.map(({ name, unique }) => [name, unique])),
);
await step('foreign keys', () => db.getQueryInterface().getForeignKeyReferencesForTable('orders'));
await step('column', () =>
  db
    .getQueryInterface()
    .addColumn('customers', 'extra', { type: DataTypes.ENUM('x', 'y'), defaultValue: 'x' })
    .then(() => 'added'),
);
await step('change', () =>
  db
    .getQueryInterface()
    .changeColumn('customers', 'mood', { type: DataTypes.ENUM('low', 'high', 'mid') })
    .then(() => 'changed'),
);
await step('function', () =>
  db
    .getQueryInterface()
    .createFunction('twice', [{ type: 'int', name: 'n' }], 'int', 'plpgsql', 'return n * 2;', [])
    .then(() => 'made'),
);
await step('call', () => db.query('select twice(21)', { plain: true }));
await step('schema', () => db.createSchema('other').then(() => db.showAllSchemas()));
await step('isolation', () =>
  db.transaction({ isolationLevel: 'SERIALIZABLE' }, (transaction) => Order.count({ transaction })),
);
await step('stream of updates', () =>
  Promise.all(
    Array.from({ length: 20 }, (_, n) => Customer.update({ mood: 'high' }, { where: { name: `n${n}` } })),
  ).then((all) => all.flat().length),
);
await step('drop', () => db.drop().then(() => 'dropped'));
await db.close();
