import type { Store } from '../../store/index.ts';
import { RecordsError } from '../errors.ts';
import type { RecordsTables } from '../migrations.ts';

/** How much of each log was told at one moment, by the log's number; one that is not named: nothing. */
export type Sizes = ReadonlyMap<number, number>;

/** Such a moment, kept in the store: whoever has its name goes on from there, at whichever server. */
export interface Mark {
  /** `READER.NUMBER`. */
  readonly name: string;
  readonly sizes: Sizes;
}

/**
 * Where somebody stands who follows: between two marks all entries are told by log and position, so the last of them says the rest. However many
 * logs there are, it is a short text.
 */
export interface Stand {
  readonly from: string;
  readonly to: string;
  readonly log: number;
  /** The next one of that log. */
  readonly position: number;
}

/** The marks of one reader, in its order. */
export interface MarkWriter {
  /** Keeps the next one; when it resolves its name may be told. @throws StoreError */
  write(sizes: Sizes, nowMs: number): Promise<Mark>;
}

export function createMarkWriter(store: Store, reader: string): MarkWriter {
  const db = store.db<RecordsTables>();
  let [number, last]: [number, Sizes] = [-1, new Map()];
  return {
    async write(sizes, nowMs) {
      number += 1;
      const base = number % WHOLE_EVERY === 0 ? new Map() : last;
      last = new Map(sizes);
      const row = { reader, number, at_ms: nowMs, sizes: formatSizes(sizes, base) };
      await db.insertInto('records_marks').values(row).execute();
      if (number % PRUNE_EVERY === 0)
        await db
          .deleteFrom('records_marks')
          .where('at_ms', '<', nowMs - KEPT_MS)
          .execute();
      return { name: `${reader}.${number}`, sizes: last };
    },
  };
}

/** @throws RecordsError ERR_RECORDS_REQUEST for one that is not kept, or not any more; StoreError */
export async function readMark(store: Store, name: string): Promise<Mark> {
  const [reader = '', digits = ''] = name.split('.');
  const number = Number(digits);
  const first = number - (number % WHOLE_EVERY);
  const rows = await store
    .db<RecordsTables>()
    .selectFrom('records_marks')
    .select(['sizes'])
    .where('reader', '=', reader)
    .where('number', '>=', first)
    .where('number', '<=', number)
    .orderBy('number')
    .execute();
  if (rows.length !== number - first + 1)
    throw new RecordsError(
      'ERR_RECORDS_REQUEST',
      'the cursor leads to a place that is not known any more: a day after it was told, it goes; begin without it, and search for what came since',
    );
  const sizes = new Map<number, number>();
  for (const row of rows) for (const [log, more] of readSizes(row.sizes)) sizes.set(log, (sizes.get(log) ?? 0) + more);
  return { name, sizes };
}

export function formatStand({ from, to, log, position }: Stand): string {
  return `${from}-${to}-${log}.${position}`;
}

/** @throws RecordsError ERR_RECORDS_REQUEST */
export function parseStand(text: string): Stand {
  const [, from, to, log, position] =
    /^([0-9a-f]{16}\.\d{1,10})-([0-9a-f]{16}\.\d{1,10})-(\d{1,9})\.(\d{1,15})$/.exec(text) ?? [];
  if (from === undefined || to === undefined)
    throw new RecordsError('ERR_RECORDS_REQUEST', 'the cursor is none of whoever follows the record');
  return { from, to, log: Number(log), position: Number(position) };
}

/** What was told of which log since `base`, as differences in LEB128. */
function formatSizes(sizes: Sizes, base: Sizes): Buffer {
  const bytes: number[] = [];
  const put = (value: number) => {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
    bytes.push(rest);
  };
  let before = 0;
  for (const [log, size] of [...sizes].toSorted(([a], [b]) => a - b)) {
    const more = size - (base.get(log) ?? 0);
    if (more <= 0) continue;
    put(log - before);
    put(more);
    before = log;
  }
  return Buffer.from(bytes);
}

function* readSizes(bytes: Buffer): Generator<readonly [log: number, more: number]> {
  let [at, log] = [0, 0];
  const next = () => {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  };
  while (at < bytes.length) {
    log += next();
    yield [log, next()];
  }
}

/** The others say what has changed since the one before: reading one reads at most so many. */
const WHOLE_EVERY = 100;
const PRUNE_EVERY = 100;
/** Whoever was away for a night goes on. */
const KEPT_MS = 24 * 3_600_000;
