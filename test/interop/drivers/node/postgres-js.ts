/** postgres.js. */
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import postgres from 'postgres';
import { failure, negotiation, place, runSteps, show, showRow, tls, untilRunning } from './client.ts';

const open = (more: object = {}) =>
  postgres({
    ...{ ...place, password: place.password ?? '', max: 1, onnotice: () => {} },
    ...(tls === undefined ? { ssl: false } : { ssl: tls, sslnegotiation: negotiation }),
    ...more,
  });

const sql = open();

const prepared = async (connection: postgres.Sql) => {
  const found: string[] = [];
  for (const id of [1, 2, 3]) found.push(...(await connection`select name from items where id = ${id}`).map(showRow));
  return found;
};

await runSteps({
  connect: async () => (await sql`select current_database()`).map(showRow),
  simple: async () => (await sql`select id, name from items order by id`.simple()).map(showRow),
  parameters: async () =>
    (await sql`select ${41}::int4 + 1 as a, ${'ünï'}::text || '!' as b, ${true}::bool as c, ${null}::text as d`).map(
      showRow,
    ),
  'types-text': async () => (await sql`select * from kinds order by id`).map(showRow),
  'types-own': async () => (await sql`select * from homes order by id`).map(showRow),
  async prepared() {
    const first = await prepared(sql);
    const other = open();
    const second = await prepared(other);
    await other.end();
    return [...first, ...second];
  },
  async pipeline() {
    // Queries that are asked for at once share the one connection, each with a Sync of its own.
    return Promise.all([
      sql`select ${1}::int as n`.then(([row]) => show(row?.['n'])),
      failure(sql`insert into items values (${1}, 'twice', 0)`),
      sql`select ${2}::int as n`.then(([row]) => show(row?.['n'])),
    ]);
  },
  async transaction() {
    const failed = await sql.begin(async (transaction) => {
      await transaction`insert into items values (100, 'gear', 1)`;
      const code = await failure(transaction.savepoint((inner) => inner`insert into items values (${1}, 'twice', 1)`));
      await transaction`insert into items values (${101}, 'hinge', 1)`;
      return code;
    });
    const count = (await sql`select count(*) from items where id >= 100`).map(showRow);
    await sql`delete from items where id >= 100`;
    return [failed, ...count];
  },
  async 'copy-in'() {
    const into = await sql`copy loads (id, note) from stdin`.writable();
    await pipeline(async function* () {
      for (let id = 1; id <= 10_000; id++) yield `${id}\tnote ${id}\n`;
    }, into);
    const found = (await sql`select count(*), sum(id) from loads`).map(showRow);
    await sql`delete from loads`;
    return found;
  },
  async 'copy-out'() {
    let bytes = 0;
    const counter = new Writable({
      write(chunk: Buffer, _encoding, done) {
        bytes += chunk.length;
        done();
      },
    });
    await pipeline(
      await sql`copy (select n, 'note ' || n from generate_series(1, 10000) n) to stdout`.readable(),
      counter,
    );
    return [String(bytes)];
  },
  async cancel() {
    const sleeping = sql`select pg_sleep(60)`.execute();
    const failed = failure(sleeping);
    await untilRunning();
    sleeping.cancel();
    return [await failed, ...(await sql`select 1`).map(showRow)];
  },
  async listen() {
    const { promise, resolve } = Promise.withResolvers<string>();
    const { unlisten } = await sql.listen('news', resolve);
    await sql.notify('news', 'fresh');
    const payload = await promise;
    await unlisten();
    return [`news:${payload}`];
  },
  async million() {
    let [count, sum] = [0, 0];
    await sql`select n, md5(n::text) from generate_series(1, 1000000) n`.cursor(5000, (rows) => {
      count += rows.length;
      for (const row of rows) sum += Number(row['n']);
    });
    return [String(count), String(sum)];
  },
  async denied() {
    const simple = await failure(sql`select * from private`.simple());
    const extended = await failure(sql`select * from private where id = ${1}`);
    return [simple, extended, ...(await sql`select ${1}::int`).map(showRow)];
  },
});
