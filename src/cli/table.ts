/** Columns aligned for a terminal: a heading line, then one line for each row. */
export function formatTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, column) =>
    // Not as arguments of Math.max: a hundred thousand rows are more than a call takes.
    rows.reduce((width, row) => Math.max(width, (row[column] ?? '').length), heading.length),
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, column) => (column === cells.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  ');
  return [line(headings.map((heading) => heading.toUpperCase())), ...rows.map(line)].join('\n');
}

/** `name: value` lines, aligned. */
export function formatFields(fields: readonly (readonly [string, string])[]): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}

/** Epoch seconds as an ISO time without fractions; `-` for 0. */
export function formatTimeS(epochS: number): string {
  return epochS === 0 ? '-' : new Date(epochS * 1000).toISOString().replace('.000Z', 'Z');
}
