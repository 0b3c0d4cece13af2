/** The official Java client (`java/`), compiled by Maven into its `target` folder. */
import * as path from 'node:path';
import { commandIn, runTool } from './toolchain.ts';

/** Maven, which brings the client; undefined when it or Java is missing. */
export const maven = commandIn([], 'java') && commandIn([], 'mvn');

/** Compiles it; resolves to the command line that runs it. */
export async function buildJavaClient(): Promise<readonly [string, ...string[]]> {
  const java = commandIn([], 'java');
  if (maven === undefined || java === undefined) throw new Error('Java 17 and Maven are needed: install both');
  await runTool(maven, ['-q', '-B', '-f', path.join(SOURCES, 'pom.xml'), 'compile', 'dependency:copy-dependencies']);
  const target = path.join(SOURCES, 'target');
  return [java, '-cp', `${target}/classes:${target}/dependency/*`, 'Client'];
}

const SOURCES = path.join(import.meta.dirname, 'java');
