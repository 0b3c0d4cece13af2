import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { tuneMalloc } from './malloc.ts';

const MIB = 2 ** 20;

it('blocks that were freed go back to the system, though smaller ones that stay lie between', async () => {
  tuneMalloc();
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const before = process.memoryUsage.rss();
  const kept: Buffer[] = [];
  for (let round = 0; round < 4; round++)
    for (let i = 0; i < 100; i++) {
      Buffer.alloc((round + 1) * 300_000 + i * 4096, 1);
      kept.push(Buffer.alloc(5000, 1));
    }
  await eventually('the memory is back', () => {
    collect();
    return process.memoryUsage.rss() - before < 30 * MIB;
  });
  expect(kept).toHaveLength(400);
});
