import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ErrorTable } from '../src/std/index.ts';

// Each feature's table of codes, its throw sites, its tests and the generated page say the same.

const root = join(import.meta.dirname, '..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const files = globSync(['src/**/*.ts', 'sdk/src/identity/*.ts'], { cwd: root });
const tables = await Promise.all(
  files
    .filter((file) => file.endsWith('/errors.ts'))
    .map(async (file) => {
      const module: { errorTable?: ErrorTable } = await import(join(root, file));
      return { file, folder: dirname(file), table: module.errorTable ?? {} };
    }),
);
const page = read('docs/reference/errors.md');
const codesIn = (text: string) =>
  new Set(text.match(/'(ERR_[A-Z0-9_]+[A-Z0-9])'/g)?.map((quoted) => quoted.slice(1, -1)));

describe.each(tables)('the error table of $folder', ({ file, folder, table }) => {
  const own = files.filter((other) => other.startsWith(`${folder}/`) && other !== file);
  const thrown = codesIn(
    own
      .filter((other) => !/\.(test|fuzz)\.ts$/.test(other))
      .map(read)
      .join('\n'),
  );

  it('holds only codes that are thrown', () => {
    expect(Object.keys(table).filter((code) => !thrown.has(code))).toEqual([]);
  });

  it('says of each code what it means and what to do, as a sentence', () => {
    for (const [code, entry] of Object.entries(table)) {
      expect(entry.meaning, code).toMatch(/^[A-Z].*\.$/);
      expect(entry.remedy, code).toMatch(/^[A-Z].*\.$/);
      expect(entry.status, code).toBeGreaterThanOrEqual(400);
    }
  });

  it('is on the reference page', () => {
    for (const code of Object.keys(table)) expect(page).toContain(`\`${code}\``);
  });
});

it('no code is thrown that no table knows', () => {
  const known = new Set(tables.flatMap(({ table }) => Object.keys(table)));
  const used = codesIn(
    files
      .filter((file) => !/\.(test|fuzz)\.ts$/.test(file) && !file.includes('/testing/') && !file.startsWith('src/cli/'))
      .map(read)
      .join('\n'),
  );
  const foreign = [...used].filter((code) => !known.has(code));
  // Node's own codes, which are compared with, not thrown.
  expect(
    foreign.filter(
      (code) => !/^ERR_(HTTP2|STREAM|TLS|SSL|SOCKET|INVALID|CRYPTO|OSSL|SERVER|SQLITE|MODULE)_/.test(code),
    ),
  ).toEqual([]);
});

it('no two tables have one code', () => {
  const codes = tables.flatMap(({ table }) => Object.keys(table));
  expect(codes.filter((code, index) => codes.indexOf(code) !== index)).toEqual([]);
});
