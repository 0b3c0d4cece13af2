import { expect, test } from 'vitest';
import { gatewayFolderOf, ownFolderOf, workerNamed } from './own-folder.ts';

test('the first worker has the folder of a gateway alone, and each other one of its own, from which that is found again', () => {
  expect([1, 2, 64].map((number) => ownFolderOf('/data', number))).toEqual([
    '/data',
    '/data/workers/2',
    '/data/workers/64',
  ]);
  for (const number of [1, 2, 64]) expect(gatewayFolderOf(`${ownFolderOf('/data', number)}/ledger`)).toBe('/data');
});

test.each(['0', '1', '65', '02', '2x', '', '-2', '640'])('%j names no further worker', (name) => {
  expect(workerNamed(name)).toBeUndefined();
});

test('each of 2 to 64 does', () => {
  for (let number = 2; number <= 64; number++) expect(workerNamed(String(number))).toBe(number);
});
