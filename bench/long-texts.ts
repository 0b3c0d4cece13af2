import {
  createShop,
  type Shop,
  shopPolicies,
  startShopServer,
} from '../src/gateway/protocols/postgres/sql/testing/shop.ts';
import { assert } from '../src/std/index.ts';
import { collectGarbage } from './harness/garbage.ts';
import { type Bench, type BenchContext, result, timed } from './harness.ts';

/** What planning a text costs by its length: it must be the same for each megabyte. */
export const bench: Bench = {
  name: 'long-texts',
  summary: 'planning texts of 1 to 20 MB: CPU for each megabyte, and the heap at most',
  heavy: true,
  async run(context) {
    const server = await startShopServer();
    try {
      const shop = createShop(server.catalog, shopPolicies, 8 << 20);
      const all = [];
      for (const [name, textOf] of Object.entries(texts)) all.push(...(await measure(shop, { name, textOf }, context)));
      return all;
    } finally {
      await server.stop();
    }
  },
};

async function measure(shop: Shop, text: { name: string; textOf: (bytes: number) => string }, context: BenchContext) {
  const rows = [];
  const sizes = context.quick ? [0.1, 0.1, 0.2] : [1, 1, 5, 20];
  let before: number | undefined;
  for (const [turn, megabytes] of sizes.entries()) {
    const sql = text.textOf(megabytes * 1e6);
    const { cpuUs, heapBytes } = await plan(shop, sql);
    // The first is not counted: code is compiled in it.
    if (turn === 0) continue;
    const value = cpuUs / 1e3 / (sql.length / 1e6);
    const of = `${text.name}, ${megabytes} MB`;
    // The thread that parses is started anew for a very long text, which a short one has no need of.
    const goal = turn === sizes.length - 1 ? '<= 1.5' : '';
    const peer =
      before === undefined ? {} : { peer: 'of the one before', peerValue: before, ratio: value / before, goal };
    rows.push(
      result({ case: of, subject: 'planning', unit: 'ms CPU/MB', value, ...peer }),
      result({ case: of, subject: 'heap at most, beyond the text', unit: 'MB', value: heapBytes / 1e6 }),
    );
    before = value;
    context.say(`${of}: ${Math.round(cpuUs / 1e3)} ms`);
  }
  return rows;
}

async function plan(shop: Shop, sql: string): Promise<{ cpuUs: number; heapBytes: number }> {
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  let most = before;
  let isDone = false;
  const look = () => {
    most = Math.max(most, process.memoryUsage().heapUsed);
    if (!isDone) setImmediate(look);
  };
  look();
  const { cpuUs } = await timed(async () => {
    const planned = await shop.planLong(sql, { as: 'admin' });
    assert(planned?.verdict === 'forward', JSON.stringify(planned).slice(0, 200));
    return 1;
  });
  isDone = true;
  return { cpuUs, heapBytes: most - before };
}

const texts: Readonly<Record<string, (bytes: number) => string>> = {
  'inserts of one shape': (bytes) =>
    repeated(bytes, (at) => `insert into orders (id, note) values (${at}, 'note of ${at}');\n`),
  'inserts without a shape': (bytes) =>
    repeated(bytes, (at) => `insert into orders (id, total, note) values (${at}, ${at}.25, E'note\\n${at}');\n`),
  'a migration': (bytes) =>
    repeated(bytes, (at) =>
      at < TABLES
        ? `create table made_${at} (id bigint primary key, name text not null default 'x', at timestamptz);\n`
        : `insert into made_${at % TABLES} (id, name) values (${at}, E'number\\t${at}');\n`,
    ),
  'one insert of many rows': (bytes) =>
    `insert into orders (id, note) values ${repeated(bytes, (at) => `(${at}, '${'x'.repeat(200)}'),\n`)}(0, 'last')`,
};

function repeated(bytes: number, statement: (at: number) => string): string {
  const parts: string[] = [];
  for (let at = 0, length = 0; length < bytes; at++) {
    const part = statement(at);
    parts.push(part);
    length += part.length;
  }
  return parts.join('');
}

/** Far fewer than a session may make in one transaction. */
const TABLES = 200;
