import { describe, expect, it } from 'vitest';
import { errorTable, PolicyError, type PolicyErrorCode } from '../errors.ts';
import { composeSchema } from '../schema/compose-schema.ts';
import { select, shopFragment, shopSchema } from '../testing/shop.ts';
import { callCedar } from './cedar.ts';
import { checkPolicies, createPolicyLoader, formatProblem, loadPolicies } from './load.ts';

// Goal: whoever writes a policy learns at load, with line and column, everything that is wrong with it; what loads is what was written.

describe('a policy that is wrong is refused with its place and a hint', () => {
  it.each<[string, string, PolicyErrorCode, RegExp]>([
    [
      'a word that is no condition',
      'permit(principal, action, resource)\n  wehn { true };',
      'ERR_POLICY_SYNTAX',
      /^p:2:3: .*invalid policy condition: wehn \(condition must be/,
    ],
    ['a missing semicolon', 'permit(principal, action, resource)', 'ERR_POLICY_SYNTAX', /^p:1:\d+: /],
    ['two semicolons', 'permit(principal, action, resource);;', 'ERR_POLICY_SYNTAX', /^p:1:37: /],
    [
      'one annotation twice',
      '@id("a") @id("b") permit(principal, action, resource);',
      'ERR_POLICY_SYNTAX',
      /duplicate annotation/,
    ],
    [
      'a word after characters of several bytes',
      '// é€\npermit(principal, action, resource) when { "é€😀" == wehn };',
      'ERR_POLICY_SYNTAX',
      /^p:2:54: .*invalid variable: wehn/,
    ],
    ['a template', 'permit(principal == ?principal, action, resource);', 'ERR_POLICY_TEMPLATE', /^p:1:21: .*template/],
    [
      'a misspelt attribute',
      'permit(principal, action == Action::"shop:select", resource) when { context.colums.isEmpty() };',
      'ERR_POLICY_INVALID',
      /^p:1:69: .*`colums`.*did you mean `columns`\?/,
    ],
    [
      'an unknown action',
      'permit(principal, action == Action::"shop:selct", resource);',
      'ERR_POLICY_INVALID',
      /did you mean `Action::"shop:select"`\?/,
    ],
    [
      'an optional attribute read without has',
      'permit(principal, action == Action::"shop:select", resource) when { context.note == "a" };',
      'ERR_POLICY_INVALID',
      /note/,
    ],
    [
      'a wrong type',
      'permit(principal, action == Action::"shop:select", resource) when { context.count };',
      'ERR_POLICY_INVALID',
      /expected Bool/,
    ],
    [
      'an address that is none',
      'permit(principal, action == Action::"shop:select", resource) when { context.address == ip("10.0.0.300") };',
      'ERR_POLICY_INVALID',
      /^p:1:/,
    ],
    [
      'an unknown annotation',
      '@approve("sre")\npermit(principal, action, resource);',
      'ERR_POLICY_ANNOTATION',
      /^p:1:1: .*@approve is unknown; there are @id/,
    ],
    [
      'an obligation on a forbid',
      'forbid(principal, action, resource);\n@limit("rows=1") forbid(principal, action, resource);',
      'ERR_POLICY_ANNOTATION',
      /^p:2:1: .*@limit on a forbid/,
    ],
    ['an empty id', '@id("") permit(principal, action, resource);', 'ERR_POLICY_ANNOTATION', /@id needs a value/],
    ['an id without a value', '@id permit(principal, action, resource);', 'ERR_POLICY_ANNOTATION', /@id needs a value/],
    [
      'an id that is taken',
      '@id("a") permit(principal, action, resource);\n@id("a") forbid(principal, action, resource);',
      'ERR_POLICY_DUPLICATE_ID',
      /^p:2:1: .*"a" is taken by the policy at p:1/,
    ],
    [
      'an id that another policy has by its place',
      'permit(principal, action, resource);\n@id("p#1") forbid(principal, action, resource);',
      'ERR_POLICY_DUPLICATE_ID',
      /"p#1"/,
    ],
    [
      'an integer that JSON would round',
      'permit(principal, action == Action::"shop:select", resource) when { context.count == 9007199254740993 };',
      'ERR_POLICY_UNSUPPORTED',
      /an integer beyond ±9007199254740991/,
    ],
    [
      'an integer beyond 64 bits',
      'permit(principal, action == Action::"shop:select", resource) when { context.count == 9223372036854775808 };',
      'ERR_POLICY_SYNTAX',
      /^p:1:/,
    ],
    [
      'brackets nested too deep',
      `permit(principal, action, resource) when { ${'('.repeat(40)}true${')'.repeat(40)} };`,
      'ERR_POLICY_LIMIT',
      /nest at most 32/,
    ],
    [
      'too many operators',
      `permit(principal, action, resource) when { ${Array(300).fill('true').join('&&')} };`,
      'ERR_POLICY_LIMIT',
      /at most 256 operators/,
    ],
    [
      'too many dots',
      `permit(principal, action, resource) when { context${'.a'.repeat(600)} };`,
      'ERR_POLICY_LIMIT',
      /at most 512/,
    ],
    ['a text that is too large', `// ${'x'.repeat(1 << 20)}\n`, 'ERR_POLICY_LIMIT', /1048576 bytes/],
  ])('%s', (_, text, code, message) => {
    const error = failureOf(() => loadPolicies([{ name: 'p', text }], shopSchema));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.problems.length).toBeGreaterThan(0);
  });

  it('all of them are reported at once, in the order of sources and lines', () => {
    const { problems, compiled } = checkPolicies(
      [
        { name: 'b', text: 'permit(principal, action, resource) when { 1 };\npermit(nobody, action, resource);' },
        { name: 'a', text: '@mask("ssn") permit(principal, action, resource);' },
      ],
      shopSchema,
    );
    expect(compiled).toBeUndefined();
    expect(problems.map(({ position, code }) => `${position.source}:${position.line} ${code}`)).toEqual([
      'b:1 ERR_POLICY_INVALID',
      'b:2 ERR_POLICY_SYNTAX',
      'a:1 ERR_POLICY_ANNOTATION',
    ]);
    const error = failureOf(() =>
      loadPolicies([{ name: 'b', text: 'permit(x, action, resource); permit(y, action, resource);' }], shopSchema),
    );
    expect(error.message).toMatch(/\(and 1 more\)$/);
  });

  it('two sources of one name are refused', () => {
    const text = 'permit(principal, action, resource);';
    const error = failureOf(() =>
      loadPolicies(
        [
          { name: 'p', text: `@id("a") ${text}` },
          { name: 'p', text: `@id("b") ${text}` },
        ],
        shopSchema,
      ),
    );
    expect(error.code).toBe('ERR_POLICY_DUPLICATE_ID');
  });

  it('more than 20,000 policies are refused', () => {
    const text = 'permit(principal, action, resource);'.repeat(20_001);
    const error = failureOf(() => loadPolicies([{ name: 'p', text }], shopSchema));
    expect(error.message).toMatch(/^p:1:720001: .*at most 20000 policies/);
  });
});

describe('what can be true of no request is a warning', () => {
  it('a condition that contradicts the types', () => {
    const { problems, compiled } = checkPolicies(
      [
        {
          name: 'p',
          text: 'permit(principal is Identity, action == Action::"shop:select", resource)\nwhen { resource is Target };',
        },
      ],
      shopSchema,
    );
    expect(compiled).toBeDefined();
    const [warning] = problems;
    expect(warning === undefined ? '' : formatProblem(warning)).toMatch(/^p:1:1: warning: policy is impossible/);
    expect(warning?.policy).toBe('p#1');
  });
});

describe('what loads is what was written', () => {
  it('ids come from @id, else from source and place; positions and texts leave comments out', () => {
    const text =
      '// about; this\n\n  permit(principal, action, resource);\n@id("named") @description("why") forbid(principal, action, resource) when { "a;b" == "// c" };';
    const { policies } = loadPolicies([{ name: 'p.cedar', text }], shopSchema);
    expect(policies).toEqual([
      {
        id: 'named',
        effect: 'forbid',
        position: { source: 'p.cedar', line: 4, column: 1 },
        description: 'why',
        text: '@id("named") @description("why") forbid(principal, action, resource) when { "a;b" == "// c" };',
      },
      {
        id: 'p.cedar#1',
        effect: 'permit',
        position: { source: 'p.cedar', line: 3, column: 3 },
        description: undefined,
        text: 'permit(principal, action, resource);',
      },
    ]);
  });

  it('no text and no source load to a set that denies all', () => {
    for (const sources of [[], [{ name: 'p', text: ' // nothing\n' }]])
      expect(loadPolicies(sources, shopSchema).decide(select())).toEqual({
        allow: false,
        reason: 'no-permit',
        policies: [],
      });
  });

  it('the digest changes with a text, a name and the schema, and with nothing else', () => {
    const sources = [{ name: 'p', text: 'permit(principal, action, resource);' }];
    const { digest } = loadPolicies(sources, shopSchema);
    expect(loadPolicies(sources, shopSchema).digest).toBe(digest);
    expect(loadPolicies([{ name: 'q', text: sources[0]?.text ?? '' }], shopSchema).digest).not.toBe(digest);
    expect(loadPolicies(sources, composeSchema([{ ...shopFragment, groups: {} }])).digest).not.toBe(digest);
  });

  it('the heaviest policies that the limits let through load, and Cedar still works after them', () => {
    const heavy = [
      `${'('.repeat(31)}true${')'.repeat(31)}`,
      `${'!!!!('.repeat(31)}true${')'.repeat(31)}`,
      Array(255).fill('true').join(' && '),
      `${'if true then true else '.repeat(255)}true`,
      `${Array(250).fill('context.count').join(' + ')} == 1`,
      `context${'.shape'.repeat(500)} == 1`,
      `${'[if true then true else ('.repeat(15)}1${')].isEmpty()'.repeat(15)}`,
      `${'{"a": if true then '.repeat(31)}1${' else 2}'.repeat(31)} == 1`,
      Array(125).fill('true } when { !false').join(''),
      `[${Array(20_000).fill('"element"').join(', ')}].contains("b")`,
    ];
    const { problems } = checkPolicies(
      heavy.map((body, index) => ({
        name: `h${index}`,
        text: `permit(principal, action == Action::"shop:select", resource) when { ${body} };`,
      })),
      shopSchema,
    );
    expect(problems.filter(({ code }) => code === 'ERR_POLICY_LIMIT' || code === 'ERR_POLICY_PARSER')).toEqual([]);
    expect(
      loadPolicies([{ name: 'p', text: 'permit(principal, action, resource);' }], shopSchema).decide(select()).allow,
    ).toBe(true);
  });
});

describe('a loader', () => {
  it('gives the same set and the same problems as a fresh one, at the places of the new text', () => {
    const loader = createPolicyLoader(shopSchema);
    const good = 'permit(principal, action == Action::"shop:select", resource);';
    const bad = 'permit(principal, action == Action::"shop:select", resource) when { context.colums };';
    loader.check([{ name: 'p', text: `${good}\n${bad}` }]);
    const moved = [{ name: 'q', text: `\n\n  ${bad}\n${good}` }];
    expect(loader.check(moved).problems).toEqual(checkPolicies(moved, shopSchema).problems);
    expect(loader.check(moved).problems[0]?.position).toEqual({ source: 'q', line: 3, column: 71 });
    const fixed = [{ name: 'q', text: good }];
    expect(loader.load(fixed).digest).toBe(loadPolicies(fixed, shopSchema).digest);
    expect(loader.load(fixed).decide(select())).toEqual({ allow: true, policies: ['q#1'], obligations: NONE });
  });
});

describe('errors', () => {
  it("of Cedar's compiled code itself are one code, so that nothing half-read is used", () => {
    const trap = () => {
      throw new RangeError('memory access out of bounds');
    };
    expect(failureOf(() => callCedar(trap)).code).toBe('ERR_POLICY_PARSER');
  });

  it('of schema fragments that do not fit together say which', () => {
    const broken: [Parameters<typeof composeSchema>[0], RegExp][] = [
      [[shopFragment, shopFragment], /namespace "Shop"/],
      [[shopFragment, { ...shopFragment, namespace: 'Two' }], /the action "shop:connect"/],
      [[{ ...shopFragment, groups: { 'shop:all': ['shop:delete'] } }], /shop:delete/],
      [[{ ...shopFragment, entityTypes: { Row: { memberOf: ['Sheet'], attributes: {} } } }], /Sheet/],
      [
        [
          {
            ...shopFragment,
            actions: { 'shop:x': { resources: ['Nowhere::Table'], context: {} } },
            groups: {},
            session: 'shop:x',
          },
        ],
        /Nowhere::Table/,
      ],
      [[{ ...shopFragment, session: 'shop:open' }], /shop:open/],
    ];
    for (const [fragments, message] of broken) {
      const error = failureOf(() =>
        loadPolicies([{ name: 'p', text: 'permit(principal, action, resource);' }], composeSchema(fragments)),
      );
      expect(error.code).toBe('ERR_POLICY_SCHEMA');
      expect(error.message).toMatch(message);
    }
  });

  it('have an entry that tells the operator what to do', () => {
    for (const [code, entry] of Object.entries(errorTable)) {
      expect(code).toMatch(/^ERR_POLICY_[A-Z_]+$/);
      expect(entry.remedy).toMatch(/\.$/);
    }
  });
});

const NONE = { masks: [], limits: {}, record: 'digest' };

function failureOf(run: () => unknown): PolicyError {
  try {
    run();
  } catch (error) {
    if (error instanceof PolicyError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
