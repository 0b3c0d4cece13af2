import { describe, expect, it } from 'vitest';
import { formatCommand, formatFields, formatList, formatTable, wrap, wrapLines } from './table.ts';

describe('a table for a terminal', () => {
  it('is as wide as its widest cell', () => {
    expect(formatTable(['a', 'b'], [['long cell', 'x']])).toBe('A          B\nlong cell  x');
  });

  it('takes the nodes of a large estate', () => {
    const rows = Array.from({ length: 300_000 }, (_, row) => [`spiffe://example.org/node/${row}`, 'x509pop']);
    expect(formatTable(['node', 'attestation'], rows).split('\n')).toHaveLength(300_001);
  });
});

it('a cell that is much longer than the others has the rest of its row below it', () => {
  const long = `target ${'x'.repeat(30)}`;
  const table = formatTable(
    ['', 'what', 'found'],
    [
      ['ok', 'kernel', '6.18'],
      ['XX', long, 'word '.repeat(20).trim()],
    ],
    80,
  );
  expect(table.split('\n')).toEqual([
    '    WHAT    FOUND',
    'ok  kernel  6.18',
    `XX  ${long}`,
    `            ${'word '.repeat(13).trim()}`,
    `            ${'word '.repeat(7).trim()}`,
  ]);
});

describe('a list', () => {
  const [headings, rows] = [
    ['node', 'state'],
    [
      ['spiffe://example.org/a', 'connected'],
      ['b', 'away'],
    ],
  ];

  it('is a table where that fits the terminal', () => {
    expect(formatList(headings, rows, 80)).toBe(formatTable(headings, rows));
  });

  it('is a block for each row where the terminal is narrower', () => {
    expect(formatList(headings, rows, 30)).toBe(
      'node   spiffe://example.org/a\nstate  connected\n\nnode   b\nstate  away',
    );
  });
});

describe('a text in lines', () => {
  it('goes on below where it began, and is broken at blanks', () => {
    const text = wrap('the words of a sentence that is longer than a line', { columns: 40, indent: 4 });
    expect(text).toBe('the words of a sentence that is\n    longer than a line');
  });

  it('keeps a word that is longer than a line whole: it may be a path that somebody wants to copy', () => {
    const path = `/var/lib/${'x'.repeat(90)}`;
    expect(wrap(`no ${path} here`, { columns: 40, indent: 2 })).toBe(`no\n  ${path}\n  here`);
  });

  it('moves a word that has no room behind the indent to the left, as far as it must', () => {
    const id = `spiffe://example.org/${'x'.repeat(39)}`;
    expect(wrap(`${id} it is`, { columns: 80, indent: 26 })).toBe(`\n${' '.repeat(20)}${id}\n${' '.repeat(26)}it is`);
    expect(formatFields([['the name of a field', id]], 70)).toBe(`the name of a field\n${' '.repeat(10)}${id}`);
  });

  it('is not broken within backquotes, where a command stands that somebody wants to copy', () => {
    const text = 'see what there is with `countersign entry list`, then go on';
    expect(wrap(text, { columns: 40, indent: 0 })).toBe('see what there is with\n`countersign entry list`, then go on');
    expect(wrap(`one \` ${'word '.repeat(20)}`, { columns: 40, indent: 0 }).split('\n')).toHaveLength(3);
  });

  it('of several lines goes on two columns further in', () => {
    const text = `first\n  ${'word '.repeat(10).trim()}`;
    expect(wrapLines(text, 40)).toBe(`first\n  ${'word '.repeat(7).trim()}\n    word word word`);
    expect(wrapLines(`  ${'x'.repeat(39)}`, 40)).toBe(` ${'x'.repeat(39)}`);
  });

  it('is one where it fits, or where nobody says how long a line is', () => {
    expect(wrap('a b', { columns: 80, indent: 4 })).toBe('a b');
    expect(formatTable(['a', 'b'], [['x', 'y '.repeat(100)]])).not.toContain('\n  ');
  });

  it('keeps rows of a table within the columns', () => {
    const table = formatTable(['', 'what', 'found'], [['XX', 'gateway ready', 'word '.repeat(60).trim()]], 80);
    expect(table.split('\n').every((line) => line.length <= 80)).toBe(true);
    expect(table.split('\n')[2]).toMatch(/^ {19}word/);
  });
});

describe('a command in lines', () => {
  it('is one for a shell: it is broken before options and behind pipes', () => {
    const command =
      'countersign node token --agent-id spiffe://example.org/node/first | sudo install -m 0600 /dev/stdin FILE';
    expect(formatCommand(command, { columns: 60, indent: 4 }).split('\n')).toEqual([
      'countersign node token \\',
      '      --agent-id spiffe://example.org/node/first | \\',
      '      sudo install -m 0600 /dev/stdin FILE',
    ]);
  });

  it('is one line where it fits', () => {
    expect(formatCommand('countersign ledger tail --follow', { columns: 80, indent: 4 })).not.toContain('\n');
  });
});

it('a name with a line break in it makes no line of its own, in a table as in fields', () => {
  expect(formatTable(['a', 'b'], [['x\ny', 'z\tz\u001b[2J']])).toBe('A    B\nx y  z z\\u{1b}[2J');
  expect(formatFields([['a', 'x\nb  y']], 80)).toBe('a  x b  y');
});
