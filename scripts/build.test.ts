import { execFileSync } from 'node:child_process';
import {
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { entryOf } from '../test/support/fresh-bundle.ts';
import { buildConsole } from './build-console.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cs-build-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

const BEFORE = new Date('2026-01-01T00:00:00Z');
const BUILT = new Date('2026-01-02T00:00:00Z');
const AFTER = new Date('2026-01-03T00:00:00Z');

function write(path: string, at: Date): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), '');
  utimesSync(join(root, path), at, at);
}

/** A checkout that was built after all its sources were written. */
function builtCheckout(): void {
  for (const path of ['src/cli/main.ts', 'src/gateway/deep/part.ts', 'sdk/src/index.ts', 'package-lock.json'])
    write(path, BEFORE);
  for (const path of ['src', 'src/cli', 'src/gateway', 'src/gateway/deep', 'sdk/src'])
    utimesSync(join(root, path), BEFORE, BEFORE);
  write('dist/main.js', BUILT);
  write('dist/built', BUILT);
}

describe('what a start runs', () => {
  it('is the bundle where nothing is newer', async () => {
    builtCheckout();
    expect(await entryOf(root)).toBe(join(root, 'dist/main.js'));
  });

  it('is the bundle where only a test is newer', async () => {
    builtCheckout();
    for (const path of ['src/gateway/deep/part.test.ts', 'src/gateway/testing/fixture.ts']) write(path, AFTER);
    for (const path of ['src', 'src/gateway', 'src/gateway/deep']) utimesSync(join(root, path), BEFORE, BEFORE);
    expect(await entryOf(root)).toBe(join(root, 'dist/main.js'));
  });

  it('is the bundle of a package, which has no sources', async () => {
    write('dist/main.js', BUILT);
    expect(await entryOf(root)).toBe(join(root, 'dist/main.js'));
  });

  it.each<readonly [string, () => void]>([
    ['nothing was built', () => rmSync(join(root, 'dist'), { recursive: true })],
    ['a build did not come to its end', () => rmSync(join(root, 'dist/built'))],
    ['a source has changed', () => utimesSync(join(root, 'src/gateway/deep/part.ts'), AFTER, AFTER)],
    ['a source changed when the build began', () => utimesSync(join(root, 'src/gateway/deep/part.ts'), BUILT, BUILT)],
    ['a source of the SDK has changed', () => utimesSync(join(root, 'sdk/src/index.ts'), AFTER, AFTER)],
    ['a source is gone', () => rmSync(join(root, 'src/gateway/deep/part.ts'))],
    ['an older source has taken the place of one', () => takePlace()],
    ['packages have changed', () => utimesSync(join(root, 'package-lock.json'), AFTER, AFTER)],
  ])('is the sources when %s', async (_, happen) => {
    builtCheckout();
    happen();
    expect(await entryOf(root)).toBe(join(root, 'src/cli/main.ts'));
  });
});

function takePlace(): void {
  write('other.ts', BEFORE);
  renameSync(join(root, 'other.ts'), join(root, 'src/gateway/deep/part.ts'));
}

it('the bundle answers as the sources do', () => {
  const project = join(import.meta.dirname, '..');
  const outputs = ['dist/main.js', 'src/cli/main.ts'].map((entry) =>
    execFileSync(
      process.execPath,
      ['-e', `process.argv = ['node', 'countersign', '--help']; await import(${JSON.stringify(join(project, entry))})`],
      { encoding: 'utf8' },
    ),
  );
  expect(outputs[0]).toContain('Every server-to-server call verified');
  expect(outputs[0]).toBe(outputs[1]);
});

it('the console is what people get, though a test runner asks for it', async () => {
  const project = join(import.meta.dirname, '..');
  for (const part of ['console', 'sdk', 'scripts', 'node_modules', 'package-lock.json'])
    symlinkSync(join(project, part), join(root, part));
  const before = process.env['NODE_ENV'];
  expect(await buildConsole(root)).toBe('built');
  expect(process.env['NODE_ENV']).toBe(before);
  const files = globSync(join(root, 'dist/console/assets/*.js'));
  expect(files.length).toBeGreaterThan(1);
  // A warning of the framework that it has in development alone.
  for (const file of files) expect(readFileSync(file, 'utf8')).not.toContain('unique "key" prop');
  expect(await buildConsole(root)).toBe('current');
});
