/**
 * `npm run floods -- [--door NAME]… [--kind NAME]… [--seconds N] [--rest N] [--from ADDRESS] [--json]`: floods each door of real roles with each
 * kind at full size and prints a row for each: other clients' latency, sockets and memory before, at the peak and afterwards; and how long a
 * SIGTERM in the middle of one took. Ends with 1 when a role kept sockets, or did not end in order.
 */
import { parseArgs } from 'node:util';
import { DOORS, type FloodKind, KINDS } from '../test/scenarios/floods/kinds.ts';
import { declareOperator, type Latency } from '../test/scenarios/floods/others.ts';
import { type FloodReport, type FloodSize, keptSockets, runFlood, stopDuring } from '../test/scenarios/floods/run.ts';
import { startStack } from '../test/support/stack.ts';

const { values } = parseArgs({
  options: {
    door: { type: 'string', multiple: true, default: [...DOORS] },
    kind: { type: 'string', multiple: true, default: [...KINDS] },
    seconds: { type: 'string', default: '10' },
    rest: { type: 'string', default: '60' },
    from: { type: 'string', default: '127.0.0.2' },
    json: { type: 'boolean', default: false },
  },
});

type Row = FloodReport & { readonly code: number; readonly stopMs: number };

function sizeOf(kind: FloodKind): FloodSize {
  const atOnce = kind.startsWith('half-open') ? 10_000 : 100;
  const { seconds, rest, from } = values;
  return {
    seconds: Number(seconds),
    atOnce,
    connectionsMax: 1_000_000,
    restSeconds: Number(rest),
    awaits: 'sockets and memory',
    from,
  };
}

const HEAD = [
  ...['door', 'kind', 'attempts', 'known: median/worst ms, before → during', 'newcomer: the same', 'failed', 'put off'],
  ...['sockets before/peak/after', 'heap MiB', 'RSS MiB', 'back after s', 'SIGTERM ms'],
];

const latency = ({ before, during }: { before: Latency; during: Latency }) =>
  `${before.median}/${before.worst} → ${during.median}/${during.worst}`;

function cellsOf({ door, kind, made, known, newcomer, putOff, before, peak, after, ...row }: Row): readonly string[] {
  const of = (what: 'sockets' | 'heap' | 'rss') => `${before[what]}/${peak[what]}/${after[what]}`;
  const failed = `${known.during.failed} of ${known.during.asked}, ${newcomer.during.failed} of ${newcomer.during.asked}`;
  return [
    ...[door, kind, `${made}`, latency(known), latency(newcomer), failed, `${putOff}`],
    ...[
      of('sockets'),
      of('heap'),
      of('rss'),
      `${row.backAfter}`,
      `${row.stopMs}${row.code === 0 ? '' : ` (${row.code})`}`,
    ],
  ];
}

function print(cells: readonly string[]): void {
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
}

const stack = await startStack({ store: 'sqlite', isSearched: false });
try {
  await declareOperator(stack);
  if (!values.json) for (const cells of [HEAD, HEAD.map(() => '---')]) print(cells);
  for (const door of DOORS.filter((name) => values.door.includes(name))) {
    for (const kind of KINDS.filter((name) => values.kind.includes(name))) {
      const report = await runFlood(stack, { door, kind }, sizeOf(kind));
      const stopped = await stopDuring(stack, { door, kind }, { ...sizeOf(kind), seconds: 4 });
      if (values.json) process.stdout.write(`${JSON.stringify({ ...report, ...stopped })}\n`);
      else print(cellsOf({ ...report, ...stopped }));
      if (keptSockets(report) > 0 || stopped.code !== 0) process.exitCode = 1;
    }
  }
} finally {
  await stack.stop();
}
process.exit();
