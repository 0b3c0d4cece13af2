// Goal: verdicts are kept for exactly as long as nothing that they rest on has changed.

import { beforeAll, describe, expect, it } from 'vitest';
import { noObligations } from '../../../../../model/index.ts';
import { createCacheBudget } from '../../../../../std/index.ts';
import {
  applySessionEffects,
  createPlanner,
  type Decider,
  loadParser,
  type MaskPlan,
  maskColumns,
  noSessionFacts,
} from '../index.ts';
import { buildCatalog, catalogItems } from '../testing/catalog-rows.ts';
import { fingerprintOf } from '../text/fingerprint.ts';
import { parseText } from '../text/parse.ts';
import { createVerdictCache, keyLengthMax } from './cache.ts';
import { unasked } from './judge.ts';

beforeAll(loadParser);

describe('the planner asks policy again', () => {
  const create = () => {
    let asked = 0;
    const planner = createPlanner({ target: 't', database: 'd', caches: createCacheBudget(1 << 20) });
    const decider = (version: number, principalKey: string): Decider => ({
      version,
      policySet: undefined,
      principalKey,
      decide: () => {
        asked += 1;
        return {
          allow: true,
          policies: ['p'],
          obligations: noObligations,
        };
      },
      potentialMasks: () => [],
    });
    const plan = (sql: string, { version = 1, principal = 'a', catalog = 1, session = noSessionFacts } = {}) => {
      const before = asked;
      planner.plan({
        sql,
        mode: 'simple',
        catalog: buildCatalog(catalogItems(), catalog),
        decider: decider(version, principal),
        session,
      });
      return asked - before;
    };
    return plan;
  };

  it('not for the same text', () => {
    const plan = create();
    expect([plan('select id from orders'), plan('select id from orders')]).toEqual([1, 0]);
  });
  it('for another principal, policy version, snapshot, path or text', () => {
    const plan = create();
    plan('select id from orders');
    expect(plan('select id from orders', { principal: 'b' })).toBe(1);
    expect(plan('select id from orders', { version: 2 })).toBe(1);
    expect(plan('select id from orders', { catalog: 2 })).toBe(1);
    expect(plan('select id from orders ')).toBe(1);
    expect(plan('select id from public.orders', { session: { ...noSessionFacts, searchPath: [] } })).toBe(1);
  });
  it('for what rests on the names of one session', () => {
    const plan = create();
    const session = applySessionEffects(noSessionFacts, [
      { kind: 'create', relation: { schema: 'pg_temp', name: 't', columns: ['a'] } },
    ]);
    expect([plan('select a from t', { session }), plan('select a from t', { session })]).toEqual([1, 1]);
    expect([plan('prepare p as select id from orders'), plan('prepare p as select id from orders')]).toEqual([1, 1]);
  });
});

describe('a text with the marks of a shape in it', () => {
  it('neither finds the verdict of that shape nor leaves its own there', () => {
    const planner = createPlanner({ target: 't', database: 'd', caches: createCacheBudget(1 << 20) });
    const decider: Decider = {
      version: 1,
      policySet: undefined,
      principalKey: 'a',
      decide: () => ({
        allow: true,
        policies: [],
        obligations: noObligations,
      }),
      potentialMasks: () => [],
    };
    const catalog = buildCatalog(catalogItems(), 1);
    const verdictOf = (sql: string) =>
      planner.plan({ sql, mode: 'simple', catalog, decider, session: noSessionFacts }).verdict;
    const marked = (mark: string) => `select note from orders where id = ${mark}`;
    expect(verdictOf(marked('\u0001'))).toBe('refuse');
    expect([marked('1'), marked('2')].map(verdictOf)).toEqual(['forward', 'forward']);
    expect(verdictOf(marked('\u0001'))).toBe('refuse');
    expect(verdictOf(marked("'x'"))).toBe('forward');
    expect(verdictOf(marked('\u0002'))).toBe('refuse');
  });
});

describe('the cache', () => {
  const plan = { verdict: 'forward', statements: [], prepared: undefined } as const;
  it('lets go of what was used longest ago', () => {
    const budget = createCacheBudget(40_000);
    const cache = createVerdictCache(budget.open('verdicts'));
    for (let i = 0; i < 200; i++) {
      cache.keep(`text ${i}`, plan);
      cache.take('text 0');
    }
    expect([cache.take('text 0'), cache.take('text 1'), cache.take('text 199')]).toEqual([plan, undefined, plan]);
    expect(budget.bytes).toBeLessThanOrEqual(40_000);
  });
  it('weighs a verdict by what it holds', () => {
    const budget = createCacheBudget(1 << 20);
    const cache = createVerdictCache(budget.open('verdicts'));
    const touches = Array.from({ length: 100 }, (_, i) => ({ action: 'postgres:select', resource: `t/d/public/${i}` }));
    cache.keep('small', plan);
    const small = budget.bytes;
    const refused = {
      verdict: 'refuse',
      sqlstate: '42501',
      reason: 'policy-denied',
      message: '',
      policies: [],
    } as const;
    cache.keep('large', { ...refused, statements: [{ kind: 'select', fingerprint: '', touches, judged: unasked }] });
    expect(budget.bytes - small).toBeGreaterThan(JSON.stringify(touches).length);
  });
  it('keeps no huge text', () => {
    const cache = createVerdictCache(createCacheBudget(1 << 20).open('verdicts'));
    cache.keep('x'.repeat(keyLengthMax + 1), plan);
    expect(cache.take('x'.repeat(keyLengthMax + 1))).toBeUndefined();
  });
});

describe('fingerprints', () => {
  const of = (sql: string) => {
    const [node] = parseText(sql);
    return node === undefined ? '' : fingerprintOf(node);
  };
  it.each([
    ['select 1', 'SELECT /* x */  2'],
    ["select * from t where a = 'x'", 'select * from t where a = $1'],
    ['select * from t where a in (1, 2)', 'select * from t where a in (1, 2, 3, 4)'],
    ['insert into t values (1, 2)', "insert into t values (3, 'x'), (4, 'y')"],
    ["alter role r password 'weak'", "alter role r password 'other'"],
  ])('%s and %s are one shape', (a, b) => {
    expect(of(a)).toBe(of(b));
  });
  it.each([
    ['select a from t', 'select b from t'],
    ['select a from t', 'select a from u'],
    ['select * from t where a = 1', 'select * from t where a > 1'],
    ['delete from t', 'delete from t where a = 1'],
  ])('%s and %s are two', (a, b) => {
    expect(of(a)).not.toBe(of(b));
  });
});

describe('answer columns', () => {
  const masks: MaskPlan = {
    byAttribute: new Map([['20001:3', 'redact']] as const),
    relations: new Map([
      [20_001, 3],
      [20_002, 2],
    ]),
    cleanRest: false,
    columnsMasked: 1,
  };
  const columns = (...of: readonly (readonly [number, number])[]) =>
    of.map(([tableOid, attributeNumber]) => ({ tableOid, attributeNumber }));
  it('are masked by origin', () => {
    expect(maskColumns(masks, columns([20_001, 1], [20_001, 3], [0, 0], [1259, 1]))).toEqual([
      undefined,
      'redact',
      undefined,
      undefined,
    ]);
  });
  it.each([
    ['fewer masked ones than the statement names', columns([20_001, 1], [0, 0])],
    ['more of them', columns([20_001, 3], [20_001, 3])],
    ['a table that the statement does not name', columns([20_001, 3], [20_009, 1])],
    ['a column newer than the snapshot', columns([20_001, 3], [20_001, 4])],
    ['a whole row', columns([20_001, 3], [20_001, 0])],
  ])('%s: nothing is let through', (_, of) => {
    expect(maskColumns(masks, of)).toBe('unproven');
  });
  it('of tables made in the session are clean', () => {
    expect(maskColumns({ ...masks, cleanRest: true }, columns([20_001, 3], [20_009, 1]))).toEqual([
      'redact',
      undefined,
    ]);
  });
});
