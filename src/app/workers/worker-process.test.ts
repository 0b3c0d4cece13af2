import { expect, test } from 'vitest';
import { workerFlags } from './worker-process.ts';

test('the heap that the role may have is divided among its workers, and no other flag is touched', () => {
  const flags = ['--max-old-space-size=4096', '--expose-gc', '--max-semi-space-size=16'];
  expect(workerFlags(flags, 4)).toEqual(['--max-old-space-size=1024', '--expose-gc', '--max-semi-space-size=16']);
  expect(workerFlags(['--max_old_space_size=1000'], 3)).toEqual(['--max_old_space_size=333']);
  expect(workerFlags(['--max-old-space-size=200'], 64)).toEqual(['--max-old-space-size=128']);
});
