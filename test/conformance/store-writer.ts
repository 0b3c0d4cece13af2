/** A process to be killed: commits pairs of rows as fast as it can and prints each pair's number once it is acknowledged. Arguments: engine, config as JSON. */

import { createSilentLog, createSystemClock, memberById } from '../../src/std/index.ts';
import { storeEngines } from '../../src/store/engines/registry.generated.ts';
import { type ItemTables, itemMigrations } from './store-items.ts';

const [engine = '', config = '{}', first = '1'] = process.argv.slice(2);
const member = memberById(storeEngines, engine);
if (!member) throw new Error(`no store engine ${engine}`);
const store = await member.open(JSON.parse(config), { clock: createSystemClock(), log: createSilentLog() });
await store.start(new AbortController().signal);
await store.migrate(itemMigrations);
process.stdout.write('ready\n');
for (let pair = Number(first); ; pair += 4) {
  // Several at once, so that those of SQLite share commits.
  const numbers = [pair, pair + 1, pair + 2, pair + 3];
  await Promise.all(
    numbers.map(async (number) => {
      await store.transaction<ItemTables, void>(async (trx) => {
        await trx
          .insertInto('items')
          .values({ id: number * 2, note: `left ${number}` })
          .execute();
        await trx
          .insertInto('items')
          .values({ id: number * 2 + 1, note: `right ${number}` })
          .execute();
      });
      process.stdout.write(`${number}\n`);
    }),
  );
}
