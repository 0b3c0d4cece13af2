import { parseSpiffeId } from '@countersign/sdk/identity';
import { expect, test } from 'vitest';
import { createSystemRandom } from '../../../../std/index.ts';
import { createCancelKeys, hearWord, wordOf } from './cancel.ts';

// Goal: a request to cancel that came to another gateway cancels as one that came here: by key and identity, or not at all.

const web = parseSpiffeId('spiffe://example.org/web');
const job = parseSpiffeId('spiffe://example.org/job');

test.each([
  4, 32,
])('a word that was passed on, with a key of %i bytes, cancels that session of that identity alone', (keyBytes) => {
  const keys = createCancelKeys(createSystemRandom());
  const cancelled: string[] = [];
  const mint = (processId: number) =>
    keys.mint({ identity: web, processId, keyBytes }, async () => void cancelled.push(String(processId)));
  const [one, other] = [mint(7), mint(8)];
  expect(hearWord(keys, job, wordOf(7, one.key))).toBe(false);
  expect(hearWord(keys, web, wordOf(7, other.key))).toBe(false);
  expect(hearWord(keys, web, wordOf(7, one.key.subarray(1)))).toBe(false);
  expect(cancelled).toEqual([]);
  expect(hearWord(keys, web, wordOf(7, one.key))).toBe(true);
  expect(cancelled).toEqual(['7']);
  one.close();
  expect(hearWord(keys, web, wordOf(7, one.key))).toBe(false);
});

test.each([0, 3, 4])('a word of %i bytes is none', (bytes) => {
  expect(hearWord({ use: async () => {} }, web, Buffer.alloc(bytes))).toBe(false);
});
