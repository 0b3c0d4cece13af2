import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

// In a process of its own: the fault that it looks for stands its process still, and no timer of a test would end it.
it('a client that leaves answers behind, of which one has ended before its request, costs its connection alone', async () => {
  const program = `${import.meta.dirname}/../testing/left-behind.ts`;
  const run = promisify(execFile)(process.execPath, ['--max-old-space-size=500', program], { timeout: 30_000 });
  await expect(run).resolves.toBeDefined();
});
