// Goal: the promise of noninterference.test.ts for code that is proven: two databases that differ in masked values alone look the same through whatever functions,
// procedures, triggers and blocks are let through, and keep the same.
import fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../../../../../test/support/postgres.ts';
import { codeOf } from '../../../../std/index.ts';
import { shownFields } from '../error-texts.ts';
import { loadParser, maskColumns, type Plan } from './index.ts';
import { codeShape, codeSql } from './testing/query-shapes.ts';
import { asText, createShop, openClient, readCatalog, type Shop, shopSql } from './testing/shop.ts';

/** More by hand, as there. */
const TIMES = Number(process.env['NONINTERFERENCE_TIMES'] ?? 1);

interface World {
  readonly client: pg.Client;
  /** Of the statement that was sent last. */
  readonly notices: Map<string, string>[];
  readonly shop: Shop;
}

let server: TestPostgres;
/** Where no code works on masked rows, and what runs for others is proven. */
let worlds: readonly [World, World];

beforeAll(async () => {
  await loadParser();
  server = await startPostgres({ databases: ['shop', 'other'] });
  const open = async (database: string, sql: string): Promise<World> => {
    const client = await openClient(server, database);
    await client.query(sql);
    const notices: Map<string, string>[] = [];
    client.on('notice', (notice) => void notices.push(fieldsOf(notice)));
    return { client, notices, shop: createShop(await readCatalog(client, 1)) };
  };
  // Other lengths, other order, other letters.
  const change = (sql: string) =>
    sql
      .replaceAll('CANARY-1111', 'ZEBRA-99')
      .replaceAll('CANARY@ann', 'aaa@zoo')
      .replaceAll('CANARY-event', 'other')
      .replaceAll('CANARY-legacy', 'thing');
  const proven = shopSql.split(';').filter((sql) => !/via_function|op_leak|cast_leak|logged/.test(sql));
  const provenSql = `${proven.join(';')};${codeSql}`;
  worlds = [await open('shop', provenSql), await open('other', change(provenSql))];
});
afterAll(async () => {
  for (const { client } of worlds ?? []) await client.end();
  await server?.stop();
});

/** What a client with masks sees of a statement. */
interface Sight {
  readonly rows: readonly (readonly (string | null)[])[];
  readonly sqlstate: string | undefined;
  /** What passes of the error. */
  readonly error?: readonly (readonly [string, string])[];
  readonly notices?: readonly (readonly (readonly [string, string])[])[];
}

async function look(world: World, sql: string, plan: Plan): Promise<Sight> {
  world.notices.length = 0;
  const sight = await lookAt(world, sql, plan);
  if (plan.verdict === 'refuse') throw new Error('not forwarded');
  const hasTold = plan.statements.every(({ withhold }) => withhold === 'nothing');
  counts.notices += hasTold ? world.notices.length : 0;
  return { ...sight, notices: world.notices.map((fields) => Array.from(hasTold ? fields : shownFields(fields))) };
}

async function lookAt({ client }: World, sql: string, plan: Plan): Promise<Sight> {
  // Of a text of several statements the last one answers rows.
  const statement = plan.verdict === 'forward' ? plan.statements.at(-1) : undefined;
  if (plan.verdict === 'refuse' || statement === undefined) throw new Error('not forwarded');
  try {
    const answer = [await client.query<(string | null)[]>({ text: sql, rowMode: 'array', types: asText })].flat();
    const { rows, fields } = answer.at(-1) ?? { rows: [], fields: [] };
    const kinds =
      statement.masks === undefined
        ? []
        : maskColumns(
            statement.masks,
            fields.map((field) => ({ tableOid: field.tableID, attributeNumber: field.columnID })),
          );
    // The server resolved something otherwise than the planner did.
    if (kinds === 'unproven') throw new Error(`unproven columns: ${sql}`);
    return {
      rows: rows.map((row) => row.map((cell, index) => (kinds[index] === undefined ? cell : '*'))),
      sqlstate: undefined,
    };
  } catch (error) {
    const sqlstate = codeOf(error);
    if (sqlstate === undefined) throw error;
    expect(statement.isMasking).toBe(true);
    const fields = fieldsOf(error);
    const hasTold = plan.statements.every(({ withhold }) => withhold === 'nothing');
    const shown = hasTold ? fields : shownFields(fields);
    if (shown.get('M') === fields.get('M')) counts.texts += 1;
    return { rows: [], sqlstate, error: Array.from(shown) };
  }
}

/** The fields of an error as they were sent. */
function fieldsOf(error: unknown): Map<string, string> {
  const letters = {
    ...{ code: 'C', message: 'M', detail: 'D', hint: 'H', position: 'P', internalPosition: 'p', internalQuery: 'q' },
    ...{ where: 'W', schema: 's', table: 't', column: 'c', dataType: 'd', constraint: 'n', file: 'F', routine: 'R' },
  };
  const fields = new Map<string, string>();
  for (const [name, letter] of Object.entries(letters)) {
    const value: unknown = Reflect.get(Object(error), name);
    if (typeof value === 'string') fields.set(letter, value);
  }
  return fields;
}

const counts = { forwarded: 0, masked: 0, rows: 0, refused: 0, texts: 0, notices: 0 };

async function compare(sql: string, after: (world: World) => Promise<unknown>): Promise<void> {
  const [first, second] = worlds;
  const plans = [first.shop.plan(sql), second.shop.plan(sql)] as const;
  expect(plans[0].verdict).toBe(plans[1].verdict);
  if (plans[0].verdict === 'refuse') {
    counts.refused += 1;
    return;
  }
  counts.forwarded += 1;
  if ((plans[0].statements[0]?.masks?.columnsMasked ?? 0) > 0) counts.masked += 1;
  const sights: Sight[] = [];
  const left: unknown[] = [];
  for (const [index, world] of worlds.entries()) {
    await world.client.query('begin');
    sights.push(await look(world, sql, plans[index === 0 ? 0 : 1]));
    if (sights.at(-1)?.sqlstate === undefined) left.push(await after(world));
    await world.client.query('rollback');
  }
  counts.rows += sights[0]?.rows.length ?? 0;
  expect(sights[1]).toEqual(sights[0]);
  expect(left[1]).toEqual(left[0]);
  expect(JSON.stringify(sights)).not.toMatch(/canary|yranac|zebra|arbez/i);
}

it('code that is forwarded shows nothing of masked values and leaves nothing of them', async () => {
  const unmasked = async ({ client }: World) =>
    (
      await client.query(
        'select array[id::text, name] as x from employees union all select array[id::text, total::text, note] from orders order by 1',
      )
    ).rows;
  const before = { ...counts };
  await fc.assert(
    fc.asyncProperty(codeShape, (sql) => compare(sql, unmasked)),
    { numRuns: 1_000 * TIMES, seed: 23 },
  );
  expect(counts.forwarded - before.forwarded).toBeGreaterThan(100);
  expect(counts.refused - before.refused).toBeGreaterThan(100);
  expect(counts.notices).toBeGreaterThan(30);
});
