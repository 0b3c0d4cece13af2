import { startPostgres } from '../../../../../test/support/postgres.ts';

/** What the conformance suite of store engines needs of this one: empty databases, on a server of its own. */
export const conformance = {
  async open() {
    const postgres = await startPostgres();
    let databases = 0;
    return {
      async createDatabase() {
        const name = `store_${++databases}`;
        await postgres.query(`create database ${name}`);
        const variable = `STORE_TEST_URL_${databases}`;
        const url = postgres.url.replace('/postgres?', `/${name}?`);
        process.env[variable] = url;
        return {
          config: { url: `env:${variable}`, connectionsMax: 4 },
          env: { [variable]: url },
          async remove() {
            delete process.env[variable];
            await postgres.query(`drop database ${name} with (force)`);
          },
        };
      },
      close: () => postgres.stop(),
    };
  },
};
