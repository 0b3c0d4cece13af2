import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import pg from 'pg';
import {
  createRecords,
  createWitness,
  type LogBatch,
  type Records,
  recordsLaterMigrations,
  recordsMigrations,
  retentionMigrations,
} from '../src/records/index.ts';
import { createSilentLog, createSystemClock, createSystemRandom } from '../src/std/index.ts';
import { member as postgresEngine } from '../src/store/engines/postgres/index.ts';
import type { Store } from '../src/store/index.ts';
import { startPostgres, type TestPostgres } from '../test/support/postgres.ts';
import { type Bench, type BenchContext, type BenchResult, cpuOfProcessUs, percentile, result } from './harness.ts';
import { measureExport, measureFollowers } from './records/followers.ts';
import { createShippedLog } from './records/shipped-log.ts';

/** Ingest of what gateways ship, and pages of what an operator asks every day, over as many entries as `RECORDS` says. */
export const bench: Bench = {
  name: 'records',
  summary: 'entries of four logs that come in per second, their CPU and bytes, and pages of everyday questions',
  heavy: true,
  async run(context) {
    const postgres = await startPostgres({
      args: ['-c', 'fsync=on', '-c', 'shared_buffers=1GB', '-c', 'max_wal_size=4GB'],
    });
    process.env['CS_BENCH_RECORDS_URL'] = postgres.url;
    const deps = { clock: createSystemClock(), random: createSystemRandom(), log: createSilentLog() };
    const store = await postgresEngine.open({ url: 'env:CS_BENCH_RECORDS_URL' }, deps);
    await store.start(new AbortController().signal);
    try {
      await store.migrate([...recordsMigrations, ...recordsLaterMigrations, ...retentionMigrations]);
      const witness = createWitness('bench', generateKeyPairSync('ed25519').privateKey);
      const records = createRecords({ ...deps, store, witness, write: async () => {}, silenceMs: 60_000 });
      const total = context.quick ? 4000 : Number(process.env['RECORDS'] ?? 400_000);
      return [
        ...(await measureInsert(context, postgres)),
        ...(await measureIngest(context, { records, store, postgres, total })),
        ...(await measurePages(context, records)),
        ...(await measureFollowers(context, { records, usage: () => usageOf(postgres) })),
        ...(await measureExport(context, records)),
      ];
    } finally {
      await store.stop();
      await postgres.stop();
    }
  },
};

/** The plainest table that one could keep the same entries in: a row a statement, each committed by itself. */
async function measureInsert(context: BenchContext, postgres: TestPostgres): Promise<BenchResult[]> {
  await postgres.query(
    'create table plain (seq bigserial primary key, at timestamptz not null default now(), event jsonb not null)',
  );
  const pool = new pg.Pool({ connectionString: postgres.url, max: LOGS });
  const count = context.quick ? 100 : 20_000;
  const entries = createShippedLog(9).next(count).entries.map(String);
  const usage = usageOf(postgres);
  let at = 0;
  const writer = async () => {
    for (let entry = entries[at++]; entry !== undefined; entry = entries[at++])
      await pool.query({ name: 'plain', text: 'insert into plain (event) values ($1)', values: [entry] });
  };
  await Promise.all(Array.from({ length: LOGS }, writer));
  const used = usage();
  await pool.end();
  const [size] = await postgres.query(`select pg_total_relation_size('plain')::float8 as bytes`);
  return rows('plain INSERT', used, { count, bytes: Number(size?.['bytes']) });
}

async function measureIngest(
  context: BenchContext,
  on: { records: Records; store: Store; postgres: TestPostgres; total: number },
): Promise<BenchResult[]> {
  const { records, postgres, total } = on;
  const logs = Array.from({ length: LOGS }, (_, n) => createShippedLog(n));
  const shipments = await Promise.all(
    logs.map((log) => records.open({ ...log, owner: 'spiffe://countersign.example/gateway' })),
  );
  const sum = { wallUs: 0, ownUs: 0, postgresUs: 0 };
  let done = 0;
  while (done < total) {
    // Made beforehand: only what the server does is measured.
    const rounds = Math.min(ROUNDS_AT_ONCE, Math.ceil((total - done) / (LOGS * BATCH)));
    const batches: LogBatch[][] = logs.map((log) => Array.from({ length: rounds }, () => log.next(BATCH)));
    const usage = usageOf(postgres);
    await Promise.all(
      shipments.map(async (shipment, n) => {
        for (const batch of batches[n] ?? []) await shipment.take(batch);
      }),
    );
    const used = usage();
    done += rounds * LOGS * BATCH;
    sum.wallUs += used.wallUs;
    sum.ownUs += used.ownUs;
    sum.postgresUs += used.postgresUs;
    const rate = (rounds * LOGS * BATCH * 1e6) / used.wallUs;
    context.say(
      `${done} entries, ${Math.round(rate)}/s, ${Math.round(used.ownUs / (rounds * LOGS * BATCH))} + ${Math.round(used.postgresUs / (rounds * LOGS * BATCH))} us CPU`,
    );
  }
  const sizes = await postgres.query(
    `select c.relname as name, pg_total_relation_size(c.oid)::float8 as bytes, pg_indexes_size(c.oid)::float8 as indexes
     from pg_class c where c.relkind = 'r' and c.relname like 'records_%' order by 1`,
  );
  for (const { name, bytes, indexes } of sizes) context.say(`${name}: ${bytes} bytes, ${indexes} of them in indexes`);
  const bytes = sizes.reduce((all, size) => all + Number(size['bytes']), 0);
  return rows('ingest', sum, { count: done, bytes, goal: '>= 20000' });
}

/** The questions of `docs/guide/record.md`, from the front and from far behind. */
async function measurePages(context: BenchContext, records: Records): Promise<BenchResult[]> {
  const { signal } = new AbortController();
  const far = { sinceMs: 0 };
  const actor = 'spiffe://countersign.example/ns/shop/sa/service-7';
  const questions = {
    all: {},
    who: { actor },
    'who, of a target': { actor, target: 'database-3' },
    object: { object: 'public.customers' },
    'object and column': { object: 'public.customers', column: 'ssn' },
    column: { column: 'column_3' },
    denials: { kind: 'denial' },
    'denials of an identity': { kind: 'denial', actor },
    reason: { reason: 'not-understood' },
    shape: { shape: 'shape-77' },
    policy: { policy: 'policy-7' },
    session: { session: 'a7f3b0c1d2e4010' },
    masked: { masked: true },
    status: { status: 'done' },
    'nothing such': { object: 'public.customers', status: 'failed' },
  };
  const made: BenchResult[] = [];
  for (const [name, filter] of Object.entries(questions)) {
    const took: number[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < (context.quick ? 2 : 30); page++) {
      const start = performance.now();
      const found = await records.search({ ...filter, ...far }, { size: 50, cursor, signal });
      took.push(performance.now() - start);
      cursor = found.next;
      if (cursor === undefined) break;
      // From time to time a leap back, to where nothing is in memory.
      if (page % 10 === 9) cursor = cursor.replace(/^\d+/, (at) => `${Number(at) - Math.floor(took.length * 1e4)}`);
    }
    made.push(
      result({
        case: `page: ${name}`,
        subject: `worst of ${took.length}`,
        unit: 'ms',
        value: Math.max(...took),
        goal: '<= 50',
      }),
    );
    made.push(result({ case: `page: ${name}`, subject: 'median', unit: 'ms', value: percentile(took, 0.5) }));
  }
  return made;
}

interface Usage {
  readonly wallUs: number;
  readonly ownUs: number;
  readonly postgresUs: number;
}

/** Time and CPU from here on: of this process and of PostgreSQL. */
function usageOf(postgres: TestPostgres): () => Usage {
  const start = performance.now();
  const own = process.cpuUsage();
  const before = postgresCpu(postgres.pid);
  return () => {
    const { user, system } = process.cpuUsage(own);
    let postgresUs = 0;
    for (const [pid, us] of postgresCpu(postgres.pid)) postgresUs += us - (before.get(pid) ?? 0);
    return { wallUs: (performance.now() - start) * 1000, ownUs: user + system, postgresUs };
  };
}

function postgresCpu(postmaster: number): Map<number, number> {
  const found = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      if (parent === postmaster) found.set(Number(name), cpuOfProcessUs(Number(name)));
    } catch {
      // It ended meanwhile.
    }
  }
  return found;
}

function rows(
  subject: string,
  { wallUs, ownUs, postgresUs }: Usage,
  { count, bytes, goal }: { count: number; bytes: number; goal?: string },
): BenchResult[] {
  return [
    result({
      case: 'rate',
      subject,
      unit: 'entries/s',
      value: (count * 1e6) / wallUs,
      ...(goal === undefined ? {} : { goal }),
    }),
    result({ case: 'CPU of this process', subject, unit: 'us an entry', value: ownUs / count }),
    result({ case: 'CPU of PostgreSQL', subject, unit: 'us an entry', value: postgresUs / count }),
    result({ case: 'size', subject, unit: 'bytes an entry', value: bytes / count }),
  ];
}

const LOGS = 4;
/** As a gateway ships. */
const BATCH = 500;
const ROUNDS_AT_ONCE = 20;
