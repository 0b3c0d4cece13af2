/** node-postgres. */
import { once } from 'node:events';
import pg from 'pg';
import { failure, negotiation, place, runSteps, show, showRow, tls, untilRunning } from './client.ts';

async function open(more: object = {}): Promise<pg.Client> {
  const opened = new pg.Client({
    ...place,
    ...(tls === undefined ? {} : { ssl: tls, sslnegotiation: negotiation }),
    ...more,
  });
  await opened.connect();
  return opened;
}

const client = await open();

async function rows(text: string, values?: readonly unknown[]): Promise<string[]> {
  const result = await client.query(text, values && [...values]);
  return result.rows.map(showRow);
}

async function prepared(connection: pg.Client): Promise<string[]> {
  const found: string[] = [];
  for (const id of [1, 2, 3]) {
    const query = { name: 'item', text: 'select name from items where id = $1', values: [id] };
    found.push(...(await connection.query(query)).rows.map(showRow));
  }
  return found;
}

await runSteps({
  connect: () => rows('select current_database()'),
  simple: () => rows('select id, name from items order by id'),
  parameters: () =>
    rows(`select $1::int4 + 1 as a, $2::text || '!' as b, $3::bool as c, $4::text as d`, [41, 'ünï', true, null]),
  'types-text': () => rows('select * from kinds order by id'),
  async 'types-binary'() {
    // Types that the driver has no binary parser for would come out as text that was never meant to be one.
    const text = 'select id, i2, i4, i8, b, t, v from kinds order by id';
    // The driver's types do not know `binary`, which asks for results in binary format.
    const result = await client.query({ text, values: [], binary: true } as pg.QueryConfig);
    return result.rows.map(showRow);
  },
  'types-own': () => rows('select * from homes order by id'),
  async prepared() {
    const first = await prepared(client);
    const other = await open();
    const second = await prepared(other);
    await other.end();
    return [...first, ...second];
  },
  async pipeline() {
    const pipelined = await open({ pipeline: true });
    const sent = [
      pipelined.query('select 1 as n').then(({ rows: [row] }) => show(row.n)),
      failure(pipelined.query("insert into items values ($1, 'twice', 0)", [1])),
      pipelined.query('select $1::int as n', [2]).then(({ rows: [row] }) => show(row.n)),
    ];
    const found = await Promise.all(sent);
    await pipelined.end();
    return found;
  },
  async transaction() {
    await client.query('begin');
    await client.query("insert into items values (100, 'gear', 1)");
    await client.query('savepoint a');
    const failed = await failure(client.query("insert into items values (1, 'twice', 1)"));
    await client.query('rollback to savepoint a');
    await client.query("insert into items values ($1, 'hinge', 1)", [101]);
    await client.query('commit');
    const count = await rows('select count(*) from items where id >= 100');
    await client.query('delete from items where id >= 100');
    return [failed, ...count];
  },
  async cancel() {
    const sleeping = new pg.Query({ text: 'select pg_sleep(60)' });
    const ended = once(sleeping, 'end');
    client.query(sleeping);
    await untilRunning();
    // A method that the driver's types leave out.
    const canceller = new pg.Client({ ...place }) as unknown as { cancel(client: pg.Client, query: pg.Query): void };
    canceller.cancel(client, sleeping);
    return [await failure(ended), ...(await rows('select 1'))];
  },
  async listen() {
    const heard = once(client, 'notification');
    await client.query('listen news');
    const other = await open();
    await other.query("notify news, 'fresh'");
    const [{ channel, payload }] = await heard;
    await other.end();
    await client.query('unlisten news');
    return [`${channel}:${payload}`];
  },
  async million() {
    const query = new pg.Query({ text: 'select n, md5(n::text) from generate_series(1, 1000000) n' });
    let [count, sum] = [0, 0];
    query.on('row', ({ n }) => {
      count++;
      sum += n;
    });
    const ended = once(query, 'end');
    client.query(query);
    await ended;
    return [String(count), String(sum)];
  },
  async denied() {
    const simple = await failure(client.query('select * from private'));
    const extended = await failure(client.query('select * from private where id = $1', [1]));
    return [simple, extended, ...(await rows('select $1::int', [1]))];
  },
});
