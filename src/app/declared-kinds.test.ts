import { describe, expect, it } from 'vitest';
import { createPolicyLoader } from '../policy/index.ts';
import type { Problem, Resource } from '../resources/index.ts';
import { togetherProblems } from '../resources/planning/plan.ts';
import { withoutEntries } from '../resources/testing/kind-examples.ts';
import { openDeclaredKinds } from './declared-kinds.ts';
import { policySchema } from './policy-schema.ts';

// Goal: what the server takes, alone and together, every gateway can use; what it refuses names the resources that are in each other's way.

const permit = (id: string) => `@id("${id}")\npermit(principal, action, resource);`;
const policy = (name: string, cedar: string): Resource => ({ kind: 'Policy', name, spec: { cedar } });
const target = (name: string, listen?: object): Resource => ({
  ...{ kind: 'Target', name },
  spec: { protocol: 'postgres', host: 'db', database: 'shop', user: 'app', ...(listen && { listen }) },
});

describe('a declared resource', () => {
  const { kinds } = openDeclaredKinds(withoutEntries);
  it.each([
    ['a policy that is a text', 'Policy', { cedar: '' }, []],
    ['a policy without text', 'Policy', {}, ['a policy has one field, cedar, its text']],
    ['a policy with more', 'Policy', { cedar: '', more: 1 }, ['a policy has one field, cedar, its text']],
    ['a policy that is none', 'Policy', null, ['a policy has one field, cedar, its text']],
    ['a target', 'Target', target('t').spec, []],
    ['a target of no protocol', 'Target', {}, ['protocol must be one of http, postgres']],
    ['a target of an unknown protocol', 'Target', { protocol: 'gopher' }, ['protocol must be one of http, postgres']],
    [
      'a config that the protocol refuses',
      'Target',
      { protocol: 'postgres', host: 'db', database: 'd', user: 'u', key: 'env:K' },
      ['certificate and key belong together; only one of them is set'],
    ],
  ] as const)('is looked at alone: %s', (_, kind, spec, problems) => {
    expect(kinds.find(({ name }) => name === kind)?.checkAlone(spec)).toEqual(problems);
  });
});

/** Checks resources of one kind together. */
function createTogether(): (kind: string, own: readonly Resource[]) => readonly Problem[] {
  const { kinds } = openDeclaredKinds(withoutEntries);
  return (kind, own) =>
    togetherProblems(
      own,
      kinds.filter(({ name }) => name === kind),
    );
}

describe('policies together', () => {
  const found = (...policies: Resource[]) => createTogether()('Policy', policies);

  it.each<[string, Resource[], { name: string; message: RegExp }]>([
    [
      'an id that another has',
      [policy('a', permit('x')), policy('b', permit('x'))],
      { name: 'b', message: /^b:1:1: error: the id "x" is taken by the policy at a:1$/ },
    ],
    [
      'an id that is the place of another',
      [policy('a', 'permit(principal, action, resource);'), policy('b', permit('a#1'))],
      { name: 'b', message: /the id "a#1" is taken by the policy at a:1/ },
    ],
    ['a text that is not Cedar', [policy('a', 'permit(')], { name: 'a', message: /^a:1:8: error: / }],
    [
      'a name that the schema has not',
      [policy('a', 'permit(principal, action == Action::"postgres:slect", resource);')],
      { name: 'a', message: /did you mean/ },
    ],
    ['an annotation that is none', [policy('a', `@mask("x") ${permit('a')}`)], { name: 'a', message: /@mask/ }],
    [
      'a mask that can not apply',
      [policy('a', '@mask("ssn:redact") permit(principal, action == Action::"postgres:connect", resource);')],
      { name: 'a', message: /^a:1:1: error: @mask of "a#1" can't apply: .* no fields to mask \(take the mask away/ },
    ],
    [
      'a limit that nobody keeps',
      [policy('a', '@limit("rows=5, sessions=5") permit(principal, action == Action::"postgres:select", resource);')],
      { name: 'a', message: /^a:1:1: error: @limit of "a#1" can't apply: .*"sessions" \(they honour rows, .*; take/ },
    ],
    [
      'a template',
      [policy('a', 'permit(principal == ?principal, action, resource);')],
      { name: 'a', message: /template/ },
    ],
    [
      'brackets too deep',
      [policy('a', `permit(principal, action, resource) when { ${'('.repeat(33)}true${')'.repeat(33)} };`)],
      { name: 'a', message: /nest at most/ },
    ],
    [
      'more policies than a set may have',
      [policy('a', 'permit(principal, action, resource);\n'.repeat(20_001))],
      { name: 'a', message: /at most 20000 policies/ },
    ],
  ])('are refused for %s', (_, policies, { name, message }) => {
    expect(found(...policies)).toEqual([{ kind: 'Policy', name, message: expect.stringMatching(message) }]);
  });

  it('are taken as soon as the loader of a gateway takes them, whatever was refused before', () => {
    const together = createTogether();
    const sets = [
      [policy('a', permit('x')), policy('b', permit('y'))],
      [policy('a', permit('x')), policy('b', permit('x'))],
      [policy('b', permit('x'))],
      [],
      [policy('a', ''), policy('b', '// nothing')],
    ];
    for (const set of sets) {
      const sources = set.map(({ name, spec }) => ({ name, text: `${Object(spec).cedar}` }));
      const gateway = createPolicyLoader(policySchema).check(sources);
      expect(together('Policy', set).length === 0).toBe(gateway.compiled !== undefined);
    }
  });

  it('are not refused for a warning', () => {
    expect(found(policy('a', 'permit(principal, action, resource) when { false };'))).toEqual([]);
  });
});

describe('targets together', () => {
  const together = createTogether();
  const found = (...doors: (object | undefined)[]) =>
    together(
      'Target',
      doors.map((door, index) => target(`t${index}`, door)),
    );

  it.each<[string, [object | undefined, object | undefined]]>([
    ['no doors', [undefined, undefined]],
    ['two ports', [{ port: 6432 }, { port: 6433 }]],
    ['ports that the system chooses', [{ port: 0 }, { port: 0 }]],
    [
      'two addresses',
      [
        { host: '10.0.0.1', port: 6432 },
        { host: '10.0.0.2', port: 6432 },
      ],
    ],
    [
      'one of each family',
      [
        { host: '0.0.0.0', port: 6432 },
        { host: '::1', port: 6432 },
      ],
    ],
    ['a name that may be any address', [{ host: 'localhost', port: 6432 }, { port: 6432 }]],
  ])('may have %s', (_, doors) => {
    expect(found(...doors)).toEqual([]);
  });

  it.each<[string, [object, object], string]>([
    [
      'as it is by default',
      [{ port: 6432 }, { port: 6432 }],
      '0.0.0.0 is taken by Target/t0, which listens on 0.0.0.0',
    ],
    [
      'of all addresses and of one',
      [{ port: 6432 }, { host: '127.0.0.1', port: 6432 }],
      '127.0.0.1 is taken by Target/t0, which listens on 0.0.0.0',
    ],
    [
      'of one address and of all',
      [{ host: '127.0.0.1', port: 6432 }, { port: 6432 }],
      '0.0.0.0 is taken by Target/t0, which listens on 127.0.0.1',
    ],
    [
      'of all of both families',
      [
        { host: '10.0.0.1', port: 6432 },
        { host: '::', port: 6432 },
      ],
      ':: is taken by Target/t0, which listens on 10.0.0.1',
    ],
    [
      'by one name',
      [
        { host: 'GW.example', port: 6432 },
        { host: 'gw.example', port: 6432 },
      ],
      'gw.example is taken by Target/t0, which listens on gw.example',
    ],
  ])('may not have one door: %s', (_, doors, message) => {
    expect(found(...doors)).toEqual([{ kind: 'Target', name: 't1', message: `listen: port 6432 of ${message}` }]);
  });

  const http = (name: string, hosts: readonly string[] | undefined, host = '0.0.0.0'): Resource => ({
    ...target(name),
    spec: { protocol: 'http', url: 'http://api', ...(hosts && { hosts }), listen: { host, port: 6432 } },
  });

  it.each<[string, string | undefined, string | undefined, number]>([
    ['of their own names', undefined, undefined, 0],
    ['of which one is its own', 'https://a.test', undefined, 0],
    ['that are one', 'https://a.test', 'https://a.test', 1],
    ['of which one is the other’s name', 'countersign:b', undefined, 1],
  ])('may take tokens for audiences %s, or may not', (_, a, b, problems) => {
    const taking = (name: string, audience: string | undefined, tokens = true): Resource => ({
      ...target(name),
      spec: { protocol: 'http', url: 'http://api', listen: { port: 0, tokens, ...(audience && { audience }) } },
    });
    const found = together('Target', [taking('a', a), taking('b', b), taking('c', undefined, false)]);
    expect(found.map(({ name }) => name)).toEqual(Array(problems).fill('b'));
    for (const { message } of found) expect(message).toContain('are those of Target/a; a token is for one target');
  });

  it('of HTTP may have one door where each lists hosts of its own', () => {
    const all = [http('a', ['a.test']), http('b', ['b.test', 'bb.test']), http('c', ['c.test'])];
    expect(together('Target', all)).toEqual([]);
  });

  it.each<[string, Resource[], string]>([
    [
      'with a host of both',
      [http('a', ['a.test', 'x.test']), http('b', ['b.test']), http('c', ['c.test', 'x.test'])],
      'taken by Target/a, which listens on 0.0.0.0; both list the host x.test, and may share it where none is of both',
    ],
    [
      'with one that lists none',
      [http('a', undefined), http('b', ['b.test'])],
      'taken by Target/a, which listens on 0.0.0.0; two of them may share it where each lists its hosts',
    ],
    [
      'in two places of one port',
      [http('a', ['a.test']), http('b', ['b.test'], '127.0.0.1')],
      'taken by Target/a, which listens on 0.0.0.0',
    ],
    [
      'with another protocol',
      [target('a', { port: 6432 }), http('b', ['b.test'])],
      'taken by Target/a, which listens on 0.0.0.0',
    ],
  ])('of HTTP may not have one door %s', (_, targets, message) => {
    const problems = together('Target', targets);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.name).toBe(targets.at(-1)?.name);
    expect(problems[0]?.message.endsWith(message), problems[0]?.message).toBe(true);
  });
});
