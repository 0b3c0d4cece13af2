/** What is asked of each way in turn, and the rows that come of it. */
import { GATEWAY_NAME } from '../../test/support/stack.ts';
import { createMeasures, type Measures } from '../gateway/measures.ts';
import type { BenchContext, BenchResult } from '../harness.ts';
import { type HttpBed, requestOf, type Subject, type SubjectName } from './http-bed.ts';
import type { Load } from './load.ts';

interface Case {
  readonly name: string;
  /** Other names by which it is wanted. */
  readonly of: string;
  readonly connections: number;
  readonly targets: readonly string[];
  /** Where they have nothing to mask, what is asked of the others. */
  readonly targetsOfPeers?: readonly string[];
  readonly counts: 'requests' | 'bytes';
  readonly isNewEach?: boolean;
  readonly goals: Readonly<Record<string, string>>;
}

export function wantedCases(context: BenchContext): readonly Case[] {
  return CASES.filter(({ name, of }) => context.wants(name) || context.wants(of));
}

/** Measures what is wanted, round by round, the subjects in turn. */
export async function measuredCases(bed: HttpBed, context: BenchContext): Promise<readonly BenchResult[]> {
  const measures = createMeasures();
  const wanted = wantedCases(context);
  const gateway = bed.subjects.filter(({ name }) => name === 'gateway');
  // Node compiles what runs often: the first seconds of a gateway are not like the rest of its life.
  const windowMs = context.quick ? WARM_UP_QUICK_MS : WARM_UP_MS;
  for (const one of wanted) for (const subject of gateway) await ask(bed, subject, { ...one, windowMs });
  for (let round = 0; round < Math.min(context.rounds, ROUNDS_MAX); round++) {
    for (const one of wanted) {
      context.say(`round ${round + 1}: ${one.name}`);
      for (const subject of round % 2 === 0 ? bed.subjects : bed.subjects.toReversed()) {
        const windowMs = context.quick ? WINDOW_QUICK_MS : WINDOW_MS;
        note(measures, one, { subject: subject.name, load: await ask(bed, subject, { ...one, windowMs }) });
      }
      if (one.counts === 'requests') noteAdded(measures, one.name);
    }
  }
  return wanted.flatMap((one) => rows(measures, one));
}

function ask(bed: HttpBed, subject: Subject, one: Case & { readonly windowMs: number }): Promise<Load> {
  const { connections, windowMs } = one;
  const targets = subject.name === 'gateway' ? one.targets : (one.targetsOfPeers ?? one.targets);
  return bed.client.run({
    ...{ port: subject.port, host: GATEWAY_NAME, tls: subject.tls, requests: targets.map(requestOf), connections },
    ...{ isNewEach: one.isNewEach === true, warmMs: WARM_MS, windowMs, pids: subject.pids() },
  });
}

function note(measures: Measures, { name, counts }: Case, { subject, load }: { subject: SubjectName; load: Load }) {
  if (load.answers === 0 && load.bytes === 0) throw new Error(`${subject}: nothing was answered`);
  const units = counts === 'requests' ? load.answers : load.bytes / 1e6;
  measures.note(`${name} ${counts === 'requests' ? 'rate' : 'throughput'}`, subject, units / (load.wallUs / 1e6));
  if (subject !== 'direct') {
    measures.note(`${name} CPU`, subject, load.cpuUs / units);
    // What it could do with a core to itself.
    measures.note(`${name} by a core`, subject, units / (load.cpuUs / 1e6));
  }
  measures.note(`${name} p50`, subject, load.p50Us);
  measures.note(`${name} p99`, subject, load.p99Us);
}

function noteAdded(measures: Measures, name: string) {
  for (const share of ['p50', 'p99']) {
    const direct = measures.rounds(`${name} ${share}`, 'direct').at(-1) ?? Number.NaN;
    for (const subject of PROXIES) {
      const mine = measures.rounds(`${name} ${share}`, subject).at(-1);
      if (mine !== undefined) measures.note(`${name} added ${share}`, subject, mine - direct);
    }
  }
}

function rows(measures: Measures, { name, counts, goals }: Case): readonly BenchResult[] {
  const [rate, unit, cpuUnit] =
    counts === 'requests' ? [`${name} rate`, '/s', 'us'] : [`${name} throughput`, 'MB/s', 'us/MB'];
  const subject = 'gateway';
  const goal = (of: string) => goals[of] ?? '';
  return [
    ...measures.compare({ name: rate, subject, peer: 'nginx', unit, goal: goal('nginx') }),
    ...measures.compare({ name: rate, subject, peer: 'caddy', unit, goal: goal('caddy') }),
    ...measures.compare({ name: rate, subject, peer: 'bare node', unit }),
    ...measures.compare({ name: rate, subject, peer: 'direct', unit }),
    ...measures.compare({ name: `${name} CPU`, subject, peer: 'nginx', unit: cpuUnit }),
    ...measures.compare({ name: `${name} CPU`, subject, peer: 'caddy', unit: cpuUnit }),
    ...measures.compare({ name: `${name} CPU`, subject, peer: 'bare node', unit: cpuUnit }),
    ...measures.tell(`${name} by a core`, subject, unit, goal('core')),
    // No ratio: beside an upstream that itself takes longer now and then, the difference may be nothing or less.
    ...['p50', 'p99'].flatMap((share) => PROXIES.flatMap((one) => measures.tell(`${name} added ${share}`, one, 'us'))),
  ];
}

const PROXIES = ['nginx', 'caddy', 'bare node', 'gateway'] as const;

const itemsFrom = (count: number) => Array.from({ length: count }, (_, i) => `/v1/items/${10_000 + i * 7}`);
const MANY_ITEMS = itemsFrom(1000);
/** More than verdicts are kept of: policy is asked of each. */
const FRESH = 20_000;
const CASES: readonly Case[] = [
  ...[1, 8, 32].map(
    (connections): Case => ({
      ...{ name: `small-${connections}`, of: 'small', connections, targets: MANY_ITEMS, counts: 'requests' },
      goals: connections === 1 ? {} : { nginx: '>= 0.7', caddy: '>= 1.5' },
    }),
  ),
  { name: 'fresh-8', of: 'small', connections: 8, targets: itemsFrom(FRESH), counts: 'requests', goals: {} },
  {
    ...{ name: 'handshakes', of: 'connections', connections: 4, targets: MANY_ITEMS, isNewEach: true },
    counts: 'requests',
    goals: { nginx: '>= 0.9' },
  },
  { name: 'json', of: 'bodies', connections: 2, targets: ['/v1/people'], counts: 'bytes', goals: {} },
  {
    ...{ name: 'json-masked', of: 'bodies', connections: 2, counts: 'bytes', goals: { core: '>= 100' } },
    ...{ targets: ['/v1/masked'], targetsOfPeers: ['/v1/people'] },
  },
  { name: 'download', of: 'bodies', connections: 1, targets: ['/v1/download'], counts: 'bytes', goals: {} },
];
const WARM_UP_MS = 10_000;
const WARM_UP_QUICK_MS = 3000;
const WARM_MS = 300;
const WINDOW_MS = 2000;
const WINDOW_QUICK_MS = 1200;
/** Each round takes about a minute. */
const ROUNDS_MAX = 5;
