export const up = (pgm) => {
  pgm.createFunction(
    'touch',
    [],
    { returns: 'trigger', language: 'plpgsql' },
    'begin new.name := trim(new.name); return new; end',
  );
  pgm.createTrigger('customers', 'trimmed', { when: 'before', operation: 'insert', level: 'row', function: 'touch' });
  pgm.sql("insert into customers (name, mood) values (' ada ', 'high')");
  pgm.sql('insert into orders (customer, total) select id, 4 from customers');
};
export const down = (pgm) => {
  pgm.sql('delete from customers');
  pgm.dropTrigger('customers', 'trimmed');
  pgm.dropFunction('touch', []);
};
