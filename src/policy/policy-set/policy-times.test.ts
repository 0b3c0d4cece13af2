import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadPolicies } from '../loading/load.ts';
import { select, shopSchema } from '../testing/shop.ts';

// Goal: whoever keeps answers knows until when they stand.

describe('the next change', () => {
  it('is never, of policies that do not look at the time', () => {
    const set = load('permit(principal, action, resource) when { principal.path == "time" };');
    expect(set.nextChange(at('2026-11-22T12:00:00Z'))).toBeUndefined();
    expect(load('permit(principal, action, resource) when { context has time };').nextChange(0)).toBeUndefined();
  });

  it.each([
    ['@expires("2026-12-31T00:00:00Z") permit(principal, action, resource);', '2026-12-31T00:00:00Z'],
    ['permit(principal, action, resource) when { context.time < datetime("2026-12-24") };', '2026-12-24T00:00:00Z'],
    ['permit(principal, action, resource) when { datetime("2026-12-24") <= context.time };', '2026-12-24T00:00:00Z'],
    ['permit(principal, action, resource) when { context.time.toTime() > duration("18h") };', '2026-11-22T18:00:00Z'],
    ['permit(principal, action, resource) when { context.time.toTime() < duration("8h") };', '2026-11-23T00:00:00Z'],
    [
      'permit(principal, action, resource) when { context.time.toDate() == datetime("2026-12-24") };',
      '2026-12-24T00:00:00Z',
    ],
    [
      'permit(principal, action, resource) when { context.time.durationSince(datetime("2026-01-01")).toDays() > 7 };',
      '2026-11-22T12:00:01Z',
    ],
    ['permit(principal, action, resource) when { context == context };', '2026-11-22T12:00:01Z'],
  ])('after noon of a day in November is, of %s, %s', (text, next) => {
    const compiled = load(text);
    expect(compiled.nextChange(at('2026-11-22T12:00:00Z'))).toBe(at(next));
  });

  it('is infinitely far once all of them are past', () => {
    const set = load('@expires("2026-12-31T00:00:00Z") permit(principal, action, resource);');
    expect(set.nextChange(at('2026-12-31T00:00:00Z'))).toBe(Number.POSITIVE_INFINITY);
  });

  it('is never later than a change of any answer', async () => {
    const moment = fc.integer({ min: at('2026-11-20T00:00:00Z'), max: at('2026-11-26T00:00:00Z') });
    const text = moment.map((ms) => new Date(ms).toISOString());
    const condition = fc.oneof(
      fc.tuple(operator(), text).map(([op, time]) => `context.time ${op} datetime("${time}")`),
      fc.tuple(operator(), text).map(([op, time]) => `datetime("${time}") ${op} context.time`),
      fc.tuple(operator(), text).map(([op, time]) => `context.time.toDate() ${op} datetime("${time.slice(0, 10)}")`),
      fc.tuple(operator(), text).map(([op, time]) => `context.time.toDate() ${op} datetime("${time}")`),
      fc
        .tuple(operator(), fc.integer({ min: -1000, max: 90_000_000 }))
        .map(([op, ms]) => `context.time.toTime() ${op} duration("${ms}ms")`),
      fc.constant('context.time.durationSince(datetime("2026-11-20")).toHours() < 30'),
    );
    const policy = fc.tuple(fc.option(text), fc.array(condition, { maxLength: 2 })).map(([expires, all]) => {
      const annotation = expires === null ? '' : `@expires("${expires.slice(0, 19)}Z") `;
      return `${annotation}permit(principal, action, resource) ${all.map((one) => `when { ${one} }`).join(' ')};`;
    });
    await fc.assert(
      fc.property(policy, moment, fc.integer({ min: 0, max: 2 * 86_400_000 }), (one, startMs, laterMs) => {
        const set = load(one);
        const untilMs = set.nextChange(startMs) ?? Number.POSITIVE_INFINITY;
        const last = Math.min(startMs + laterMs, untilMs - 1);
        const allows = (timeMs: number) => set.decide(select({ timeMs })).allow;
        for (const ms of [last, Math.floor((startMs + last) / 2)]) expect(allows(ms), one).toBe(allows(startMs));
      }),
      { numRuns: 300 },
    );
  });
});

describe('a permit that expires', () => {
  const set = load(
    '@id("hour") @mask("ssn:redact") @expires("2026-11-22T13:00:00Z") permit(principal, action, resource);',
  );

  it('applies until that moment, and not at it', () => {
    expect(set.decide(select({ timeMs: at('2026-11-22T12:59:59.999Z') }))).toMatchObject({ allow: true });
    expect(set.decide(select({ timeMs: at('2026-11-22T13:00:00Z') }))).toEqual({
      allow: false,
      reason: 'no-permit',
      policies: [],
    });
  });

  it('does not apply to who does not say when', () => {
    expect(set.decide(select({ timeMs: undefined }))).toMatchObject({ allow: false });
    expect(set.whoCan({ action: 'shop:select', resource: select().resource, identities: [] }).others).toEqual([]);
  });

  it('bears no mask any more', () => {
    const { principal } = select();
    expect(set.maskBearing(principal, at('2026-11-22T12:59:59Z'))).toHaveLength(1);
    expect(set.maskBearing(principal, at('2026-11-22T13:00:00Z'))).toEqual([]);
    expect(set.maskBearing(principal)).toHaveLength(1);
  });

  it('is explained by its time', () => {
    const [one] = set.explain(select({ timeMs: at('2026-11-22T13:30:00Z') })).policies;
    expect(one).toMatchObject({
      outcome: 'not-matched',
      why: {
        part: 'expires',
        expression: 'context.time < datetime("2026-11-22T13:00:00Z")',
        values: [{ path: 'context.time', value: 'datetime("2026-11-22T13:30:00Z")' }],
      },
    });
  });
});

function load(text: string) {
  return loadPolicies([{ name: 'p', text }], shopSchema);
}

function at(text: string): number {
  return Date.parse(text);
}

function operator() {
  return fc.constantFrom('<', '<=', '>', '>=', '==', '!=');
}
