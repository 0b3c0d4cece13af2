/** The lines in which two texts of several lines differ, as `-12: old` and `+12: new`, each with its number in its own text. */
export function lineDifferences(before: string, after: string): readonly string[] {
  const lines: string[] = [];
  for (const { removed, added, removedAt, addedAt } of hunksOf(before.split('\n'), after.split('\n'))) {
    lines.push(...sideOf('-', removed, { firstLine: removedAt + 1, others: added }));
    lines.push(...sideOf('+', added, { firstLine: addedAt + 1, others: removed }));
  }
  return lines;
}

/** The lines of a text, whole unless they are longer than anybody reads; what its last line break ends is no further one. */
export function linesOfText(text: string): readonly string[] {
  const lines = text.replace(/\n$/, '').split('\n');
  return lines.map((line) => {
    const shown = line.slice(0, LINE_CHARS_MAX).toWellFormed();
    return line.length > LINE_CHARS_MAX ? `${shown}…` : shown;
  });
}

/**
 * Both texts, each cut to a piece that begins shortly before they differ: cut from the start, long texts would look the same.
 * What was left out is marked with `…`.
 */
export function piecesThatDiffer(before: string, after: string): readonly [Piece, Piece] {
  const start = Math.max(0, samePrefix(before, after) - LEAD_CHARS);
  return [pieceOf(before, start), pieceOf(after, start)];
}

/** A piece of a text; `lead` and `rest` are `…` or nothing. */
export interface Piece {
  readonly lead: string;
  readonly text: string;
  readonly rest: string;
}

interface Hunk {
  readonly removed: readonly string[];
  readonly added: readonly string[];
  /** Index of the first line of each in its text. */
  readonly removedAt: number;
  readonly addedAt: number;
}

function sideOf(
  sign: string,
  side: readonly string[],
  { firstLine, others }: { readonly firstLine: number; readonly others: readonly string[] },
): readonly string[] {
  const shown = side.slice(0, HUNK_LINES_MAX).map((line, index) => {
    const [{ lead, text, rest }] = piecesThatDiffer(line, others[index] ?? '');
    return `${sign}${firstLine + index}: ${lead}${text}${rest}`;
  });
  const more = side.length - shown.length;
  return more > 0 ? [...shown, `${sign} … and ${more} more lines`] : shown;
}

function pieceOf(whole: string, start: number): Piece {
  // Half of a pair of surrogates is no character that a message could carry.
  const text = whole.slice(start, start + PIECE_CHARS).toWellFormed();
  const lead = start > 0 ? '…' : '';
  return { lead, text, rest: whole.length > start + PIECE_CHARS ? '…' : '' };
}

function samePrefix(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

/** Where the lines differ, in order: the fewest lines, unless they are too many to be compared each with each. */
function hunksOf(a: readonly string[], b: readonly string[]): readonly Hunk[] {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const [old, fresh] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  const hunks: Hunk[] = [];
  let [i, j] = [0, 0];
  const close = (untilI: number, untilJ: number) => {
    if (untilI === i && untilJ === j) return;
    const [removed, added] = [old.slice(i, untilI), fresh.slice(j, untilJ)];
    hunks.push({ removed, added, removedAt: start + i, addedAt: start + j });
  };
  for (const [sameI, sameJ] of commonLines(old, fresh)) {
    close(sameI, sameJ);
    [i, j] = [sameI + 1, sameJ + 1];
  }
  close(old.length, fresh.length);
  return hunks;
}

/** A longest common subsequence, as pairs of indexes. */
function commonLines(a: readonly string[], b: readonly string[]): readonly (readonly [number, number])[] {
  const width = b.length + 1;
  if (a.length * b.length > CELLS_MAX) return [];
  // At [i, j]: how many lines of a from i and of b from j are common.
  const lengths = new Uint32Array((a.length + 1) * width);
  const at = (i: number, j: number) => lengths[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      lengths[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  const pairs: (readonly [number, number])[] = [];
  let [i, j] = [0, 0];
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) pairs.push([i++, j++]);
    else if (at(i + 1, j) >= at(i, j + 1)) i++;
    else j++;
  }
  return pairs;
}

/** A policy written on one line. */
const LINE_CHARS_MAX = 1000;
/** One line of a terminal, about. */
const PIECE_CHARS = 120;
/** Enough to see where in a text one is. */
const LEAD_CHARS = 24;
/** Lines shown of each side of a hunk, so that what took the place of a long text is seen as well. */
const HUNK_LINES_MAX = 50;
/** Three hundred changed lines against three hundred: a millisecond. */
const CELLS_MAX = 100_000;
