import { expect } from 'vitest';
import type { Block } from './markdown.ts';

/** Each line of the block was printed by the one before, whatever the numbers, digests and times in it. */
export function expectPrinted(printed: string, block: Block): void {
  const lines = printed.split('\n').map(shape);
  for (const line of block.text.split('\n').map(shape)) {
    if (line === '' || line === '…') continue;
    expect(lines, `not printed as ${block.file}:${block.line} says:\n${printed}`).toContain(line);
  }
}

function shape(line: string): string {
  return line
    .replaceAll(/\b[0-9a-f]{8,}\b/g, 'N')
    .replaceAll(/\d+/g, 'N')
    .replaceAll(/[-─]{2,}/g, '--')
    .replaceAll(/\s+/g, ' ')
    .trim();
}
