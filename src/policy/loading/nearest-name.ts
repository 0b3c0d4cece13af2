/**
 * The one of `known` that is closest to `name`, if a slip of the hand or two explains the difference: letters left out, added, changed or
 * swapped; capitals do not count. Undefined when none is.
 */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  const wanted = name.toLowerCase();
  let best: string | undefined;
  // A third of a short name is another name.
  let bestSlips = Math.min(SLIPS_MAX, Math.floor(wanted.length / LETTERS_PER_SLIP)) + 1;
  let looked = 0;
  for (const candidate of known) {
    if (candidate === name) continue;
    if (++looked > CANDIDATES_MAX) break;
    const slips = slipsBetween(wanted, candidate.toLowerCase(), bestSlips);
    if (slips >= bestSlips) continue;
    best = candidate;
    bestSlips = slips;
  }
  return best;
}

/** The hint that goes with it. */
export function didYouMean(name: string, known: Iterable<string>): string | undefined {
  const nearest = nearestName(name, known);
  return nearest === undefined ? undefined : `did you mean ${JSON.stringify(nearest)}?`;
}

/** Edit distance with swapped neighbours as one edit (optimal string alignment); `enough` when it is that or more. */
function slipsBetween(one: string, other: string, enough: number): number {
  if (Math.abs(one.length - other.length) >= enough) return enough;
  // Identities share most of their letters; what they share costs nothing.
  const [a, b] = withoutCommon(one, other);
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = at(row, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const least = Math.min(changed, at(row, j) + 1, at(next, j - 1) + 1);
      next.push(swapped ? Math.min(least, at(before, j - 2) + 1) : least);
    }
    if (Math.min(...next) >= enough) return enough;
    before = row;
    row = next;
  }
  return Math.min(at(row, b.length), enough);
}

function withoutCommon(a: string, b: string): readonly [string, string] {
  let start = 0;
  while (start < a.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  return [a.slice(start, a.length - end), b.slice(start, b.length - end)];
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}

const SLIPS_MAX = 2;
const LETTERS_PER_SLIP = 3;
/** A hint is not worth more time than a policy's check takes; among so many names others would be as close. */
const CANDIDATES_MAX = 20_000;
