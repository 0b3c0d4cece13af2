import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { formatProblem } from '../../policy/index.ts';
import type { RpcClient } from '../../rpc/index.ts';
import { command as check } from '../commands/policy/check.ts';
import { readDeclared } from '../declared/files.ts';
import { askCommand } from '../testing/ask-command.ts';
import { warnOfDescribed, warnOfStandingMasks, warnOfUnnamed } from './warn-of-described.ts';

// Goal: whoever applies a target with its document is told by file and line what of routes and masks the API does not have.

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'described-'));
  copyFileSync(join(import.meta.dirname, '../../api-documents/testdata/petstore.yaml'), join(folder, 'pets.yaml'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const TARGET = `kind: Target
name: pets
describedBy: pets.yaml
spec:
  protocol: http
  url: https://pets.example.org
  unlisted: refuse
  routes:
    - { name: pets, path: /v1/pets, reads: [query.limit] }
    - { name: pet, path: "/v1/pets/{id}" }
    - { name: photo, path: "/v1/pets/{id}/{file}", methods: [GET] }
`;
const policy = (
  mask: string,
  { resource = 'resource in Target::"pets"', action = 'action in Action::"http:read"' } = {},
) => `// One.\n@id("one")\n@mask("${mask}:redact")\npermit(principal, ${action}, ${resource});\n`;

function warnings(files: Readonly<Record<string, string>>): readonly string[] {
  for (const [name, text] of Object.entries({ 'target.yaml': TARGET, ...files }))
    writeFileSync(join(folder, name), text);
  const { resources, policies } = readDeclared([folder]);
  return warnOfDescribed(resources, policies).map((one) => formatProblem(one).replaceAll(`${folder}/`, ''));
}

describe('a target with its document', () => {
  it('is fine where the two say the same; the document is no resource, and no part of what is sent', () => {
    expect(warnings({ 'p.cedar': policy('body.items.owner.email') })).toEqual([]);
    const [{ spec } = { spec: {} }] = readDeclared([folder]).resources.filter(({ kind }) => kind === 'Target');
    expect(Object.keys(spec)).not.toContain('describedBy');
  });

  it('is told by line what of its routes is not there', () => {
    const target = TARGET.replace('[query.limit]', '[query.limt]').replace(
      'name: photo, path: "/v1',
      'name: photo, path: "/v2',
    );
    expect(warnings({ 'target.yaml': target })).toEqual([
      'target.yaml:9:45: warning: route "pets" reads query.limt, which the document does not have there (did you mean "query.limit"?)',
      expect.stringMatching(
        /^target\.yaml:11:22: warning: route "photo" has the path \/v2\/pets\/\{id\}\/\{file\}, which/,
      ),
      'target.yaml:3:1: warning: 1 operation of the document is taken by no route: GET /v1/pets/{petId}/{format} (they are refused)',
    ]);
  });

  it('is told of a mask that masks nothing, at its place in the policy', () => {
    expect(warnings({ 'p.cedar': policy('body.items.owner.emial') })).toEqual([
      'p.cedar:3:1: warning: policy "one" masks body.items.owner.emial, which no JSON answer of 3 operations has: it masks nothing (did you mean "body.items.owner.email"?)',
    ]);
  });

  it.each<[string, Parameters<typeof policy>[1], boolean]>([
    ['on its route', { resource: 'resource == Http::Route::"pets/pet"' }, true],
    ['on a route with the field', { resource: 'resource == Http::Route::"pets/pets"' }, false],
    ['on what no route takes, which is refused', { resource: 'resource == Http::Origin::"pets"' }, false],
    ['on all routes of it', { resource: 'resource is Http::Route in Http::Origin::"pets"' }, false],
    ['on another target', { resource: 'resource in Target::"cats"' }, false],
    ['on whatever there is', { resource: 'resource' }, false],
    ['on every route there is', { resource: 'resource is Http::Route' }, false],
    ['for a method whose answers have it not', { action: 'action == Action::"http:post"' }, true],
    ['for a method without operations', { action: 'action == Action::"http:put"' }, false],
  ])('a policy %s', (_, scope, isTold) => {
    expect(warnings({ 'p.cedar': policy('body.items', scope) })).toHaveLength(isTold ? 1 : 0);
  });

  it.each([
    [
      'is not there',
      TARGET.replace('pets.yaml', 'cats.yaml'),
      /^target\.yaml:3:1: describedBy: there is no .*cats\.yaml$/,
    ],
    ['is none', TARGET.replace('pets.yaml', 'p.cedar'), /^target\.yaml:3:1: describedBy: .*p\.cedar: it is no OpenAPI/],
    [
      'is of a target that has no routes',
      'kind: Target\nname: db\ndescribedBy: pets.yaml\nspec: { protocol: postgres, host: h, database: d, user: u }\n',
      /^target\.yaml:3:1: describedBy: it describes HTTP targets, and db is another one/,
    ],
  ])('refuses a document that %s', (_, target, message) => {
    let said = '';
    try {
      warnings({ 'target.yaml': target, 'p.cedar': policy('body.x') });
    } catch (error) {
      said = error instanceof Error ? error.message.replaceAll(`${folder}/`, '') : '';
    }
    expect(said).toMatch(message);
  });

  it('is told by a check of the policies too, which fails for it only when it is strict', async () => {
    expect(warnings({ 'p.cedar': policy('body.x') })).toHaveLength(1);
    const { text, value, code } = await askCommand({}, check, folder);
    expect(text).toContain('p.cedar:3:1: warning: policy "one" masks body.x, which no JSON answer of 3 operations has');
    expect(value).toMatchObject({ ok: true, warnings: [{ policy: 'one', position: { line: 3 } }] });
    expect([code, (await askCommand({ strict: true }, check, folder)).code]).toEqual([0, 1]);
    writeFileSync(join(folder, 'target.yaml'), TARGET.replace('kind: Target', 'kind: Tarjet'));
    expect((await askCommand({}, check, folder)).text).toBe('1 policy is fine');
  });

  it('is told of masks that are at the server alone, where nothing of the files is in their place', async () => {
    expect(warnings({})).toEqual([]);
    const { resources } = readDeclared([folder]);
    const standing = (name: string) => ({
      kind: 'Policy',
      name,
      specJson: JSON.stringify({ cedar: policy('body.x') }),
    });
    const at = async (declared: typeof resources) => {
      const unary = async () => ({ resources: [standing('one'), standing('two')] });
      const client = { unary } as unknown as RpcClient; // Nothing else is asked of it.
      const options = { signal: new AbortController().signal, timeoutMs: 1 };
      return (await warnOfStandingMasks(client, declared, options)).map(formatProblem);
    };
    expect(await at(resources)).toEqual([]); // Two of one @id do not go together: that is the server's to say.
    const own = { kind: 'Policy', name: 'two', spec: { cedar: policy('body.y') }, where: 'two.cedar:1:1' } as const;
    expect(await at([...resources, own])).toEqual([
      expect.stringMatching(/^Policy one at the server:3:1: warning: policy "one" masks body\.x, which no JSON answer/),
    ]);
    expect(await at(resources.map(({ describedBy: _, ...one }) => one))).toEqual([]);
  });

  it('is told of a document in the folder that no target names, and not of one that is', () => {
    expect(warnings({})).toEqual([]);
    const unnamed = () => {
      const { documents, resources } = readDeclared([folder]);
      return warnOfUnnamed(documents, resources).map((one) => formatProblem(one).replaceAll(`${folder}/`, ''));
    };
    expect(unnamed()).toEqual([]);
    writeFileSync(join(folder, 'z.yaml'), 'openapi: 3.1.0\npaths: {}\n');
    expect(unnamed()).toEqual([
      expect.stringMatching(
        /^z\.yaml:1:1: warning: this is an OpenAPI document and no resource, and is left out \(.*describedBy/,
      ),
    ]);
  });

  it.each(['kind: Target', 'spec: {}', 'name: x', 'describedBy: x'])('that has %s beside', (line) => {
    expect(() => warnings({ 'x.yaml': `openapi: 3.0.0\n${line}\n` })).toThrow(/x\.yaml/);
  });

  it('that has a kind beside is no document: it is read, and refused', () => {
    expect(() => warnings({ 'x.yaml': 'openapi: 3.0.0\nkind: Target\n' })).toThrow(/x\.yaml/);
  });
});
