/** Arbitrary statements over the shop: mostly valid, many of them trying to get at a masked column by some way round. */
import fc from 'fast-check';

const sources: readonly { readonly name: string; readonly columns: readonly string[] }[] = [
  { name: 'customers', columns: ['id', 'name', 'ssn', 'email', 'note', 'ssn_tail'] },
  { name: 'customer_all', columns: ['id', 'tax_number', 'name'] },
  { name: 'customer_copy', columns: ['id', 'ssn', 'name'] },
  { name: 'customer_names', columns: ['id', 'name'] },
  { name: 'nested', columns: ['tax_number', 'total'] },
  { name: 'customer_upper', columns: ['id', 'shout'] },
  { name: 'events', columns: ['id', 'day', 'secret', 'info'] },
  { name: 'events_1', columns: ['id', 'secret', 'info'] },
  { name: 'orders', columns: ['id', 'customer_id', 'total', 'note'] },
  { name: 'employees', columns: ['id', 'name', 'salary'] },
];

/** A query and the column names that it surely answers with. */
interface Shape {
  readonly sql: string;
  readonly columns: readonly string[];
}

/** A FROM entry: what its rows and columns are called. */
interface Entry {
  readonly sql: string;
  readonly alias: string;
  readonly columns: readonly string[];
}

const pick = <Value>(values: readonly Value[]): fc.Arbitrary<Value> => fc.constantFrom(...values);

function expression(entries: readonly Entry[], depth: number): fc.Arbitrary<string> {
  const column = pick(entries).chain((entry) =>
    fc
      .tuple(pick(entry.columns.length > 0 ? entry.columns : ['id']), fc.boolean())
      .map(([name, isQualified]) => (isQualified ? `${entry.alias}.${name}` : name)),
  );
  if (depth === 0)
    return fc.oneof({ weight: 6, arbitrary: column }, { weight: 1, arbitrary: pick(['1', "'x'", 'null']) });
  const inner = expression(entries, depth - 1);
  const row = pick(entries);
  return fc.oneof(
    { weight: 8, arbitrary: column },
    { weight: 2, arbitrary: inner.map((one) => `upper(${one}::text)`) },
    { weight: 1, arbitrary: inner.map((one) => `(${one})::text`) },
    { weight: 1, arbitrary: inner.map((one) => `length((${one})::text)`) },
    { weight: 1, arbitrary: fc.tuple(inner, inner).map(([a, b]) => `coalesce((${a})::text, (${b})::text)`) },
    {
      weight: 1,
      arbitrary: fc.tuple(inner, inner).map(([a, b]) => `case when ${a} is null then 1 else length((${b})::text) end`),
    },
    { weight: 1, arbitrary: row.map(({ alias }) => `${alias}::text`) },
    { weight: 1, arbitrary: row.map(({ alias }) => `to_json(${alias})::text`) },
    {
      weight: 1,
      arbitrary: fc.tuple(row, pick(['ssn', 'secret', 'name', 'id'])).map(([{ alias }, name]) => `(${alias}).${name}`),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(pick(sources), fc.nat(5))
        .map(([{ name, columns }, at]) => `(select ${columns[at % columns.length]} from ${name} limit 1)::text`),
    },
    { weight: 1, arbitrary: pick(sources).map(({ name }) => `exists (select * from ${name})`) },
    { weight: 1, arbitrary: inner.map((one) => `json_build_object('k', ${one})::text`) },
    { weight: 1, arbitrary: inner.map((one) => `count(${one}) over ()`) },
    { weight: 1, arbitrary: inner.map((one) => `rank() over (order by ${one})`) },
    { weight: 1, arbitrary: row.map(({ alias }) => `row(${alias}.*)::text`) },
    // Attributes that are columns, functions of the row, or what every table has.
    { weight: 1, arbitrary: fc.tuple(row, pick(attributes)).map(([{ alias }, name]) => `${alias}.${name}::text`) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(inner, pick([...['::text).upper', '::text).length'], ').leak_one', ').abs']))
        .map(([one, name]) => `((${one})${name}`),
    },
    { weight: 1, arbitrary: fc.tuple(pick(names), siblings).map(([name, count]) => count(name)) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(inner, pick(['=', '<', '>=', 'like', 'is distinct from']), pick(literals))
        .map(([one, operator, literal]) => `(${one})::text ${operator} ${literal}`),
    },
  );
}

const attributes = ['row_to_json', 'to_json', 'text', 'ctid', 'cmin', 'ssn', 'secret', 'id', 'leak_one', 'lower'];
/** What a query around may have a masked column called. */
const names = ['ssn', 'tax_number', 'email', 'secret', 'note', 'id', 'ctid', 'cmin', 'r2'];
const literals = ["'CANARY-1111'", "'M'", "'C%'", "''", '5', "'it''s'"];

/** Counts rows by a condition on a name that may mean a column beside it or one of the query around it. */
const siblings: fc.Arbitrary<(name: string) => string> = pick<(name: string) => string>([
  (name) =>
    `(select count(*) from (values ('x')) s(${name}), (values (1)) i(p) join (values (1)) k(q) on ${name}::text > 'M')`,
  (name) =>
    `(select count(*) from (values ('x')) s(${name}), orders tablesample system (case when ${name}::text > 'M' then 100 else 0 end))`,
  (name) => `(select count(*) from orders s where ${name}::text > 'M')`,
  (name) => `(select count(*) from staff s where ${name}::text > 'M')`,
  (name) => `(select count(*) from staff s, lateral (select ${name}::text > 'M' as x) t where t.x)`,
  (name) => `(select ${name}::text from customer_names s order by ${name} limit 1)`,
  (name) => `(select max(p) from (values (1), (2)) i(p) group by ${name} limit 1)`,
]);

function entry(depth: number, alias: string): fc.Arbitrary<Entry> {
  const table = pick(sources).map(({ name, columns }): Entry => ({ sql: `${name} ${alias}`, alias, columns }));
  const renamed = pick(sources).map(({ name, columns }): Entry => {
    const names = columns.map((_, index) => `r${index}`);
    return { sql: `${name} as ${alias}(${names.join(', ')})`, alias, columns: names };
  });
  if (depth === 0) return fc.oneof({ weight: 4, arbitrary: table }, { weight: 1, arbitrary: renamed });
  const query = select(depth - 1).map(({ sql, columns }): Entry => ({ sql: `(${sql}) ${alias}`, alias, columns }));
  return fc.oneof({ weight: 4, arbitrary: table }, { weight: 1, arbitrary: renamed }, { weight: 3, arbitrary: query });
}

function from(depth: number): fc.Arbitrary<{ readonly sql: string; readonly entries: readonly Entry[] }> {
  const one = entry(depth, 'a').map((a) => ({ sql: a.sql, entries: [a] }));
  const join = fc
    .tuple(
      entry(depth, 'a'),
      entry(0, 'b'),
      pick(['join', 'left join', 'cross join', 'natural join', 'using', 'full join', 'namesake']),
    )
    .map(([a, b, kind]) => {
      // A column that is called like the other entry.
      if (kind === 'namesake') return { sql: `${a.sql}, (values (1)) b(a)`, entries: [a] };
      if (kind === 'using') return { sql: `${a.sql} join ${b.sql} using (id)`, entries: [a, b] };
      const isFree = kind === 'cross join' || kind === 'natural join';
      return { sql: `${a.sql} ${kind} ${b.sql}${isFree ? '' : ' on true'}`, entries: [a, b] };
    });
  const aliased = fc.tuple(entry(0, 'a'), entry(0, 'b')).map(([a, b]) => ({
    sql: `(${a.sql} join ${b.sql} on true) as j`,
    entries: [{ sql: '', alias: 'j', columns: [...a.columns, ...b.columns] }],
  }));
  const lateral = fc.tuple(entry(0, 'a'), fc.nat(9)).map(([a, at]) => {
    const name = a.columns[at % a.columns.length] ?? 'id';
    return {
      sql: `${a.sql}, lateral (select a.${name} as l) b`,
      entries: [a, { sql: '', alias: 'b', columns: ['l'] }],
    };
  });
  return fc.oneof(
    { weight: 5, arbitrary: one },
    { weight: 3, arbitrary: join },
    { weight: 1, arbitrary: aliased },
    { weight: 1, arbitrary: lateral },
  );
}

const maybe = (text: fc.Arbitrary<string>, chance = 3): fc.Arbitrary<string> =>
  fc.oneof({ weight: chance, arbitrary: fc.constant('') }, { weight: 1, arbitrary: text });

/** A SELECT without set operation. */
function select(depth: number): fc.Arbitrary<Shape> {
  return from(depth).chain(({ sql, entries }) => {
    const value = expression(entries, 2);
    const target = fc.oneof(
      { weight: 2, arbitrary: fc.constant<readonly [string, string]>(['*', '*']) },
      { weight: 1, arbitrary: pick(entries).map(({ alias }): readonly [string, string] => [`${alias}.*`, '*']) },
      {
        weight: 4,
        arbitrary: fc.tuple(pick(entries), fc.nat(9)).map(([{ alias, columns }, at]): readonly [string, string] => {
          const name = columns[at % Math.max(columns.length, 1)] ?? 'id';
          return [`${alias}.${name}`, name];
        }),
      },
      {
        weight: 2,
        arbitrary: fc
          .tuple(value, pick(['p', 'q', 'ssn']))
          .map(([one, label]): readonly [string, string] => [`${one} as ${label}`, label]),
      },
    );
    return fc
      .record({
        targets: fc.array(target, { minLength: 1, maxLength: 3 }),
        distinct: maybe(pick(['distinct ', 'distinct on (1) ']), 8),
        where: maybe(
          fc.oneof(
            value.map((one) => ` where (${one})::text is not null`),
            fc.tuple(value, pick(literals)).map(([one, literal]) => ` where (${one})::text <> ${literal}`),
            value.map((one) => ` group by 1 having count((${one})::text) > 0`),
          ),
        ),
        order: maybe(fc.oneof(pick(['1', '2', 'ssn', 'p', 'id', 'name']), value).map((one) => ` order by ${one}`)),
        limit: maybe(pick([' limit 2', ' offset 1'])),
      })
      .map(({ targets, distinct, where, order, limit }) => {
        const columns = targets.flatMap(([, name]) => (name === '*' ? entries.flatMap((one) => one.columns) : [name]));
        return {
          sql: `select ${distinct}${targets.map(([one]) => one).join(', ')} from ${sql}${where}${order}${limit}`,
          columns,
        };
      });
  });
}

/** Queries that are nearly certain to run, each with one thing that could tell about a masked column. */
const probe: fc.Arbitrary<string> = fc
  .record({
    column: pick(['c.ssn', 'c.email', 'c.ssn_tail', 'c.name', 'c.id']),
    second: pick([
      'c.id',
      'c.name',
      'c.ssn as x',
      'v.tax_number as x',
      'c.*',
      'v.*',
      'c',
      'v',
      '(select ssn from customers limit 1)',
      'array(select ssn from customers)',
      '(c.id).leak_one as x',
      'row(c.*)::text as x',
    ]),
    from: pick([
      'customers c join customer_all v on v.id = c.id cross join (values (1)) n(c)',
      'customers c join customer_all v on v.id = c.id',
      'customers c, lateral (select * from customer_all w where w.id = c.id) v',
      '(select * from customers) c join customer_copy k using (id) join customer_all v using (id)',
    ]),
    tail: pick([
      '',
      ' order by 1',
      ' order by 2',
      ' order by 1 desc, 2',
      ' order by x',
      ' order by c.ssn',
      ' order by v.tax_number',
      ' group by 1, 2',
      ' group by (1, 2)',
      ' group by rollup ((2, 1))',
      ' limit 1',
    ]),
    set: pick(['', '', '', '', '', '', '', '', 'union', 'except', 'union all', 'intersect']),
    head: pick(['', '', '', '', '', '', '', '', 'distinct ', 'distinct on (c.ssn) ', 'distinct on (1) ']),
    where: pick([
      ...['', '', '', '', '', '', '', ''],
      " where c.ssn > 'M'",
      " where v.tax_number like 'C%'",
      ' where c.name is not null',
      " where exists (select 1 from customers i where i.ssn > 'M' and i.id = c.id)",
      " where c.id in (select id from customer_copy where ssn < 'M')",
    ]),
  })
  .map(({ column, second, from, tail, set, head, where }) => {
    const query = `select ${head}${column}, ${second} from ${from}${where}`;
    const right = `select ${column === 'c.id' ? '1' : "'x'"}, ${second.includes('id') ? '1' : "'y'"}`;
    return set === '' ? `${query}${tail}` : `${query} ${set} ${right}`;
  });

/** A masked column under some name, and beside it a condition that may mean it or something nearer. */
const correlated: fc.Arbitrary<string> = fc
  .record({
    source: pick([
      ['customers', 'ssn'] as const,
      ['customer_all', 'tax_number'] as const,
      ['events', 'secret'] as const,
    ]),
    isRenamed: fc.boolean(),
    name: pick(names),
    count: siblings,
  })
  .map(({ source: [table, column], isRenamed, name, count }) => {
    const outer = isRenamed ? `(select id, ${column} as ${name} from ${table})` : table;
    return `select o.id, ${count(name)} from ${outer} o order by 1`;
  });

/** Any query: plain, set operation, WITH, grouped. */
export const queryShape: fc.Arbitrary<string> = fc.oneof(
  { weight: 8, arbitrary: select(2).map(({ sql }) => sql) },
  { weight: 6, arbitrary: probe },
  { weight: 3, arbitrary: correlated },
  {
    weight: 1,
    arbitrary: fc
      .tuple(select(1), select(1), pick(['union', 'union all', 'except', 'intersect']))
      .map(([a, b, kind]) => `(${a.sql}) ${kind} (${b.sql})`),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(select(1), pick(['*', 'upper(ssn)', 'ssn', 'count(*)', 'w::text', 'w.id']))
      .map(([a, target]) => `with w as (${a.sql}) select ${target} from w`),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(pick(sources), fc.nat(9), fc.nat(9))
      .map(
        ([{ name, columns }, a, b]) =>
          `select ${columns[a % columns.length]}, count(*) from ${name} group by ${columns[b % columns.length]}, 1`,
      ),
  },
);

/** A write, on its own or with RETURNING. */
export const writeShape: fc.Arbitrary<string> = fc
  .record({
    target: pick(['customers', 'orders']),
    column: pick(['note', 'id + 100', 'ssn', 'email', 'name', 'total']),
    returning: maybe(
      pick([
        ' returning id',
        ' returning *',
        ' returning note',
        ' returning old.*',
        ' returning ssn',
        ' returning note || name',
      ]),
      1,
    ),
    source: select(1),
    kind: fc.nat(9),
    literal: pick(literals),
  })
  .map(({ target, column, returning, source, kind, literal }) => {
    switch (kind) {
      case 0:
        return `update ${target} set note = (${column})::text${returning}`;
      case 1:
        return `update orders o set note = (${column.startsWith('id') ? 'c.id' : `c.${column}`})::text from customers c where c.id = o.id${returning}`;
      case 2:
        return `insert into orders (id, note) select row_number() over () + 50, s::text from (${source.sql}) s${returning}`;
      case 3:
        return `insert into customers (id, name, ssn, note) values (1, 'Zed', 'CANARY-new', 'x') on conflict (id) do update set name = excluded.name, note = (customers.${column.startsWith('id') ? 'id' : column})::text${returning}`;
      case 4:
        return `insert into orders (id, note) select id + 50, ${column.startsWith('id') || column === 'total' ? 'ssn' : column} from customers${returning}`;
      case 5:
        return `delete from ${target} where (${column})::text is not null and id > 2${returning}`;
      case 6:
        return `merge into orders o using customers c on c.id = o.id when matched and c.name <> ${literal} then update set note = (c.${column === 'id + 100' || column === 'total' ? 'id' : column})::text when not matched then insert (id, note) values (c.id + 90, ${literal})${returning}`;
      case 7:
        return `merge into orders o using customers c on c.id = o.id and c.ssn > ${literal} when matched then delete`;
      case 8:
        return `insert into customers (id, name, ssn) values (1, ${literal}, 'x') on conflict on constraint customers_pkey do update set note = excluded.note${returning}`;
      default:
        return `with w as (update customers set name = name returning *) ${source.sql}`;
    }
  });
