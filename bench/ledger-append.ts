import { fdatasync, mkdtempSync, openSync, rmSync, write } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { createLedgerBatch } from '../src/gateway/recording/ledger-batch.ts';
import { createLedger } from '../src/ledger/index.ts';
import { createSilentLog, createSystemClock } from '../src/std/index.ts';
import { startPostgres } from '../test/support/postgres.ts';
import {
  type Bench,
  type BenchContext,
  type BenchResult,
  interleave,
  median,
  medianRatio,
  percentile,
  result,
  timed,
} from './harness.ts';
import { eventOf, generateSigner } from './ledger-append/events.ts';

/** Durable appends: entries on disk, group-committed, against a row in PostgreSQL for each, committed at the same durability. */
export const bench: Bench = {
  name: 'ledger-append',
  summary: 'entries on disk per second and their p99, against single PostgreSQL INSERTs and the disk’s own sync',
  heavy: true,
  async run(context) {
    const folder = mkdtempSync(join(tmpdir(), 'cs-bench-ledger-'));
    const ledger = createLedger({
      ...{ clock: createSystemClock(), log: createSilentLog(), directory: join(folder, 'log') },
      ...{ origin: 'countersign.example/bench', signer: generateSigner() },
    });
    const postgres = await startPostgres({ args: ['-c', 'fsync=on', '-c', 'synchronous_commit=on'] });
    await ledger.start(new AbortController().signal);
    try {
      await postgres.query(
        'create table entry (seq bigserial primary key, at timestamptz not null default now(), event jsonb not null)',
      );
      const pool = new pg.Pool({ connectionString: postgres.url, max: CONNECTIONS });
      const raw = createRawDisk(join(folder, 'raw'));
      const results: BenchResult[] = [];
      for (const writers of [1, 8, 64, 256]) {
        context.say(`${writers} writers`);
        results.push(...(await measure(context, { writers, ledger, pool, raw })));
      }
      results.push(...measureCall(context, ledger));
      await pool.end();
      return results;
    } finally {
      await ledger.stop();
      await postgres.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

type Append = (index: number) => Promise<unknown>;

async function measure(
  context: BenchContext,
  on: { writers: number; ledger: ReturnType<typeof createLedger>; pool: pg.Pool; raw: Append },
): Promise<readonly BenchResult[]> {
  const { writers, ledger, pool } = on;
  const latencies = { ledger: [] as number[][], raw: [] as number[][], postgres: [] as number[][] };
  const ms = context.quick ? 30 : 1000;
  const run = (name: keyof typeof latencies, count: number, append: Append) =>
    timed(async () => {
      const seen: number[] = [];
      const until = performance.now() + ms;
      let index = 0;
      const writer = async () => {
        while (performance.now() < until) {
          const start = performance.now();
          await append(index++);
          seen.push(performance.now() - start);
        }
      };
      await Promise.all(Array.from({ length: count }, writer));
      latencies[name].push(seen);
      return seen.length;
    });
  // As the sessions of a gateway do: what all of them record in one turn of the event loop is one write.
  const batch = createLedgerBatch({ ledger });
  const appendInTurn = (index: number) =>
    new Promise<void>((resolve, reject) => {
      const written = (sequence: number) => void ledger.synced(sequence).then(resolve, reject);
      batch.add([eventOf(index)], { written, refused: reject });
    });
  const samples = await interleave(context.rounds, {
    ledger: () => run('ledger', writers, appendInTurn),
    postgres: () =>
      run('postgres', writers, (index) =>
        pool.query('insert into entry (event) values ($1)', [JSON.stringify(eventOf(index))]),
      ),
    raw: () => run('raw', 1, on.raw),
  });
  // The first round warms up, here as there.
  const p99 = (rounds: readonly (readonly number[])[]) =>
    rounds.slice(rounds.length > 1 ? 1 : 0).map((seen) => percentile(seen, 0.99));
  const perSecond = (wallUs: readonly number[]) => 1e6 / median(wallUs);
  const name = writers === 1 ? '1 writer' : `${writers} writers`;
  return [
    result({
      ...{ case: `${name}, rate`, subject: 'ledger', unit: 'entries/s', value: perSecond(samples.ledger.wallUs) },
      ...{
        peer: `INSERT, ${Math.min(writers, CONNECTIONS)} connection(s)`,
        peerValue: perSecond(samples.postgres.wallUs),
      },
      ratio: medianRatio(samples.postgres.wallUs, samples.ledger.wallUs),
      ...(writers >= 64 ? { goal: '>= 5' } : {}),
    }),
    result({
      ...{ case: `${name}, p99`, subject: 'ledger', unit: 'ms', value: median(p99(latencies.ledger)) },
      ...{ peer: 'write and fdatasync', peerValue: median(p99(latencies.raw)) },
      ...{ ratio: medianRatio(p99(latencies.ledger), p99(latencies.raw)), goal: '<= 3' },
    }),
  ];
}

/** What the caller is held up by: the append itself, without waiting for the disk. */
function measureCall(context: BenchContext, ledger: ReturnType<typeof createLedger>): BenchResult[] {
  const count = context.quick ? 100 : 20_000;
  const seen: number[] = [];
  const cpu = process.cpuUsage();
  for (let index = 0; index < count; index++) {
    const start = performance.now();
    ledger.append(eventOf(index));
    seen.push((performance.now() - start) * 1000);
  }
  const used = process.cpuUsage(cpu);
  const row = { case: 'append alone', subject: 'ledger' };
  return [
    result({ ...row, unit: 'us CPU', value: (used.user + used.system) / count }),
    result({ ...row, unit: 'us at p99', value: percentile(seen, 0.99) }),
  ];
}

/** As the ledger writes: behind the last, into a file that has its length already, then on disk. */
function createRawDisk(file: string): Append {
  const descriptor = openSync(file, 'w');
  const bytes = Buffer.alloc(ENTRY_BYTES, 'x');
  const writing = promisify(write);
  const syncing = promisify(fdatasync);
  let at = 0;
  const ready = (async () => {
    for (let offset = 0; offset < RAW_BYTES; offset += 1 << 20)
      await writing(descriptor, Buffer.alloc(1 << 20), 0, 1 << 20, offset);
    await syncing(descriptor);
  })();
  return async () => {
    await ready;
    await writing(descriptor, bytes, 0, bytes.length, at % (RAW_BYTES - ENTRY_BYTES));
    at += bytes.length;
    await syncing(descriptor);
  };
}

/** As many as a pool of one service has; more make single INSERTs no faster here. */
const CONNECTIONS = 8;
const ENTRY_BYTES = 300;
const RAW_BYTES = 8 << 20;
