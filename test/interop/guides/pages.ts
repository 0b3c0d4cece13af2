/** The pages for languages: what the blocks of each need, and how they are run. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { type Block, readDocument } from '../../docs/markdown.ts';
import type { Reader } from '../../docs/reader.ts';
import { go } from '../go-toolchain.ts';
import { installProject, maven, python, pythonOf } from '../project.ts';
import { commandIn } from '../toolchain.ts';

export interface Page {
  /** `docs/guide/languages/NAME.md`. */
  readonly name: string;
  /** What its blocks need; undefined when the machine lacks it. */
  readonly tool: string | undefined;
  /** Puts into the folder, and into the reader's PATH, what a developer has there. */
  prepare(reader: Reader, folder: string): Promise<void>;
}

export const PAGES: readonly Page[] = [
  { name: 'node', tool: commandIn([], 'npm'), prepare: prepareNode },
  { name: 'python', tool: python, prepare: preparePython },
  { name: 'go', tool: go, prepare: prepareGo },
  { name: 'java', tool: maven, prepare: prepareJava },
  { name: 'ruby', tool: commandIn([], 'ruby'), prepare: async () => {} },
  {
    name: 'migrations',
    // Another user than the service's, so whoever can't become another can't run it.
    tool: process.getuid?.() === 0 ? python && maven : undefined,
    async prepare(reader, folder) {
      for (const prepare of [prepareNode, preparePython, prepareJava]) await prepare(reader, folder);
    },
  },
];

async function prepareNode(reader: Reader, folder: string): Promise<void> {
  await installProject(source('node'));
  fs.symlinkSync(source('node/node_modules'), path.join(folder, 'node_modules'));
  reader.program('node', `exec '${process.execPath}' "$@"`);
}

async function preparePython(reader: Reader): Promise<void> {
  await installProject(source('python'));
  const command = `exec '${pythonOf(source('python'))}' -B`;
  reader.program('python3', `${command} "$@"`);
  reader.program('alembic', `${command} -m alembic "$@"`);
}

async function prepareGo(reader: Reader, folder: string): Promise<void> {
  for (const name of ['go.mod', 'go.sum']) fs.copyFileSync(source(`go/${name}`), path.join(folder, name));
  // What it has compiled and fetched before lies in the home of who runs the tests.
  reader.program('go', `export HOME='${process.env['HOME'] ?? '/root'}'\nexec '${go}' "$@"`);
}

async function prepareJava(_reader: Reader, folder: string): Promise<void> {
  await installProject(source('java'));
  fs.symlinkSync(source('java/target/dependency'), path.join(folder, 'lib'));
}

/** The blocks of a page. */
export function blocksOf({ name }: Page): readonly Block[] {
  return readDocument(`docs/guide/languages/${name}.md`).blocks;
}

/** The name under which the block is a file; undefined for what is none. */
export function fileOf({ info }: Block): string | undefined {
  return /^\w[\w./-]*\.\w+$/.test(info) ? info : undefined;
}

/** As a script: what the block says, in that folder. */
export function scriptOf(reader: Reader, folder: string, text: string): string {
  return `set -euo pipefail\ncd '${folder}'\n${reader.asHere(text)}`;
}

function source(name: string): string {
  return path.join(import.meta.dirname, name);
}
