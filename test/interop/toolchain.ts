/** Commands that build or install a client before a test. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { run } from '../support/processes.ts';

/** Path of a command: in one of these folders, else in those of PATH; undefined when there is none. */
export function commandIn(folders: readonly string[], name: string): string | undefined {
  const places = [...folders, ...(process.env['PATH'] ?? '').split(path.delimiter)];
  return places.map((place) => path.join(place, name)).find((file) => fs.existsSync(file));
}

/** True when a test may be skipped that needs a command which is not there: in CI it must fail instead. */
export function mayLack(command: string | undefined): boolean {
  return command === undefined && process.env['CI'] !== 'true';
}

/** Runs one and throws what it printed when it fails. Where packages come from and what is cached is the machine's affair. */
export async function runTool(
  file: string,
  args: readonly string[],
  more: Readonly<Record<string, string>> = {},
): Promise<void> {
  const env = Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) => (value ? [[name, value]] : [])),
  );
  const { code, stdout, stderr } = await run(file, args, { env: { ...env, ...more }, withinMs: TOOL_MS_MAX });
  if (code !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`);
}

/** Cold, on one busy core, with everything to be downloaded. */
const TOOL_MS_MAX = 240_000;
