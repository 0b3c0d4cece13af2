export const up = (pgm) => {
  pgm.createExtension('uuid-ossp', { ifNotExists: true, schema: 'public' });
  pgm.createType('mood', ['low', 'high']);
  pgm.createTable('customers', {
    id: 'id',
    key: { type: 'uuid', default: pgm.func('public.uuid_generate_v4()') },
    name: { type: 'text', notNull: true, unique: true },
    mood: 'mood',
  });
  pgm.createTable('orders', {
    id: 'id',
    customer: { type: 'integer', references: 'customers', onDelete: 'cascade' },
    total: 'numeric',
  });
  pgm.createIndex('orders', 'customer');
};
