/**
 * Columns aligned for a terminal: a heading line, then one line for each row. With `columns`, the last cell of a row goes on below itself
 * where the row would be longer.
 */
export function formatTable(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  columns = Number.POSITIVE_INFINITY,
): string {
  const widths = headings.map((heading, column) =>
    // Not as arguments of Math.max: a hundred thousand rows are more than a call takes.
    rows.reduce((width, row) => Math.max(width, (row[column] ?? '').length), heading.length),
  );
  const indent = widths.slice(0, -1).reduce((sum, width) => sum + width + GAP.length, 0);
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) =>
        column === cells.length - 1 ? wrap(cell, { columns, indent }) : cell.padEnd(widths[column] ?? 0),
      )
      .join(GAP);
  return [line(headings.map((heading) => heading.toUpperCase())), ...rows.map(line)].join('\n');
}

/**
 * A table where it fits a terminal of so many columns, else the fields of each row below each other. What no terminal shows has one line for each
 * row, however long: `grep` and its like read it.
 */
export function formatList(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  terminalColumns: number | undefined,
): string {
  const table = formatTable(headings, rows);
  if (terminalColumns === undefined || table.split('\n').every((line) => line.length <= terminalColumns)) return table;
  return rows
    .map((row) =>
      formatFields(
        headings.map((heading, column) => [heading, row[column] ?? '']),
        terminalColumns,
      ),
    )
    .join('\n\n');
}

/**
 * The text in lines of so many columns, broken at blanks, where there are any; it begins behind `indent` columns, and each further line with as
 * many blanks. No line is made shorter than it can be read.
 */
export function wrap(text: string, { columns, indent }: { readonly columns: number; readonly indent: number }): string {
  const width = Math.max(columns - indent, WIDTH_MIN);
  if (text.length <= width) return text;
  const lines: string[] = [];
  let line: string | undefined;
  for (const word of text.split(' ')) {
    if (line !== undefined && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === undefined ? word : `${line} ${word}`;
  }
  return [...lines, line ?? ''].join(`\n${' '.repeat(indent)}`);
}

/** `name: value` lines, aligned; with `columns`, a value goes on below itself where its line would be longer. */
export function formatFields(
  fields: readonly (readonly [string, string])[],
  columns = Number.POSITIVE_INFINITY,
): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  const indent = width + GAP.length;
  return fields.map(([name, value]) => `${name.padEnd(width)}${GAP}${wrap(value, { columns, indent })}`).join('\n');
}

/** Words on lines of a terminal's width, each line behind the indent; a word that is longer has a line of its own. */
export function formatWords(text: string, indent: string): string {
  return indent + wrap(text, { columns: TERMINAL_WIDTH, indent: indent.length });
}

/** Epoch seconds as an ISO time without fractions; `-` for 0. */
export function formatTimeS(epochS: number): string {
  return epochS === 0 ? '-' : new Date(epochS * 1000).toISOString().replace('.000Z', 'Z');
}

const GAP = '  ';
const WIDTH_MIN = 30;
const TERMINAL_WIDTH = 80;
