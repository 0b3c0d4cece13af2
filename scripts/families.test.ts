import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { families } from './families.ts';

// Extension is one folder: a copy of the house gets one new member in each family (an existing one under another id), runs the
// generator, and the new member must be everywhere, with nothing edited by hand.

const root = join(import.meta.dirname, '..');
const house = mkdtempSync(join(tmpdir(), 'house-'));
const IN_HOUSE = { cwd: house, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } } as const;
const template: Record<string, string> = {
  keystore: 'memory',
  attestor: 'unix',
  protocol: 'postgres',
  'store-engine': 'sqlite',
  sink: 'file',
  'resource-kind': 'target',
};
const suiteOf = {
  keystore: 'test/conformance/keystores.test.ts',
  attestor: 'test/conformance/attestors.test.ts',
  protocol: 'test/conformance/protocols.test.ts',
  'store-engine': 'test/conformance/store-engines.test.ts',
  sink: 'test/conformance/record-sinks.test.ts',
  'resource-kind': 'test/conformance/resource-kinds.test.ts',
};
let suites: ReadonlyMap<string, readonly string[]>;

beforeAll(() => {
  for (const part of [
    '.gitignore',
    'bin',
    'src',
    'scripts',
    'test',
    'docs',
    'ARCHITECTURE.md',
    'package.json',
    'tsconfig.json',
    'vitest.config.ts',
    'sdk',
    'console',
    'package-lock.json',
  ]) {
    cpSync(join(root, part), join(house, part), { recursive: true, filter: (path) => !path.includes('/node_modules') });
  }
  symlinkSync(join(root, 'node_modules'), join(house, 'node_modules'));
  run('git', ['init', '-q']);
  run('git', ['add', '-A']);
  run('git', ['-c', 'user.name=house', '-c', 'user.email=house@example.org', 'commit', '-qm', 'before']);
  for (const { kind, folder } of families) {
    const from = template[kind] ?? '';
    const to = join(house, folder, 'fixture');
    cpSync(join(house, folder, from), to, { recursive: true, filter: (path) => !path.endsWith('.test.ts') });
    rename(to, from);
  }
  run('node', ['scripts/gen.ts']);
  suites = runSuites();
});

afterAll(() => {
  for (const path of [house, `${house}.json`]) rmSync(path, { recursive: true, force: true });
});

describe.each(families)('a new $kind', ({ kind, folder, registry }) => {
  it('is in the registry', () => {
    expect(readFileSync(join(house, folder, 'registry.generated.ts'), 'utf8')).toMatch(
      new RegExp(`${registry} = \\[.*\\bfixture\\b`),
    );
  });

  it.runIf(kind === 'protocol')('is what agents load its half of', () => {
    expect(readFileSync(join(house, folder, 'local-registry.generated.ts'), 'utf8')).toMatch(
      /localProtocols = \[.*\bfixture\b/,
    );
  });

  it('is in the reference pages and on the map', () => {
    const page = readFileSync(
      join(house, `docs/reference/${registry.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}.md`),
      'utf8',
    );
    expect(page).toContain('## fixture');
    expect(readFileSync(join(house, 'ARCHITECTURE.md'), 'utf8')).toMatch(new RegExp(`${folder}/.*fixture`));
  });

  it.runIf(kind !== 'protocol' && kind !== 'resource-kind')('is in the configuration schema', () => {
    expect(readFileSync(join(house, 'docs/reference/config.md'), 'utf8')).toMatch(/\.fixture|fixture[,.]/);
  });

  it.runIf(kind === 'resource-kind')('is what files declare, the API applies and lists, and people ask for', () => {
    const read = (path: string) => readFileSync(join(house, path), 'utf8');
    expect(read('docs/reference/resources.schema.json')).toContain('"Fixture"');
    const { paths } = JSON.parse(read('docs/reference/openapi.json'));
    expect(Object.keys(paths)).toEqual(expect.arrayContaining(['/v1/fixtures', '/v1/fixtures/{name}']));
    const { schema } = paths['/v1/apply'].post.requestBody.content['application/json'];
    expect(schema.properties.resources.items.properties.kind.enum).toContain('Fixture');
    expect(read('docs/reference/api.md')).toContain('## fixture.list');
    expect(read('sdk/src/client/operations.generated.ts')).toContain("'fixture.get': {");
  });

  it("passes its family's conformance suite", () => {
    const passed = suites.get(join(house, suiteOf[kind])) ?? [];
    expect(passed.filter((name) => name.includes(' fixture '))).not.toEqual([]);
    if (kind === 'protocol')
      expect(passed).toContainEqual(
        expect.stringMatching(/the protocol fixture at an agent’s socket is offered by an agent/),
      );
  });
});

it('changes nothing but its own folder and what is generated', () => {
  const changed = run('git', ['status', '--porcelain', '-uall'])
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.slice(3));
  const generated = (path: string) =>
    path.endsWith('.generated.ts') ||
    path.startsWith('docs/reference/') ||
    path === 'ARCHITECTURE.md' ||
    path === 'node_modules';
  expect(changed.filter((path) => !generated(path) && !/\/fixture\//.test(path))).toEqual([]);
});

/** What the suites promise of the new members and of all together, each suite with the names of its tests that passed. Throws when one does not. */
function runSuites(): Map<string, readonly string[]> {
  const report = `${house}.json`;
  const wanted = ['-t', 'fixture|one policy schema', '--reporter', 'json', '--outputFile', report];
  const { status, stderr } = spawnSync(
    'npx',
    ['vitest', 'run', '--project', 'unit', ...wanted, ...Object.values(suiteOf)],
    {
      ...IN_HOUSE,
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  // The reporter's own format.
  const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as {
    testResults: {
      name: string;
      message: string;
      assertionResults: { fullName: string; status: string; failureMessages: string[] }[];
    }[];
  };
  const failed = testResults.flatMap(({ name, message, assertionResults }) => [
    ...(message === '' ? [] : [`${name}: ${message}`]),
    ...assertionResults
      .filter((one) => one.status === 'failed')
      .map(({ fullName, failureMessages }) => `${fullName}: ${failureMessages.join('\n')}`),
  ]);
  if (status !== 0) throw new Error(`the suites do not pass:\n${failed.join('\n')}\n${stderr}`);
  return new Map(
    testResults.map(({ name, assertionResults }) => [
      name,
      assertionResults.filter(({ status }) => status === 'passed').map(({ fullName }) => fullName),
    ]),
  );
}

/** Gives the copy its own id and, in a protocol, its own names in the policy language. */
function rename(folder: string, id: string): void {
  expect(readFileSync(join(folder, 'index.ts'), 'utf8')).toContain(`id: '${id}'`);
  expect(readdirSync(folder)).toContain('README.md');
  const title = `${id.slice(0, 1).toUpperCase()}${id.slice(1)}`;
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  )) {
    const text = readFileSync(join(folder, name), 'utf8');
    const renamed = text
      .replaceAll(`id: '${id}'`, "id: 'fixture'")
      .replaceAll(`namespace: '${title}'`, "namespace: 'Fixture'")
      .replaceAll(`${title}::`, 'Fixture::')
      .replace(new RegExp(`\\b${id}:(?=[a-z$*])`, 'g'), 'fixture:');
    writeFileSync(join(folder, name), renamed);
  }
}

function run(command: string, args: readonly string[]): string {
  return execFileSync(command, args, { ...IN_HOUSE, stdio: ['ignore', 'pipe', 'pipe'] });
}
