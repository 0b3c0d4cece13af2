import { describe, expect, it } from 'vitest';
import { formatList, formatTable, wrap } from './table.ts';

describe('a table for a terminal', () => {
  it('is as wide as its widest cell', () => {
    expect(formatTable(['a', 'b'], [['long cell', 'x']])).toBe('A          B\nlong cell  x');
  });

  it('takes the nodes of a large estate', () => {
    const rows = Array.from({ length: 300_000 }, (_, row) => [`spiffe://example.org/node/${row}`, 'x509pop']);
    expect(formatTable(['node', 'attestation'], rows).split('\n')).toHaveLength(300_001);
  });
});

describe('a list', () => {
  const [headings, rows] = [
    ['node', 'state'],
    [
      ['spiffe://example.org/a', 'connected'],
      ['b', 'away'],
    ],
  ];

  it('is a table where that fits the terminal, and where there is none', () => {
    expect(formatList(headings, rows, 80)).toBe(formatTable(headings, rows));
    expect(formatList(headings, rows, undefined)).toBe(formatTable(headings, rows));
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
