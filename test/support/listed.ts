import { expect } from 'vitest';
import type { Stack } from './stack.ts';

/** What a command lists, by `--json`: a line each, or an array. It has to end well. */
export async function listed(
  stack: Pick<Stack, 'cli'>,
  args: readonly string[],
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const { code, stdout, stderr } = await stack.cli([...args, '--json']);
  expect(code, stderr).toBe(0);
  return stdout
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [JSON.parse(line)]))
    .flat();
}
