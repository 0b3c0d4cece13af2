import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type BenchReport, formatResults, median, medianRatio, percentile, result } from '../bench/harness.ts';
import { performancePage } from './bench/performance-page.ts';
import { contextOf, findBenches } from './bench.ts';

// Goal: the benches run, and judge rightly. Their figures are taken elsewhere, on a quiet machine.

const benches = await findBenches();
const bench = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, 'bench.ts'), ...args], { encoding: 'utf8' });

describe('each bench', () => {
  it('is found by its file, with a line that says what it measures', () => {
    expect(benches.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['attest', 'jwt', 'ledger-append', 'policy', 'svid-issue', 'sync', 'workload-api']),
    );
    for (const { name, summary } of benches) expect(summary, name).toMatch(/^.{20,140}$/);
  });

  it.each(benches.filter(({ heavy }) => heavy !== true))('$name runs, and each of its rows is whole', async (one) => {
    const results = await one.run(contextOf(['--quick'], () => {}));
    expect(results.length).toBeGreaterThan(0);
    for (const row of results) {
      expect(row.case).not.toBe('');
      expect(row.goal).toMatch(/^((>=|<=) [0-9.]+)?$/);
      expect(Number.isFinite(row.value), row.case).toBe(true);
      if (row.ratio !== null) expect(row.peer, row.case).not.toBe('');
    }
  });
});

describe('the command', () => {
  it('lists the benches when no name is given', () => {
    const { status, stdout } = bench();
    expect(status).toBe(0);
    expect(stdout.trimEnd().split('\n')).toHaveLength(benches.length);
  });

  it('ends with 64 and the list for a name that is none', () => {
    const { status, stderr } = bench('nothing');
    expect(status).toBe(64);
    expect(stderr).toContain('svid-issue');
  });

  it('prints one object on its last line with --json', () => {
    const { status, stdout } = bench('jwt', '--quick', '--json');
    expect(status).toBe(0);
    const report: unknown = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
    expect(report).toMatchObject({ bench: 'jwt', machine: { node: process.versions.node } });
  });

  it('takes cases by --only, in both spellings', () => {
    for (const args of [['--only', 'a,b'], ['--only=a,b']]) {
      const context = contextOf(args, () => {});
      expect(['a', 'b', 'c'].map((name) => context.wants(name))).toEqual([true, true, false]);
    }
    expect(contextOf([], () => {}).wants('anything')).toBe(true);
  });
});

describe('a row', () => {
  const row = { case: 'c', subject: 's', value: 10, unit: 'us' };

  it('holds when its ratio meets the goal, the edge included', () => {
    expect(result({ ...row, ratio: 0.8, goal: '>= 0.8' }).holds).toBe(true);
    expect(result({ ...row, ratio: 0.79, goal: '>= 0.8' }).holds).toBe(false);
    expect(result({ ...row, ratio: 2, goal: '<= 2' }).holds).toBe(true);
    expect(result({ ...row, ratio: Number.NaN, goal: '<= 2' }).holds).toBe(false);
  });

  it('is judged by its value when it has no ratio, and not at all without a goal', () => {
    expect(result({ ...row, goal: '<= 9' }).holds).toBe(false);
    expect(result(row)).toMatchObject({ goal: '', holds: true, ratio: null, peerValue: null });
  });

  it('refuses a goal that can not be read', () => {
    expect(() => result({ ...row, goal: 'about 3' })).toThrow(/">= N"/);
  });

  it('stands in the table for people and on the page', () => {
    const missed = result({ ...row, peer: 'p', peerValue: 5, ratio: 2, goal: '<= 1' });
    expect(formatResults([missed])).toContain('MISSED  2');
    const report: BenchReport = {
      bench: 'b',
      machine: { cpu: 'x', cores: 2, memoryGiB: 4, kernel: 'k', node: 'n', openssl: 'o' },
      results: [missed],
    };
    expect(performancePage([report])).toContain('| c | s: 10 us | p: 5 us | 2 | <= 1 | **no** |');
  });
});

describe('the figures', () => {
  it('are medians and percentiles', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(percentile([1, 2, 3, 4], 0.5)).toBe(3);
    expect(percentile([1, 2, 3, 4], 0.99)).toBe(4);
  });

  it('take the ratio within each round', () => {
    // One round ten times slower on both sides changes nothing.
    expect(medianRatio([10, 100, 12], [5, 50, 6])).toBe(2);
  });
});
