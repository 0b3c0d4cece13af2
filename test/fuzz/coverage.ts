import { Session } from 'node:inspector';

/** Tells which code of ours has run since it was opened, by V8's own counts. */
export interface Coverage {
  /** Whether anything ran since the last question that had never run before. */
  grew(): boolean;
  /** Forgets what has run: all of it counts as new again. */
  reset(): void;
  /** Remembers what has run up to now; the function returned goes back to that. */
  mark(): () => void;
  /** Bytes of source that have run. */
  covered(): number;
}

/**
 * Opens {@link Coverage} for the files whose address holds one of `parts`. Functions compiled before are counted as a whole only, so it is to be opened before
 * they are loaded.
 */
export function openCoverage(parts: readonly string[]): Coverage {
  const session = new Session();
  session.connect();
  /** By function (file and place): what of it has never run, as ranges that do not overlap, in order. */
  let missing = new Map<string, Range[]>();
  let bytes = 0;
  const ours = new Map<string, boolean>();
  const isOurs = (url: string) => {
    const known = ours.get(url) ?? (parts.some((part) => url.includes(part)) && !url.includes('node_modules'));
    ours.set(url, known);
    return known;
  };
  const take = (): boolean => {
    let grew = false;
    session.post('Profiler.takePreciseCoverage', (_error, answer) => {
      for (const { url, functions } of answer?.result ?? []) {
        if (isOurs(url)) for (const one of functions) if (note(url, one.ranges)) grew = true;
      }
    });
    return grew;
  };
  /** The first range is the whole function, those after it lie within, inner ones after outer ones. */
  const note = (url: string, ranges: readonly Counted[]): boolean => {
    const [whole] = ranges;
    if (whole === undefined || whole.count === 0) return false;
    const key = `${url}:${whole.startOffset}:${whole.endOffset}`;
    const before = missing.get(key) ?? [[whole.startOffset, whole.endOffset] satisfies Range];
    if (before.length === 0) return false;
    const after = intersect(before, notRun(ranges));
    const gained = size(before) - size(after);
    if (gained === 0 && missing.has(key)) return false;
    missing.set(key, after);
    bytes += gained;
    return true;
  };
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  const reset = () => {
    take();
    missing = new Map();
    bytes = 0;
  };
  reset();
  return {
    grew: take,
    reset,
    mark() {
      const saved = { missing: new Map(missing), bytes };
      return () => {
        missing = new Map(saved.missing);
        bytes = saved.bytes;
      };
    },
    covered: () => bytes,
  };
}

interface Counted {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}
type Range = readonly [start: number, end: number];

/** What of a function did not run: ranges with a count of zero, less those within them that did. */
function notRun(ranges: readonly Counted[]): Range[] {
  let out: Range[] = [];
  for (const { startOffset, endOffset, count } of ranges) {
    out = subtract(out, [startOffset, endOffset]);
    if (count === 0) out.push([startOffset, endOffset]);
  }
  return out.toSorted(([a], [b]) => a - b);
}

function subtract(ranges: readonly Range[], [start, end]: Range): Range[] {
  return ranges.flatMap(([a, b]): Range[] => {
    if (b <= start || a >= end) return [[a, b]];
    return (
      [
        [a, start],
        [end, b],
      ] satisfies Range[]
    ).filter(([from, to]) => from < to);
  });
}

function intersect(a: readonly Range[], b: readonly Range[]): Range[] {
  const out: Range[] = [];
  for (const [start, end] of a) {
    for (const [from, to] of b)
      if (Math.max(start, from) < Math.min(end, to)) out.push([Math.max(start, from), Math.min(end, to)]);
  }
  return out;
}

function size(ranges: readonly Range[]): number {
  return ranges.reduce((sum, [start, end]) => sum + end - start, 0);
}
