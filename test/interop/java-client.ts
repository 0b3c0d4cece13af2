/** The official Java client (`java/`), compiled by Maven into its `target` folder. */
import * as path from 'node:path';
import { compileJava } from './project.ts';

/** Compiles it; resolves to the command line that runs it. */
export async function buildJavaClient(): Promise<readonly [string, ...string[]]> {
  return [...(await compileJava(path.join(import.meta.dirname, 'java'))), 'Client'];
}
