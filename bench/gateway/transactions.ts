/** pgbench's read, simple and prepared, by 1, 8 and 32 clients: transactions a second, latency, CPU of what stands between. */
import type { BenchContext, BenchResult } from '../harness.ts';
import { type Bed, SUBJECTS, type SubjectName } from './bed.ts';
import { lastOperation, ledgerCostUs } from './ledger-client.ts';
import { createMeasures, type Measures } from './measures.ts';
import { type PgbenchRun, runPgbench } from './pgbench.ts';

/** Names of the cases that are wanted, such as `prepared-8`; `prepared` wants all of its kind. */
export function wantedTransactions(context: BenchContext): readonly string[] {
  return MODES.flatMap((mode) =>
    CLIENTS.map((clients) => `${mode}-${clients}`).filter((name) => context.wants(mode) || context.wants(name)),
  );
}

export async function transactions(bed: Bed, context: BenchContext): Promise<readonly BenchResult[]> {
  const wanted = wantedTransactions(context);
  if (wanted.length === 0) return [];
  const measures = createMeasures();
  // Node compiles what runs often: the first seconds of a gateway are not like the rest of its life.
  for (const mode of MODES.filter((one) => wanted.some((name) => name.startsWith(one))))
    for (const subject of ['gateway', 'agent'] as const)
      await runPgbench(bed, bed.subjects[subject], { mode, clients: 8, windowMs: WARM_MS });
  for (let round = 0; round < Math.min(context.rounds, ROUNDS_MAX); round++) {
    for (const name of wanted) {
      context.say(`round ${round + 1}: ${name}`);
      const [mode = '', clients] = name.split('-');
      const options = {
        mode: mode === 'simple' ? 'simple' : 'prepared',
        clients: Number(clients),
        windowMs: context.quick ? WINDOW_QUICK_MS : WINDOW_MS,
      } as const;
      const names = round % 2 === 0 ? SUBJECTS : SUBJECTS.toReversed();
      for (const subject of names) {
        const ran = await runPgbench(bed, bed.subjects[subject], options);
        note(measures, { name, subject, ran });
      }
      noteAdded(measures, name);
      if (options.clients === 8) await noteLedger(bed, measures, name, options.windowMs);
    }
  }
  return wanted.flatMap((name) => rows(measures, name));
}

function note(measures: Measures, { name, subject, ran }: { name: string; subject: string; ran: PgbenchRun }): void {
  measures.note(`${name} tps`, subject, ran.tps);
  measures.note(`${name} p50`, subject, ran.p50Us);
  measures.note(`${name} p99`, subject, ran.p99Us);
  for (const [role, us] of Object.entries(ran.cpuUs)) measures.note(`${name} CPU of ${role}`, subject, us);
  const total = Object.values(ran.cpuUs).reduce((sum, us) => sum + us, 0);
  if (subject !== 'direct') measures.note(`${name} CPU`, subject, total);
}

function noteAdded(measures: Measures, name: string): void {
  for (const subject of SUBJECTS.filter((one) => one !== 'direct')) {
    for (const share of ['p50', 'p99']) {
      const mine = measures.rounds(`${name} ${share}`, subject).at(-1) ?? Number.NaN;
      const direct = measures.rounds(`${name} ${share}`, 'direct').at(-1) ?? Number.NaN;
      measures.note(`${name} added ${share}`, subject, mine - direct);
    }
  }
}

/** The ledger can't be switched off, so what it costs is measured alone, at this round's rate, and subtracted. */
async function noteLedger(bed: Bed, measures: Measures, name: string, windowMs: number): Promise<void> {
  const tps = measures.rounds(`${name} tps`, 'gateway').at(-1) ?? 0;
  const operation = await lastOperation(bed);
  const cost = await ledgerCostUs(bed, { operation, transactionsPerSecond: tps, together: 8, windowMs });
  const last = (subject: SubjectName) => measures.rounds(`${name} CPU`, subject).at(-1) ?? Number.NaN;
  measures.note(`${name} CPU of its ledger, at least`, 'gateway', cost);
  measures.note(`${name} CPU without ledger, at most`, 'gateway', last('gateway') - cost);
  measures.note(`${name} CPU without ledger, at most`, 'pgbouncer-tls', last('pgbouncer-tls'));
}

function rows(measures: Measures, name: string): readonly BenchResult[] {
  const atEight = name.endsWith('-8');
  const goal = (text: string) => (atEight ? text : '');
  const against = { peer: 'pgbouncer-tls' } as const;
  const cpu = { subject: 'gateway', unit: 'us', ...against };
  return [
    ...measures.compare({ name: `${name} tps`, subject: 'gateway', unit: '/s', ...against, goal: goal('>= 0.75') }),
    ...measures.compare({ name: `${name} tps`, subject: 'agent', unit: '/s', ...against, goal: goal('>= 0.5') }),
    ...measures.compare({ name: `${name} tps`, subject: 'pgbouncer', unit: '/s', ...against }),
    ...measures.compare({ name: `${name} tps`, subject: 'direct', unit: '/s', ...against }),
    ...measures.compare({ name: `${name} CPU`, ...cpu, goal: goal('<= 2.5') }),
    ...measures.compare({ name: `${name} CPU without ledger, at most`, ...cpu, goal: goal('<= 1.8') }),
    ...measures.tell(`${name} CPU of its ledger, at least`, 'gateway', 'us'),
    ...measures.compare({ name: `${name} CPU`, ...cpu, subject: 'agent' }),
    ...measures.tell(`${name} CPU of gateway`, 'agent', 'us'),
    ...measures.tell(`${name} CPU of agent`, 'agent', 'us'),
    // No ratio: beside a database that itself takes longer now and then, the difference may be nothing or less.
    ...['p50', 'p99'].flatMap((share) =>
      ['pgbouncer-tls', 'gateway', 'agent'].flatMap((subject) =>
        measures.tell(`${name} added ${share}`, subject, 'us'),
      ),
    ),
    ...measures.tell(`${name} p50`, 'direct', 'us'),
    ...measures.tell(`${name} p99`, 'direct', 'us'),
  ];
}

const MODES = ['simple', 'prepared'] as const;
const CLIENTS = [1, 8, 32] as const;
const WINDOW_MS = 2000;
const WINDOW_QUICK_MS = 1200;
const WARM_MS = 3000;
/** Each round takes a minute and a half. */
const ROUNDS_MAX = 5;
