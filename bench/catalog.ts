import { createCatalogSource } from '../src/gateway/protocols/postgres/catalog/source.ts';
import { parseConfig } from '../src/gateway/protocols/postgres/config.ts';
import {
  type Catalog,
  createPlanner,
  loadParser,
  noSessionFacts,
} from '../src/gateway/protocols/postgres/sql/index.ts';
import { columnMask } from '../src/gateway/protocols/postgres/sql/testing/column-mask.ts';
import { noObligations } from '../src/model/index.ts';
import { createCacheBudget, createSilentLog, createSystemClock, createSystemRandom, Secret } from '../src/std/index.ts';
import { startPostgres, type TestPostgres } from '../test/support/postgres.ts';
import { heldBytes } from './harness/garbage.ts';
import { type Bench, type BenchContext, median, result } from './harness.ts';

/** What the gateway's copy of a large database's catalog costs: in memory, when it is read, and when something in it changes. */
export const bench: Bench = {
  name: 'catalog',
  summary: 'the catalog of a database of 20,000 relations: memory, first reading, and a change to it',
  async run(context) {
    const relations = context.quick ? 1_000 : 20_000;
    await loadParser();
    const server = await startPostgres({
      databases: ['large'],
      args: ['-c', 'max_locks_per_transaction=1024', '-c', 'autovacuum=off'],
    });
    try {
      await makeRelations(server, relations, context);
      return await measure(server, relations, context);
    } finally {
      await server.stop();
    }
  },
};

async function makeRelations(server: TestPostgres, relations: number, context: BenchContext): Promise<void> {
  const columns = Array.from({ length: 12 }, (_, i) => `c${i} ${i % 3 === 0 ? 'text' : 'int'}`).join(', ');
  for (let from = 0; from < relations; from += BATCH) {
    await server.query(
      `do $$ begin for i in ${from} .. ${Math.min(from + BATCH, relations) - 1} loop
         execute 'create table table_number_' || i || ' (id int, email text, ${columns})';
       end loop; end $$`,
      [],
      'large',
    );
    if (from % 5_000 === 0) context.say(`${from} relations`);
  }
  await server.query('analyze', [], 'large');
}

async function measure(server: TestPostgres, relations: number, context: BenchContext) {
  const { host, port, superuser, password } = server;
  const signal = AbortSignal.timeout(600_000);
  let catalog: Catalog | undefined;
  const before = heldBytes();
  const source = createCatalogSource({
    config: parseConfig({ host, port, database: 'large', user: superuser, password: 'env:PW' }),
    clock: createSystemClock(),
    random: createSystemRandom(),
    log: createSilentLog(),
    secrets: { resolve: async () => Secret.fromText(password) },
    attempted: () => {},
    database: 'large',
    taken: (taken) => {
      catalog = taken;
    },
  });
  const plan = createDecisions(() => catalog);
  const session = source.forSession();
  const started = cpuUs();
  const release = await session.hold(signal);
  const firstUs = cpuUs() - started;
  const catalogBytes = heldBytes() - before;
  plan();
  const changes: number[] = [];
  const plans: number[] = [];
  const idle: number[] = [];
  for (let i = 0; i < (context.quick ? 3 : 21); i++) {
    await server.query(`alter table table_number_${i} add column added int`, [], 'large');
    changes.push(await cpuOf(() => session.refresh(signal)));
    plans.push(await cpuOf(async () => plan()));
    idle.push(await cpuOf(() => session.refresh(signal)));
  }
  release();
  source.close();
  const of = `${relations} relations`;
  const ms = 'ms CPU';
  return [
    result({ case: of, subject: 'held', unit: 'MB', value: catalogBytes / 1e6, goal: '<= 60' }),
    result({ case: of, subject: 'first reading', unit: ms, value: firstUs / 1e3 }),
    result({ case: of, subject: 'reading a change', unit: ms, value: median(changes) / 1e3, goal: '<= 20' }),
    result({ case: of, subject: 'first plan after it, a mask on all', unit: ms, value: median(plans) / 1e3 }),
    result({ case: of, subject: 'reading no change', unit: ms, value: median(idle) / 1e3 }),
  ];
}

/** Plans a statement for one who has a mask that is good for every table. */
function createDecisions(catalog: () => Catalog | undefined): () => void {
  const planner = createPlanner({ target: 't', database: 'large', caches: createCacheBudget(1 << 26) });
  const mask = columnMask('email', 'redact');
  const obligations = { ...noObligations, masks: [{ path: ['public', 'any', 'email'], kind: 'redact' }] } as const;
  const decision = { allow: true, policies: ['p'], obligations } as const;
  const decider = {
    version: 1,
    policySet: undefined,
    principalKey: 'p',
    decide: () => decision,
    potentialMasks: () => [mask],
  };
  return () => {
    const known = catalog();
    if (known === undefined) throw new Error('no catalog was read');
    const request = { sql: 'select c1 from table_number_7', mode: 'simple', catalog: known, decider } as const;
    const { verdict } = planner.plan({ ...request, session: noSessionFacts });
    if (verdict !== 'forward') throw new Error(`the plan is ${verdict}`);
  };
}

async function cpuOf(act: () => Promise<void>): Promise<number> {
  const started = cpuUs();
  await act();
  return cpuUs() - started;
}

/** Of this process, garbage collection and all. */
function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

const BATCH = 500;
