import { startPostgres } from '../../../../../test/support/postgres.ts';

/** What the conformance suite of store engines needs of this one: empty databases, on a server of its own. */
export const conformance = {
  async open() {
    const postgres = await startPostgres();
    // One that was emptied is as good as a new one, which would cost the server a copy of 300 files.
    const spare: string[] = [];
    let databases = 0;
    return {
      async createDatabase() {
        const number = ++databases;
        const name = spare.pop() ?? `store_${number}`;
        if (name === `store_${number}`) await postgres.query(`create database ${name}`);
        const variable = `STORE_TEST_URL_${number}`;
        const url = postgres.url.replace('/postgres?', `/${name}?`);
        process.env[variable] = url;
        return {
          config: { url: `env:${variable}`, connectionsMax: 4 },
          env: { [variable]: url },
          async remove() {
            delete process.env[variable];
            await postgres.query(
              `select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = '${name}'`,
            );
            await postgres.query('drop schema public cascade; create schema public', [], name);
            spare.push(name);
          },
        };
      },
      close: () => postgres.stop(),
    };
  },
};
