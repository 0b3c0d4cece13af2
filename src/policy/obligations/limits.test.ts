import { describe, expect, it } from 'vitest';
import type { LimitUnit } from '../../model/index.ts';
import { checkPolicies, formatProblem, loadPolicies } from '../loading/load.ts';
import { writePermit } from '../recorded/write-permit.ts';
import { composeSchema } from '../schema/compose-schema.ts';
import { noon, select, shopFragment, shopSchema, table, web } from '../testing/shop.ts';
import { leastLimits, limitText, limitWords, parseLimits, writtenLimit } from './limits.ts';

// Goal: a limit is kept as it is written, or refused: none stands in a policy that nobody keeps.

const READ = 'permit(principal, action == Action::"shop:select", resource);';
/** A protocol that keeps them all. */
const everything = composeSchema([
  {
    ...shopFragment,
    actions: {
      ...shopFragment.actions,
      'shop:update': {
        resources: ['Table'],
        context: {},
        limits: {
          ...{ items: 'rows', bytesIn: 'bytesIn', bytesOut: 'bytesOut', duration: 'duration', rate: 'rate' },
          sessions: 'sessions',
        },
      },
    },
  },
]);
const problemsOf = (limit: string, rest: string) =>
  checkPolicies([{ name: 'p', text: `@id("x")\n@limit("${limit}")\n${rest}` }], shopSchema).problems.map(formatProblem);

describe('@limit', () => {
  it('is by unit, and a protocol may have a word of its own for one', () => {
    const text = `@limit("items=100, bytesIn=5, bytesOut=1000000,duration=90s , rate=60/min, sessions=5") permit(principal, action, resource);`;
    const decision = loadPolicies([{ name: 'p', text }], everything).decide(
      select({ action: 'shop:update', context: {} }),
    );
    expect(decision).toMatchObject({
      obligations: {
        limits: { items: 100, bytesIn: 5, bytesOut: 1_000_000, duration: 90_000, rate: 60, sessions: 5 },
      },
    });
    expect(problemsOf('rows=100', READ)).toEqual([]);
  });

  it('of a unit that nobody keeps is refused, with what is kept', () => {
    expect(problemsOf('rows=5, bytesOut=5', READ)).toEqual([
      'p:2:1: error: @limit of "x" can\'t apply: none of the actions that the permit is about honours "bytesOut" (they honour rows; take it away)',
    ]);
    expect(problemsOf('rows=5', 'permit(principal, action == Action::"shop:update", resource);')).toEqual([
      expect.stringMatching(/honours "rows" \(take it away; limits are kept by other actions: rows\)$/),
    ]);
    // The action that honours it is about no such resource.
    expect(problemsOf('rows=5', 'permit(principal, action, resource is Shop::Database);')).toHaveLength(1);
    expect(problemsOf('rows=5', 'permit(principal, action, resource);')).toEqual([]);
  });

  it.each([
    ['rows=5,items=6', /limits items twice/],
    ['rows=5s', /rows is written as in rows=1000/],
    ['rows=5/min', /rows is written as in rows=1000/],
  ])('refuses %s', (limit, message) => {
    expect(problemsOf(limit, READ)).toEqual([expect.stringMatching(message)]);
  });

  it('of several permits is the least of each unit', () => {
    expect(
      leastLimits([
        [
          { unit: 'items', most: 5 },
          { unit: 'rate', most: 1 },
        ],
        [{ unit: 'items', most: 3 }],
        [],
      ]),
    ).toEqual({ items: 3, rate: 1 });
  });

  it('goes along to a new permit of actions that keep it, and to no other', () => {
    const set = loadPolicies(
      [{ name: 'p', text: '@limit("rows=7") permit(principal, action, resource);' }],
      shopSchema,
    );
    const resource = { op: 'equals', type: 'Shop::Table', id: 'shop/app/public/users' } as const;
    const demands = (action: string) => set.demandsOn({ actions: [action], resource, timeMs: noon });
    const text = writePermit({
      ...{ id: 'new', demands: demands('shop:select'), principal: web, actions: ['shop:select'], resource },
    });
    expect(text).toContain('@limit("rows=7")');
    expect(loadPolicies([{ name: 'p', text }], shopSchema).decide(select({ resource: table('users') }))).toMatchObject({
      obligations: { limits: { items: 7 } },
    });
    expect(demands('shop:update')).toMatchObject({ limits: [], policies: [] });
  });
});

it('a limit in writing is read as what it was', () => {
  const words = limitWords(everything, ['shop:update']);
  for (const text of ['rows=1', 'duration=30s', 'duration=1500ms', 'duration=2h', 'rate=60/min', 'sessions=5']) {
    const [{ word, most } = { word: '', most: 0 }] = parseLimits(text);
    expect(writtenLimit({ unit: words.get(word) ?? 'items', word, most })).toBe(text);
  }
  const texts = (['items', 'bytesIn', 'bytesOut', 'duration', 'rate', 'sessions'] satisfies LimitUnit[]).map((unit) =>
    limitText({ unit, word: unit === 'items' ? 'rows' : unit, most: 60_000 }),
  );
  expect(texts).toEqual([
    ...['at most 60000 rows', 'at most 60000 bytes in', 'at most 60000 bytes out', 'at most 1m each'],
    ...['at most 60000 a minute', 'at most 60000 sessions'],
  ]);
});
