import type { LogBatch, RecordFilter, Records, Shipment } from '../../src/records/index.ts';
import { createSystemClock, sleep } from '../../src/std/index.ts';
import { type BenchContext, type BenchResult, result } from '../harness.ts';
import { createShippedLog } from './shipped-log.ts';

/** CPU since it was asked for, us. */
export type CpuUsage = () => { readonly ownUs: number; readonly postgresUs: number };

/** What it costs that the record is followed while 5,000 entries come in a second, in this process: without the sending. */
export async function measureFollowers(
  context: BenchContext,
  { records, usage }: { readonly records: Records; readonly usage: () => CpuUsage },
): Promise<BenchResult[]> {
  const made: BenchResult[] = [];
  let number = 100;
  for (const [name, filters] of Object.entries(FOLLOWERS)) {
    const log = createShippedLog(number++);
    const shipment = await records.open({ ...log, owner: 'spiffe://countersign.example/gateway' });
    const count = context.quick ? 2 : SECONDS * BATCHES_A_SECOND;
    const batches = Array.from({ length: count }, () => log.next(BATCH));
    const over = new AbortController();
    const told = { entries: 0 };
    const following = await Promise.all(
      filters.map((filter) => follow(records, filter, { told, signal: over.signal })),
    );
    const used = usage();
    const lateMs = await ship(shipment, batches);
    const { ownUs, postgresUs } = used();
    over.abort();
    await Promise.all(following.map(({ done }) => done));
    const entries = count * BATCH;
    context.say(`${name}: ${told.entries} were told of ${entries} that came, ${Math.round(lateMs)} ms late`);
    const row = { case: `followed: ${name}`, unit: 'us an entry' };
    made.push(result({ ...row, subject: 'CPU of this process', value: ownUs / entries }));
    made.push(result({ ...row, subject: 'CPU of PostgreSQL', value: postgresUs / entries }));
  }
  return made;
}

/** Lines of an export of all that there is, and what the process grows by. */
export async function measureExport(context: BenchContext, records: Records): Promise<BenchResult[]> {
  const owner = 'spiffe://countersign.example/auditor';
  const { signal } = new AbortController();
  const { id } = await records.beginExport({ filter: {}, format: 'jsonl' }, owner);
  const before = process.memoryUsage().rss;
  const start = performance.now();
  let [lines, most, cursor]: [number, number, string | undefined] = [0, 0, undefined];
  do {
    const page = await records.readExport(id, { owner, origin: 'countersign.example/record-export', cursor, signal });
    lines += page.lines.length;
    cursor = page.next;
    most = Math.max(most, process.memoryUsage().rss - before);
  } while (cursor !== undefined);
  context.say(`${lines} lines were exported`);
  return [
    result({ case: 'export', subject: 'all', unit: 'lines/s', value: (lines * 1000) / (performance.now() - start) }),
    result({ case: 'export', subject: 'memory more, at most', unit: 'MB', value: most / 1e6 }),
  ];
}

async function follow(
  records: Records,
  filter: RecordFilter,
  { told, signal }: { readonly told: { entries: number }; readonly signal: AbortSignal },
) {
  const entries = await records.follow(filter, { signal });
  const done = (async () => {
    for await (const { record } of entries) if (record !== undefined) told.entries += 1;
  })();
  return { done };
}

/** One batch at a time, each at its moment; by how much the last was late. */
async function ship(shipment: Shipment, batches: readonly LogBatch[]): Promise<number> {
  const clock = createSystemClock();
  const { signal } = new AbortController();
  const start = performance.now();
  for (const [n, batch] of batches.entries()) {
    const waitMs = start + (n * 1000) / BATCHES_A_SECOND - performance.now();
    if (waitMs > 1) await sleep(clock, waitMs, signal);
    await shipment.take(batch);
  }
  const lateMs = performance.now() - start - (batches.length * 1000) / BATCHES_A_SECOND;
  await sleep(clock, LAST_LOOK_MS, signal);
  return lateMs;
}

const hundred = (filterAt: (n: number) => RecordFilter) => Array.from({ length: 100 }, (_, n) => filterAt(n));
const FOLLOWERS: Readonly<Record<string, readonly RecordFilter[]>> = {
  'by nobody': [],
  'by one, all of it': [{}],
  'by 100, an identity each': hundred((n) => ({ actor: `spiffe://countersign.example/ns/shop/sa/service-${n}` })),
  'by 100, denials': hundred(() => ({ kind: 'denial' })),
  'by 100, all of it': hundred(() => ({})),
};
const BATCH = 500;
const BATCHES_A_SECOND = 10;
const SECONDS = 8;
/** The last are told by then. */
const LAST_LOOK_MS = 1000;
