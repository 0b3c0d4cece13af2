import type { BenchReport, BenchResult } from '../../bench/harness.ts';

/** The text of `docs/internals/performance.md` for these reports. */
export function performancePage(reports: readonly BenchReport[]): string {
  const on = reports[0]?.machine;
  const machine = on
    ? `${on.cpu}, ${on.cores} cores, ${on.memoryGiB} GiB; Linux ${on.kernel}; Node ${on.node}; OpenSSL ${on.openssl}`
    : 'unknown';
  return [
    '# Performance',
    '',
    'Measured figures beside the goals they are held to. Written by `npm run bench -- all --write`; one bench alone:',
    '`npm run bench -- NAME`, with `--json` for machines. How to read them:',
    '',
    '- Subjects take turns within each round; a figure is the median over the rounds, a ratio the median of the rounds’ own ratios.',
    '- A ratio reads as its goal does: `>= 0.8` of a peer’s throughput, `<= 1.5` times a peer’s cost. Rows without a goal inform.',
    '- CPU figures are user and system time of the process measured. Elapsed times hold for this machine only.',
    '',
    'What bounds the goals that are missed: [performance-bounds.md](performance-bounds.md).',
    '',
    `Machine: ${machine}.`,
    ...reports.flatMap(({ bench, results }) => ['', `## ${bench}`, '', ...table(results)]),
    '',
  ].join('\n');
}

function table(results: readonly BenchResult[]): string[] {
  return [
    '| case | measured | against | ratio | goal | holds |',
    '| --- | --- | --- | --- | --- | --- |',
    ...results.map((row) => {
      const peer = row.peerValue === null ? row.peer : `${row.peer}: ${row.peerValue} ${row.unit}`;
      const holds = row.goal === '' ? '' : row.holds ? 'yes' : '**no**';
      const cells = [row.case, `${row.subject}: ${row.value} ${row.unit}`, peer, row.ratio ?? '', row.goal, holds];
      return `| ${cells.join(' | ')} |`;
    }),
  ];
}
