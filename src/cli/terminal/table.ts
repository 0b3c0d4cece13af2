import { inOneLine } from './printable.ts';

/**
 * Columns aligned for a terminal: a heading line, then one line for each row. With `columns`, the last cell of a row goes on below itself
 * where the row would be longer, and a cell before it that is much longer than others of its column has the rest of its row below it.
 */
export function formatTable(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  columns = Number.POSITIVE_INFINITY,
): string {
  const table = rows.map((row) => row.map(inOneLine));
  const widthMax = columns * CELL_SHARE_MAX;
  const widths = headings.map((heading, column) =>
    // Not as arguments of Math.max: a hundred thousand rows are more than a call takes.
    table.reduce((width, row) => {
      const { length } = row[column] ?? '';
      return length > widthMax ? width : Math.max(width, length);
    }, heading.length),
  );
  const indent = widths.slice(0, -1).reduce((sum, width) => sum + width + GAP.length, 0);
  const line = (cells: readonly string[]) => {
    let before = '';
    let used = 0;
    for (const [column, width] of widths.slice(0, -1).entries()) {
      const cell = cells[column] ?? '';
      used += width + GAP.length;
      before += cell.length > width ? `${cell}\n${' '.repeat(used)}` : cell.padEnd(width) + GAP;
    }
    return before + wrap(cells.at(-1) ?? '', { columns, indent });
  };
  return withoutTrailing([line(headings.map((heading) => heading.toUpperCase())), ...table.map(line)].join('\n'));
}

/** A table where it fits so many columns, else the fields of each row below each other: what somebody wants to copy stays whole. */
export function formatList(headings: readonly string[], rows: readonly (readonly string[])[], columns: number): string {
  const table = formatTable(headings, rows);
  if (table.split('\n').every((line) => line.length <= columns)) return table;
  const fields = (row: readonly string[]) =>
    headings.map((heading, column): [string, string] => [heading, row[column] ?? '']);
  return rows.map((row) => formatFields(fields(row), columns)).join('\n\n');
}

/**
 * The text in lines of so many columns, broken at blanks, where there are any, but not within backquotes: a command is copied from there.
 * It begins behind `first` columns, by default `indent`, and each further line with `indent` blanks; with fewer where a word would not fit
 * there. No word is cut, nor any line made shorter than it can be read.
 */
export function wrap(
  text: string,
  { columns, indent, first = indent }: { readonly columns: number; readonly indent: number; readonly first?: number },
): string {
  const end = Math.max(columns, indent + WIDTH_MIN);
  let lines = '';
  let used = first;
  for (const [index, word] of wordsOf(text, end - indent).entries()) {
    const gap = index === 0 ? '' : ' ';
    const room = end - word.length;
    const at = Math.min(indent, room < 0 ? GAP.length : room);
    if (used + gap.length + word.length <= end || (index === 0 && first <= at)) {
      lines += gap + word;
      used += gap.length + word.length;
    } else {
      lines += `\n${' '.repeat(at)}${word}`;
      used = at + word.length;
    }
  }
  return lines;
}

/** A text of several lines in lines of so many columns; what goes on in the next is two columns further in. */
export function wrapLines(text: string, columns: number): string {
  const firstMax = Math.max(0, columns - WIDTH_MIN - GAP.length);
  const lines = text.split('\n').map((line) => {
    if (line.length <= columns) return line;
    const words = line.trimStart();
    const first = Math.min(line.length - words.length, firstMax);
    return withoutEmptyStart(' '.repeat(first) + wrap(words, { columns, indent: first + GAP.length, first }));
  });
  return lines.join('\n');
}

/** `name: value` lines, aligned; a value goes on below itself where its line would be longer. */
export function formatFields(fields: readonly (readonly [string, string])[], columns: number): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  const indent = width + GAP.length;
  const lines = fields.map(
    ([name, value]) => `${name.padEnd(width)}${GAP}${wrap(inOneLine(value), { columns, indent })}`,
  );
  return withoutTrailing(lines.join('\n'));
}

/** A command in lines that a shell takes for one: broken before options and behind pipes, and between words where that is not enough. */
export function formatCommand(
  command: string,
  { columns, indent }: { readonly columns: number; readonly indent: number },
): string {
  if (command.length <= columns - indent) return command;
  const lines: string[] = [];
  let line = '';
  const widthMin = columns - indent - 2 - CONTINUED.length;
  const parts = command
    .split(COMMAND_BREAK)
    .flatMap((part) => (part.length <= widthMin ? [part] : (part.match(SHELL_WORD) ?? [])));
  for (const part of parts) {
    const width = columns - indent - (lines.length === 0 ? 0 : 2) - CONTINUED.length;
    if (line !== '' && line.length + 1 + part.length > width) {
      lines.push(line);
      line = part;
    } else line = line === '' ? part : `${line} ${part}`;
  }
  return [...lines, line].join(`${CONTINUED}\n${' '.repeat(indent + 2)}`);
}

/** Words on lines of a terminal's width, each line behind the indent; a word that is longer has a line of its own. */
export function formatWords(text: string, indent: string): string {
  return withoutEmptyStart(indent + wrap(text, { columns: TERMINAL_WIDTH, indent: indent.length }));
}

/** Epoch seconds as an ISO time without fractions; `-` for 0. */
export function formatTimeS(epochS: number): string {
  return epochS === 0 ? '-' : new Date(epochS * 1000).toISOString().replace('.000Z', 'Z');
}

/** Words, those between backquotes as one where that fits a line. */
function wordsOf(text: string, width: number): readonly string[] {
  const words: string[] = [];
  let quoted = '';
  for (const word of text.split(' ')) {
    const joined = quoted === '' ? word : `${quoted} ${word}`;
    quoted = isQuoteBegun(joined) && joined.length <= width ? joined : '';
    if (quoted === '') words.push(...(joined.length <= width ? [joined] : joined.split(' ')));
  }
  return quoted === '' ? words : [...words, ...quoted.split(' ')];
}

function isQuoteBegun(text: string): boolean {
  return text.split('`').length % 2 === 0;
}

/** The first word had no room behind the indent. */
function withoutEmptyStart(text: string): string {
  return text.replace(/^ *\n/, '');
}

function withoutTrailing(text: string): string {
  return text.replaceAll(/ +$/gm, '');
}

const GAP = '  ';
const CONTINUED = ' \\';
const SHELL_WORD = /(?:"[^"]*"|'[^']*'|[^\s"'])+/g;
const COMMAND_BREAK = / (?=--?[a-zA-Z])|(?<= \|) /;
const WIDTH_MIN = 30;
/** Of the columns that there are, for one cell that is not the last of its row. */
const CELL_SHARE_MAX = 0.4;
export const TERMINAL_WIDTH = 80;
