/** Our programs in `go/`, built into a folder of the test. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { commandIn, runTool } from './toolchain.ts';

/** The go command; where Go's own releases live comes first: distributions often have one that is too old. */
export const go = commandIn(['/usr/local/go/bin'], 'go');

/** Builds the programs, folders of `go/`, into `directory`; every user may run them. */
export async function buildGo(
  directory: string,
  programs: readonly ('agent' | 'chains' | 'client' | 'crowd' | 'grpcpeer')[],
): Promise<void> {
  if (go === undefined) throw new Error('there is no go command: install Go 1.24 or later');
  const packages = programs.map((program) => `./${program}`);
  await runTool(go, ['-C', SOURCES, 'build', '-buildvcs=false', '-o', `${directory}/`, ...packages]);
  for (const program of programs) fs.chmodSync(path.join(directory, program), 0o755);
}

const SOURCES = path.join(import.meta.dirname, 'go');
