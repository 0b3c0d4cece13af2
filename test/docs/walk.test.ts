/** Files, functions and tests that documents name are there. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, expect, it } from 'vitest';
import { documents, ROOT, readDocument } from './markdown.ts';

describe('the walk through the code', () => {
  const { prose } = readDocument('docs/life-of-a-request.md');
  // A function is one of the file named last before it.
  const named: { file: string; name: string }[] = [];
  let file = '';
  for (const [, code = ''] of prose.matchAll(/`([^`]+)`/g)) {
    if (/^(src|sdk|test|scripts)\//.test(code)) file = code;
    else if (/^#?\w+\(\)$/.test(code)) named.push({ file, name: code.slice(0, -2) });
  }

  it('names functions', () => {
    expect(named.length).toBeGreaterThan(50);
  });

  it.each(named)('finds $name in $file', ({ file: where, name }) => {
    // What is imported is defined elsewhere.
    const text = fs.readFileSync(path.join(ROOT, where), 'utf8').replaceAll(/^import [^;]*;$/gm, '');
    const definition = new RegExp(
      [
        String.raw`function\*? ${name}\b`,
        String.raw`^\s*(?:export )?const ${name}\b`,
        String.raw`^\s*(?:async )?${name}(?:<[^(]*>)?\((?:.*\{)?$`,
        String.raw`^\s*${name}(?::|,$)`,
        `[{,] ${name}[,:]`,
      ].join('|'),
      'm',
    );
    expect(text).toMatch(definition);
  });
});

describe('documents', () => {
  it.each(
    documents().map(({ file, prose }) => [file, prose] as const),
  )('%s names only files that exist', (_, prose) => {
    const paths = [
      ...prose.matchAll(/(?<![\w/.-])((?:src|sdk|test|scripts|docs|examples|bin|facts)\/[\w./*<>-]*[\w/])/g),
    ]
      .map(([, found = '']) => found)
      .filter((found) => !/[*<>]|NNNN/.test(found));
    expect(paths.filter((found) => !fs.existsSync(path.join(ROOT, found)))).toEqual([]);
  });
});

describe('the list of dependencies', () => {
  it('is that of the package', () => {
    const rows = [...readDocument('docs/dependencies.md').prose.matchAll(/^\| ([^|]+) \|/gm)].map(
      ([, cell = '']) => cell,
    );
    const listed = rows
      .filter((cell) => !/^(package|-+)$/.test(cell))
      .flatMap((cell) => cell.replace(/\(.*\)/, '').split(', '));
    const manifest: Readonly<Record<string, Readonly<Record<string, string>>>> = JSON.parse(
      fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8'),
    );
    const used = ['dependencies', 'optionalDependencies', 'devDependencies'].flatMap((kind) =>
      Object.keys(manifest[kind] ?? {}),
    );
    expect(listed.map((name) => name.trim()).toSorted()).toEqual(used.toSorted());
  });
});

describe('the threat model', () => {
  // Only tables of threats: one paragraph each, headed so.
  const rows = readDocument('docs/security.md')
    .prose.split(/\n{2,}/)
    .filter((paragraph) => paragraph.startsWith('| threat | control | test |'))
    .flatMap((table) => table.trim().split('\n').slice(2))
    .map((line) => line.split('|').map((cell) => cell.trim()));

  it('has rows', () => {
    expect(rows.length).toBeGreaterThan(80);
  });

  it.each(
    rows.map((row) => [row[1] ?? '', row] as const),
  )('%s: has a control, and a test that exists or a word why not', (_, row) => {
    const [, threat, control, tests = ''] = row;
    expect([threat, control].every((cell) => cell !== undefined && cell !== '')).toBe(true);
    const files = [...tests.matchAll(/`([^`]+)`/g)].map(([, file = '']) => file);
    if (files.length === 0) expect(tests).toMatch(/^none: .+/);
    expect(
      files.filter((file) => !/\.test\.ts$|\.fuzz\.ts$/.test(file) || !fs.existsSync(path.join(ROOT, file))),
    ).toEqual([]);
  });
});
