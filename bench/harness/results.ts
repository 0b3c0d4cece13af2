import type { BenchResult } from './bench.ts';

/** A row with its goal judged: `>= N` or `<= N`, about the ratio, or about the value when there is none. Rounded for reading. */
export function result(row: {
  readonly case: string;
  readonly subject: string;
  readonly value: number;
  readonly unit: string;
  readonly peer?: string;
  readonly peerValue?: number;
  readonly ratio?: number;
  readonly goal?: string;
}): BenchResult {
  const goal = row.goal ?? '';
  return {
    case: row.case,
    subject: row.subject,
    peer: row.peer ?? '',
    value: rounded(row.value),
    peerValue: row.peerValue === undefined ? null : rounded(row.peerValue),
    unit: row.unit,
    ratio: row.ratio === undefined ? null : rounded(row.ratio),
    goal,
    holds: goal === '' || meets(goal, row.ratio ?? row.value),
  };
}

/** A table for people: the ratio and its goal first. */
export function formatResults(results: readonly BenchResult[]): string {
  const rows = results.map((row) => [
    row.goal === '' ? '' : row.holds ? 'holds' : 'MISSED',
    row.ratio === null ? '' : String(row.ratio),
    row.goal,
    row.case,
    `${row.subject} ${row.value} ${row.unit}`,
    row.peer === '' ? '' : `${row.peer}${row.peerValue === null ? '' : ` ${row.peerValue} ${row.unit}`}`,
  ]);
  const all = [['', 'ratio', 'goal', 'case', 'measured', 'against'], ...rows];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((cells) => cells[column]?.length ?? 0))) ?? [];
  return all
    .map((cells) =>
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function meets(goal: string, figure: number): boolean {
  const parts = /^(>=|<=) ([0-9.]+)$/.exec(goal);
  if (!parts) throw new Error(`a goal is ">= N" or "<= N", not ${JSON.stringify(goal)}`);
  const wanted = Number(parts[2]);
  return parts[1] === '>=' ? figure >= wanted : figure <= wanted; // What is not a number meets no goal.
}

/** Four significant digits. */
function rounded(value: number): number {
  return Number.isFinite(value) ? Number(value.toPrecision(4)) : 0;
}
