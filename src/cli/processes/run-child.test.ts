import { describe, expect, it } from 'vitest';
import { runChild } from './run-child.ts';

describe('the exit code of a program that was run', () => {
  it.each([
    ['exit 7', 7],
    ['kill -TERM $$', 143],
    ['kill -KILL $$', 137],
    ['kill -PIPE $$', 141],
  ])('%s: is as a shell gives it', async (script, code) => {
    await expect(runChild('/bin/sh', ['-c', script], {})).resolves.toBe(code);
  });
});
