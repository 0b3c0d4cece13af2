import { describe, expect, it } from 'vitest';
import { formatTable } from './table.ts';

describe('a table for a terminal', () => {
  it('is as wide as its widest cell', () => {
    expect(formatTable(['a', 'b'], [['long cell', 'x']])).toBe('A          B\nlong cell  x');
  });

  it('takes the nodes of a large estate', () => {
    const rows = Array.from({ length: 300_000 }, (_, row) => [`spiffe://example.org/node/${row}`, 'x509pop']);
    expect(formatTable(['node', 'attestation'], rows).split('\n')).toHaveLength(300_001);
  });
});
