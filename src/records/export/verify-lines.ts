import { createTree, leafHash } from '../../wire/tlog/index.ts';
import type { ExportStatement } from './statement.ts';

/** The first bytes of a line's hash: by these it is found which line was changed. What is signed is the root alone. */
export const MARK_BYTES = 4;

/** The mark of a line, with the characters that end it. */
export function markOf(line: Uint8Array): Buffer {
  return leafHash(line).subarray(0, MARK_BYTES);
}

/** Takes a file apart into lines, each with its LF, in whatever pieces it comes; the rest behind the last LF is a line too. */
export async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let rest: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, from)) {
      const piece = chunk.subarray(from, end + 1);
      yield rest.length === 0 ? piece : Buffer.concat([...rest, piece]);
      [rest, bytes] = [[], 0];
      from = end + 1;
    }
    if (from === chunk.length) continue;
    rest.push(chunk.subarray(from));
    bytes += chunk.length - from;
    // No server writes such a line: what it is made of is as wrong in pieces.
    if (bytes <= LINE_BYTES_MAX) continue;
    yield Buffer.concat(rest);
    [rest, bytes] = [[], 0];
  }
  if (rest.length > 0) yield Buffer.concat(rest);
}

/** What was found of lines: none is wrong, or where the first is that is, counted from 1. */
export type LinesVerdict =
  | { readonly ok: true }
  | {
      readonly ok: false;
      /** Undefined: that something is wrong is certain, where it is is not. */
      readonly line: number | undefined;
      readonly what: 'missing' | 'added' | 'changed' | 'moved' | 'unknown';
      /** One sentence. */
      readonly found: string;
    };

/**
 * Whether those are the lines that a server has signed. It holds some lines at a time, however many there are. `marks`: of each line, in order, as
 * they were written beside it; they say which line is wrong, and never that none is.
 */
export async function verifyLines(
  lines: AsyncIterable<Buffer>,
  { lines: count, root }: Pick<ExportStatement, 'lines' | 'root'>,
  marks: AsyncIterable<Buffer> | undefined,
): Promise<LinesVerdict> {
  const tree = createTree();
  const expected = marks === undefined ? undefined : windowOver(pieces(marks));
  const actual = windowOver(hashes(lines));
  let found: LinesVerdict | undefined;
  for (let number = 1; ; number++) {
    const leaf = await actual.at(0);
    const mark = await expected?.at(0);
    if (expected !== undefined && found === undefined && !isMarked(leaf, mark))
      found = await locate(actual, expected, number);
    if (leaf === undefined) break;
    tree.append(leaf);
    actual.next();
    expected?.next();
  }
  if (tree.size === count && tree.root().equals(root)) return { ok: true };
  if (found !== undefined) return found;
  const of = `there are ${tree.size} lines, and ${count} were signed`;
  const lost = tree.size === count ? 'a line was changed or moved' : of;
  const why = marks === undefined ? 'without the marks' : 'since the marks were changed with it';
  return { ok: false, line: undefined, what: 'unknown', found: `${lost}; ${why} it is not known which` };
}

type Window = ReturnType<typeof windowOver>;

/** What is wrong at a line: by what stands near it. */
async function locate(actual: Window, expected: Window, line: number): Promise<LinesVerdict> {
  const [leaf, mark] = [await actual.at(0), await expected.at(0)];
  const of = (what: 'missing' | 'added' | 'changed' | 'moved', found: string) =>
    ({ ok: false, line, what, found }) as const;
  if (leaf === undefined) return of('missing', `line ${line} is missing, and whatever follows on it`);
  if (mark === undefined) return of('added', `line ${line} was added behind the last`);
  let [missing, added]: [number, number] = [0, 0];
  for (let ahead = 1; ahead <= NEAR && missing === 0; ahead++)
    if (isMarked(leaf, await expected.at(ahead))) missing = ahead;
  for (let ahead = 1; ahead <= NEAR && added === 0; ahead++) if (isMarked(await actual.at(ahead), mark)) added = ahead;
  if (missing > 0 && added > 0) return of('moved', `line ${line} is not in its place: it was line ${line + missing}`);
  if (missing > 0)
    return of('missing', `${missing === 1 ? `line ${line} is` : `${missing} lines from line ${line} on are`} missing`);
  if (added > 0)
    return of('added', `${added === 1 ? `line ${line} was` : `${added} lines from line ${line} on were`} added`);
  return of('changed', `line ${line} was changed`);
}

function isMarked(leaf: Buffer | undefined, mark: Buffer | undefined): boolean {
  return leaf === undefined || mark === undefined ? leaf === mark : leaf.subarray(0, MARK_BYTES).equals(mark);
}

/** Something that is read one by one, some of it ahead. */
function windowOver(source: AsyncGenerator<Buffer>) {
  const ahead: Buffer[] = [];
  let isOver = false;
  return {
    async at(index: number): Promise<Buffer | undefined> {
      while (ahead.length <= index && !isOver) {
        const { done, value } = await source.next();
        if (done === true) isOver = true;
        else ahead.push(value);
      }
      return ahead[index];
    },
    next: () => void ahead.shift(),
  };
}

async function* hashes(lines: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const line of lines) yield leafHash(line);
}

async function* pieces(marks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of marks) {
    const all = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (; at + MARK_BYTES <= all.length; at += MARK_BYTES) yield all.subarray(at, at + MARK_BYTES);
    rest = all.subarray(at);
  }
}

const LF = 10;
const LINE_BYTES_MAX = 64 * 1024 * 1024;
/** Lines that are looked at around one that is wrong. */
const NEAR = 64;
