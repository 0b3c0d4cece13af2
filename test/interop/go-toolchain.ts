/** The Go toolchain of this machine, and the programs of `go/` built with it into a folder of the test. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { run } from '../support/processes.ts';

/** Path of the go command; undefined when there is none. */
export function goCommand(): string | undefined {
  const places = [...(process.env['PATH'] ?? '').split(path.delimiter), '/usr/local/go/bin'];
  return places.map((place) => path.join(place, 'go')).find((file) => fs.existsSync(file));
}

/** True when tests that need Go may be skipped: it is absent and this is no CI run. */
export function mayLackGo(): boolean {
  return goCommand() === undefined && process.env['CI'] !== 'true';
}

/** Builds the programs, folders of `go/`, into `directory`; every user may run them. */
export async function buildGo(directory: string, programs: readonly ('agent' | 'client' | 'crowd')[]): Promise<void> {
  const go = goCommand();
  if (go === undefined) throw new Error('there is no go command: install Go 1.24 or later');
  const packages = programs.map((program) => `./${program}`);
  // Its own environment comes through: where modules come from and what is cached is the machine's affair.
  const env = Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) => (value ? [[name, value]] : [])),
  );
  const built = await run(go, ['-C', SOURCES, 'build', '-buildvcs=false', '-o', `${directory}/`, ...packages], {
    ...{ env, withinMs: BUILD_MS_MAX },
  });
  if (built.code !== 0) throw new Error(`go build ended with ${built.code}:\n${built.stderr}`);
  for (const program of programs) fs.chmodSync(path.join(directory, program), 0o755);
}

const SOURCES = path.join(import.meta.dirname, 'go');
/** Cold, on one busy core, modules to be downloaded. */
const BUILD_MS_MAX = 240_000;
