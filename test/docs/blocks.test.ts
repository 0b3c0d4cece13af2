/** Every fenced block is either run (`guides.test.ts`, here and in test/interop) or checked here. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { declaredKinds } from '../../src/app/declared-kinds.ts';
import { memberSchemas } from '../../src/app/members.ts';
import { policySchema } from '../../src/app/policy-schema.ts';
import { commands } from '../../src/cli/commands.generated.ts';
import { parseChecked, parseConfig, parseDeclared } from '../../src/config/index.ts';
import { checkPolicies, policyCasesSchema, runPolicyTests } from '../../src/policy/index.ts';
import { fileOf, PAGES } from '../interop/guides/pages.ts';
import { type Block, documents, ROOT, readDocument } from './markdown.ts';

const blocks = documents().flatMap(({ blocks }) => blocks);
const where = ({ file, line }: Block) => `${file}:${line}`;
const of = (language: string) => blocks.filter((block) => block.language === language);
/** Languages of programs. */
const PROGRAMS = ['js', 'python', 'go', 'java', 'ruby'];
const named = (list: readonly Block[]) => list.map((block) => [where(block), block] as const);

describe('fenced blocks', () => {
  it('say what they are, in words that a test knows', () => {
    const known = new Set(['sh', 'sql', 'yaml', 'cedar', 'json', 'ini', 'text', 'ts', ...PROGRAMS, 'csharp']);
    // README draws one picture, and examples in prose of decisions are no documents of this list.
    const other = blocks.filter(
      ({ language, file }) => !known.has(language) && !(language === '' && file === 'README.md'),
    );
    expect(other.map(where)).toEqual([]);
  });

  it('that are not run say why, and are few', () => {
    const skipped = blocks.filter(({ info }) => info.startsWith('no-run'));
    expect(skipped.filter(({ info }) => !/^no-run: .{10,}/.test(info)).map(where)).toEqual([]);
    // Besides, one whole page says that it is not run.
    expect(skipped.filter(({ language }) => language !== 'csharp').length).toBeLessThanOrEqual(6);
    expect(of('csharp').map(({ file, info }) => [file, info.startsWith('no-run')])).toEqual([
      ['docs/guide/languages/dotnet.md', true],
    ]);
  });

  it('of a programming language are files, and stand with their commands where test/interop/guides.test.ts runs them', () => {
    const run = PAGES.map(({ name }) => `docs/guide/languages/${name}.md`);
    const programs = blocks.filter(({ language }) => PROGRAMS.includes(language));
    expect(programs.filter((block) => fileOf(block) === undefined || !run.includes(block.file)).map(where)).toEqual([]);
    const here = blocks.filter(({ file }) => run.includes(file));
    const others = here.filter((block) => fileOf(block) === undefined && !['sh', 'text'].includes(block.language));
    expect(others.map(where)).toEqual([]);
    expect(blocks.filter((block) => fileOf(block) !== undefined && !run.includes(block.file)).map(where)).toEqual([]);
  });

  it('of the pages for languages are no wider than a terminal', () => {
    const shown = blocks.filter(({ file, text }) => file.startsWith('docs/guide/languages/') && /.{81}/.test(text));
    expect(shown.map(where)).toEqual([]);
  });

  it('of shell and SQL stand only where they are run', () => {
    const run = [
      'docs/guide/first-target.md',
      'docs/guide/policies.md',
      'docs/guide/api.md',
      'docs/guide/operations.md',
      'docs/guide/postgres.md',
      'docs/guide/http.md',
      // test/scenarios/record.test.ts runs them.
      'docs/guide/record.md',
      // test/scenarios/sessions.test.ts runs them.
      'docs/guide/stop.md',
      // test/scenarios/store-restore.test.ts runs them.
      'docs/guide/servers.md',
      'docs/life-of-a-request.md',
      ...PAGES.map(({ name }) => `docs/guide/languages/${name}.md`),
    ];
    const elsewhere = [...of('sh'), ...of('sql')].filter(({ file }) => !run.includes(file) && file !== 'README.md');
    expect(elsewhere.map(where)).toEqual([]);
  });

  // What has a file's name is that of a program.
  it.each(named(of('yaml').filter((block) => fileOf(block) === undefined)))('%s: YAML is what it says', (_, block) => {
    const { file, text, info } = block;
    if (info === 'config') return void parseConfig({ file, text, members: memberSchemas, env: {} });
    if (info === 'tests') return void parseChecked({ file, text, schema: policyCasesSchema });
    return void parseDeclared({ file, text, kinds: declaredKinds });
  });

  it.each(named(of('cedar')))('%s: the policy passes the check', (_, block) => {
    const { problems } = checkPolicies([{ name: where(block), text: block.text }], policySchema);
    expect(problems.filter(({ severity }) => severity === 'error')).toEqual([]);
  });

  it.each(named(of('json')))('%s: JSON can be read', (_, block) => {
    expect(() => JSON.parse(block.text)).not.toThrow();
  });

  it.each(
    named(of('ini').filter((block) => fileOf(block) === undefined)),
  )('%s: the unit starts a command that exists', (_, block) => {
    const [, line = ''] = /^ExecStart=\/usr\/local\/bin\/countersign (.+)$/m.exec(block.text) ?? [];
    expect(commands.some(({ name }) => line === name || line.startsWith(`${name} `))).toBe(true);
    expect(block.text).toMatch(/^User=\w/m);
  });

  it('that show a command show one that exists', () => {
    const names = commands.map(({ name }) => name);
    const prose = documents().flatMap(({ file, prose }) =>
      [...prose.matchAll(/`countersign ([a-z][a-z -]*[a-z])/g)].map(([, words = '']) => ({ file, words })),
    );
    const shell = of('sh').flatMap(({ file, text }) =>
      [...text.matchAll(/(?:^|\s)countersign ([a-z]+(?: [a-z]+(?:-[a-z]+)*)?)/g)].map(([, words = '']) => ({
        file,
        words,
      })),
    );
    const isKnown = (words: string) => names.some((name) => words === name || words.startsWith(`${name} `));
    // A group of commands may be named too.
    const isGroup = (words: string) => names.some((name) => name.startsWith(`${words} `));
    expect([...prose, ...shell].filter(({ words }) => !isKnown(words) && !isGroup(words))).toEqual([]);
  });
});

describe('the README', () => {
  const { blocks: shown } = readDocument('README.md');
  const scripts = parse(fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8')).scripts as Record<string, string>; // npm's own form.

  it('shows two commands, which are scripts of the package', () => {
    const lines = shown.filter(({ language }) => language === 'sh').map(({ text }) => text.trim());
    expect(lines).toEqual(['npm ci && npm run demo', 'npm ci && npm test']);
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(['demo', 'test']));
  });

  it.each(['README.md', 'CONTRIBUTING.md', 'ARCHITECTURE.md'])('names in %s only scripts that exist', (file) => {
    const named = [...readDocument(file).prose.matchAll(/npm run ([\w:]+)/g)].map(([, name = '']) => name);
    expect(named.filter((name) => scripts[name] === undefined && name !== 'script')).toEqual([]);
  });
});

describe('the examples', () => {
  const folder = path.join(ROOT, 'examples/shop');
  const read = (name: string) => fs.readFileSync(path.join(folder, name), 'utf8');

  it('declare resources that can be applied', () => {
    for (const file of ['target.yaml', 'entries.yaml']) {
      expect(parseDeclared({ file, text: read(file), kinds: declaredKinds })).toHaveLength(
        parseAllDocuments(read(file)).length,
      );
    }
  });

  it('hold a policy that passes its tests', () => {
    const { compiled, problems } = checkPolicies([{ name: 'shop', text: read('shop.cedar') }], policySchema);
    expect(problems).toEqual([]);
    const [document] = parseChecked({
      file: 'shop.test.yaml',
      text: read('shop.test.yaml'),
      schema: policyCasesSchema,
    });
    const at = { schema: policySchema, nowMs: Date.parse('2026-12-01T00:00:00Z') };
    const results = compiled === undefined ? [] : runPolicyTests(document?.value ?? [], compiled, at);
    expect(results.length).toBeGreaterThan(5);
    expect(results.filter(({ passed }) => !passed)).toEqual([]);
  });

  it('show the tables that the guide makes', () => {
    const guide = readDocument('docs/guide/first-target.md').blocks.find(({ info }) => info === 'dba');
    const statements = (text: string) => text.replaceAll(/^--.*\n/gm, '').trim();
    expect(statements(read('schema.sql'))).toBe(guide?.text.trim());
  });

  it('are quoted as they are in the guide to policies', () => {
    const example = read('shop.cedar').replaceAll(/\s+/g, ' ');
    const quoted = readDocument('docs/guide/policies.md').blocks.filter(({ text }) =>
      /web-orders|customers-masked/.test(text),
    );
    for (const { text, language } of quoted.filter((block) => block.language === 'cedar')) {
      expect(language).toBe('cedar');
      const scope = text.slice(text.indexOf('permit(')).replaceAll(/\s+/g, ' ').trim();
      expect(example).toContain(scope);
    }
  });
});
