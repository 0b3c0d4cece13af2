/** What clients do for as long as a soak lasts: each of these is one thing done once, by whoever has a way to the target. */
import pg from 'pg';

export interface Way {
  readonly options: pg.ClientConfig;
}

/** By name, for the count of what was done. */
export const deeds: Readonly<Record<string, (way: Way, round: number) => Promise<void>>> = {
  'short sessions with DDL': (way, round) =>
    inSession(way, async (client) => {
      await client.query(`create table made_${round} (id int primary key, note text)`);
      await client.query(`insert into made_${round} values (1, 'x')`);
      await client.query(`drop table made_${round}`);
    }),
  'temporary tables': (way, round) =>
    inSession(way, async (client) => {
      await client.query(`create temp table mine_${round} (id int primary key)`);
      await client.query(`create temp table theirs (id int references mine_${round}) `);
      await client.query('select count(*) from theirs');
    }),
  'undone changes': (way, round) =>
    inSession(way, async (client) => {
      await client.query('begin');
      await client.query(`create table undone_${round} (id int)`);
      await client.query('rollback');
    }),
  'prepared statements': (way, round) =>
    inSession(way, async (client) => {
      for (let i = 0; i < 20; i++)
        await client.query({
          name: `s${i}`,
          text: `select id as c_${round}_${i} from things where id = $1`,
          values: [i],
        });
    }),
  'denied statements': (way, round) =>
    inSession(way, async (client) => {
      await expectDenied(client, `select ${round} from hidden`);
      await expectDenied(client, `select * from not_there_${round}`);
    }),
  'plain statements': (way, round) =>
    inSession(way, async (client) => {
      for (let i = 0; i < 20; i++)
        await client.query(`select note, ${round} as a_${round}_${i} from things where id < 50`);
    }),
};

async function inSession({ options }: Way, act: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client(options);
  client.on('error', () => {}); // What is being done fails of it.
  await client.connect();
  try {
    await act(client);
  } finally {
    await client.end();
  }
}

async function expectDenied(client: pg.Client, sql: string): Promise<void> {
  const code = await client.query(sql).then(
    () => 'no error',
    (error: { code?: string }) => error.code,
  );
  if (code !== '42501' && code !== '42P01') throw new Error(`${sql}: ${code}`);
}
