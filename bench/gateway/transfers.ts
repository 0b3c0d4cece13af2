/** Large answers and copies: megabytes a second, and CPU per row of what stands between. */
import type { BenchContext, BenchResult } from '../harness.ts';
import { type Bed, SUBJECTS, type SubjectName, WIDE_ROWS } from './bed.ts';
import { type DrainRun, drain } from './drain-client.ts';
import { createMeasures, type Measures } from './measures.ts';

/** Names of the cases here that are wanted. */
export function wantedTransfers(context: BenchContext): readonly string[] {
  return Object.keys(CASES).filter((name) => context.wants(name));
}

export async function transfers(bed: Bed, context: BenchContext): Promise<readonly BenchResult[]> {
  const wanted = wantedTransfers(context);
  const measures = createMeasures();
  for (let round = 0; round < Math.min(context.rounds, ROUNDS_MAX); round++) {
    for (const name of wanted) {
      context.say(`round ${round + 1}: ${name}`);
      for (const subject of round % 2 === 0 ? SUBJECTS : SUBJECTS.toReversed()) {
        const ran = await CASES[name]?.({ bed, subject });
        if (ran) note(measures, { name, subject, ran });
      }
    }
  }
  return wanted.flatMap((name) => rows(measures, name));
}

type Case = (of: { bed: Bed; subject: SubjectName }) => Promise<DrainRun & { readonly rows: number }>;

const CASES: Readonly<Record<string, Case>> = {
  /** All rows of the large table, none masked. */
  async bulk({ bed, subject }) {
    const ran = await drain(bed, bed.subjects[subject], { kind: 'query', sql: 'select * from bulk', times: 1 });
    expectTag(ran, `SELECT ${bed.bulkRows}`);
    return { ...ran, rows: bed.bulkRows };
  },
  /** Ten text columns, three of them masked by us, none by the others. */
  async wide({ bed, subject }) {
    const ran = await drain(bed, bed.subjects[subject], {
      kind: 'query',
      sql: 'select * from wide',
      times: WIDE_TIMES,
    });
    expectTag(ran, `SELECT ${WIDE_ROWS}`);
    const isMasked = ran.head.includes('[redacted]') && ran.head.includes('u***@example.org');
    const shouldBe = subject === 'gateway' || subject === 'agent';
    if (isMasked !== shouldBe) throw new Error(`${subject}: the wide rows are ${shouldBe ? 'not masked' : 'masked'}`);
    return { ...ran, rows: WIDE_ROWS * WIDE_TIMES };
  },
  async 'copy-out'({ bed, subject }) {
    const ran = await drain(bed, bed.subjects[subject], { kind: 'query', sql: 'copy bulk to stdout', times: 1 });
    expectTag(ran, `COPY ${bed.bulkRows}`);
    return { ...ran, rows: bed.bulkRows };
  },
  async 'copy-in'({ bed, subject }) {
    await bed.postgres.query('truncate sink', [], 'shop');
    const ran = await drain(bed, bed.subjects[subject], { kind: 'copy-in', rows: bed.bulkRows });
    expectTag(ran, `COPY ${bed.bulkRows}`);
    return { ...ran, rows: bed.bulkRows };
  },
};

function expectTag({ tag, head }: DrainRun, wanted: string): void {
  if (tag !== wanted)
    throw new Error(`the answer ended with ${JSON.stringify(tag)}, not ${wanted}; it began ${head.slice(0, 500)}`);
}

function note(
  measures: Measures,
  { name, subject, ran }: { name: string; subject: string; ran: DrainRun & { rows: number } },
): void {
  // Masks make rows shorter, so where they are on, bytes would count against us.
  measures.note(name, subject, name === 'wide' ? ran.rows / ran.ms : ran.megabytesPerSecond);
  const cpu = Object.values(ran.cpuUs).reduce((sum, us) => sum + us, 0);
  if (subject !== 'direct') measures.note(`${name} CPU per row`, subject, cpu / ran.rows);
}

function rows(measures: Measures, name: string): readonly BenchResult[] {
  const against = { peer: 'pgbouncer-tls', unit: name === 'wide' ? 'rows/ms' : 'MB/s' } as const;
  return [
    ...measures.compare({ name, subject: 'gateway', ...against, goal: '>= 0.9' }),
    ...measures.compare({ name, subject: 'agent', ...against }),
    ...measures.compare({ name, subject: 'pgbouncer', ...against }),
    ...measures.compare({ name, subject: 'direct', ...against }),
    ...['gateway', 'agent'].flatMap((subject) =>
      measures.compare({ name: `${name} CPU per row`, subject, ...against, unit: 'us' }),
    ),
  ];
}

/** 70 MB in all. */
const WIDE_TIMES = 20;
const ROUNDS_MAX = 7;
