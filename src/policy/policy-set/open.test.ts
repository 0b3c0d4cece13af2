import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EntityRef } from '../../model/index.ts';
import { compileLike, compileLikeOfBeginning } from '../expressions/like.ts';
import { loadPolicies } from '../loading/load.ts';
import { composeSchema } from '../schema/compose-schema.ts';

// Goal: a question that stands for many entities is allowed only where each of them would be, whatever they are in what the question leaves open.

const text = { type: 'String', required: false } as const;
const schema = composeSchema([
  {
    namespace: 'Desk',
    principals: ['Clerk'],
    entityTypes: {
      Clerk: { memberOf: [], attributes: { team: text } },
      Letters: { memberOf: [], attributes: { to: text, from: text }, tags: { type: 'String' } },
    },
    actions: { 'desk:read': { resources: ['Letters'], context: {} } },
  },
]);
const clerk: EntityRef = { type: 'Desk::Clerk', id: 'ada', attributes: { team: 'post' }, parents: [] };
const letters = (attributes: EntityRef['attributes'], open: readonly string[]): EntityRef => {
  return { type: 'Desk::Letters', id: '', attributes, open, parents: [] };
};
const ask = (policies: string, resource: EntityRef, principal = clerk) =>
  loadPolicies([{ name: 'p', text: policies }], schema).decide({
    principal,
    action: 'desk:read',
    resource,
    context: {},
  });

const ALL = '@id("all") permit(principal, action, resource);';
const toShop = letters({ to: 'shop' }, ['from']);
const any = letters({}, ['to', 'from']);

describe('a question that leaves attributes open', () => {
  it('is allowed by permits that do not look at them', () => {
    expect(ask(ALL, any)).toMatchObject({ allow: true });
    const own = 'permit(principal, action, resource) when { resource has to && resource.to == "shop" };';
    expect(ask(own, toShop)).toMatchObject({ allow: true });
    expect(ask(own, any)).toMatchObject({ allow: false, reason: 'policy-error' });
  });

  it('is not allowed by what a permit leaves out', () => {
    const others = 'permit(principal, action, resource) unless { resource has to && resource.to == "court" };';
    expect(ask(others, any).allow).toBe(false);
    expect(ask(others, toShop).allow).toBe(true);
    expect(ask(others, letters({ to: 'court' }, ['from'])).allow).toBe(false);
    expect(ask('permit(principal, action, resource) unless { resource has to };', any).allow).toBe(false);
  });

  it('is refused by forbids that look at them, and not by those that need not', () => {
    const court = `${ALL} @id("court") forbid(principal, action, resource) when { resource has to && resource.to == "court" };`;
    expect(ask(court, any)).toMatchObject({ allow: false, reason: 'policy-error', policies: ['court'] });
    expect(ask(court, toShop).allow).toBe(true);
    const others = `${ALL} forbid(principal, action, resource) when { principal has team && principal.team == "sales" && resource has to };`;
    expect(ask(others, any).allow).toBe(true);
  });

  it('is refused by each of many forbids that the index tells apart by such an attribute', () => {
    const towns = Array.from({ length: 20 }, (_, n) => `town${n}`);
    const forbids = towns.map(
      (town) =>
        `@id("${town}") forbid(principal, action, resource) when { resource has to && resource.to == "${town}" };`,
    );
    expect(ask([ALL, ...forbids].join('\n'), any)).toMatchObject({ allow: false, policies: towns.toSorted() });
    expect(ask([ALL, ...forbids].join('\n'), toShop).allow).toBe(true);
  });

  it('is open in tags that are not told', () => {
    const secret = 'permit(principal, action, resource) unless { resource.hasTag("secret") };';
    expect(ask(secret, any).allow).toBe(false);
    expect(ask(secret, { ...any, tags: {} }).allow).toBe(true);
  });

  it('can not be open in what is told, or in what there is not', () => {
    expect(ask(ALL, letters({ to: 'shop' }, ['to'])).allow).toBe(false);
    expect(ask(ALL, letters({}, ['unheard'])).allow).toBe(false);
  });

  it('of a principal: what some of them may is sometimes', () => {
    const set = loadPolicies(
      [
        {
          name: 'p',
          text: 'permit(principal, action, resource) when { principal has team && principal.team == "post" };',
        },
      ],
      schema,
    );
    const asked = { action: 'desk:read', resource: { op: 'any' }, timeMs: undefined } as const;
    const of = (principal: EntityRef) => set.access({ ...asked, principal }).verdict;
    expect(of({ ...clerk, attributes: {}, open: ['team'] })).toBe('sometimes');
    expect(of(clerk)).toBe('always');
    expect(of({ ...clerk, attributes: {} })).toBe('never');
  });
});

describe('a question that settles how a text begins', () => {
  const within = (beginning: string): EntityRef => ({ ...letters({}, ['to', 'from']), beginnings: { to: beginning } });
  const like = (pattern: string) => `resource has to && resource.to like "${pattern}"`;
  const permit = (condition: string) => `permit(principal, action, resource) when { ${condition} };`;
  const forbid = (condition: string) => `${ALL} @id("kept") forbid(principal, action, resource) when { ${condition} };`;

  it('is allowed what is permitted of all that begins so, and nothing more', () => {
    for (const pattern of ['shop/*', 'sh*', '*', '*op*'])
      expect([pattern, ask(permit(like(pattern)), within('shop/')).allow]).toEqual([pattern, true]);
    for (const pattern of ['shop/web/*', 'shop/*x', 'court/*', 'shop/', 'shop', '*x', 'shop/*web*'])
      expect([pattern, ask(permit(like(pattern)), within('shop/')).allow]).toEqual([pattern, false]);
    expect(ask(permit('resource has to && resource.to == "shop/web"'), within('shop/')).allow).toBe(false);
    expect(ask(permit('resource has to && resource.to != "court/web"'), within('shop/')).allow).toBe(true);
    expect(ask(permit('resource has to && resource.to != "shop/web"'), within('shop/')).allow).toBe(false);
    expect(ask(permit('resource has to'), within('shop/')).allow).toBe(true);
    expect(ask(permit('resource has from'), within('shop/')).allow).toBe(false);
  });

  it('is refused by whatever forbids some of it', () => {
    for (const condition of [like('shop/secret/*'), like('*secret*'), 'resource has to && resource.to == "shop/web"'])
      expect([condition, ask(forbid(condition), within('shop/'))]).toMatchObject([condition, { policies: ['kept'] }]);
    for (const condition of [like('court/*'), 'resource has to && resource.to == "court/web"', '!(resource has to)'])
      expect([condition, ask(forbid(condition), within('shop/')).allow]).toEqual([condition, true]);
    expect(ask(forbid(like('shop/*')), within('shop/'))).toMatchObject({ allow: false, reason: 'forbidden' });
  });

  it('fails whatever reads the text otherwise, as a list, beside another or by way of a choice', () => {
    for (const condition of [
      'resource has to && ["shop/web"].contains(resource.to)',
      'resource has to && principal has team && resource.to == principal.team',
      'resource has to && (if principal has team then resource.to else "x") like "shop/*"',
      'resource has to && [resource.to] == ["court"]',
    ]) {
      expect([condition, ask(permit(condition), within('shop/')).allow]).toEqual([condition, false]);
      expect([condition, ask(forbid(condition), within('shop/')).allow]).toEqual([condition, false]);
    }
  });

  it('is of one that is open in it, and a text', () => {
    expect(ask(ALL, { ...letters({ to: 'x' }, ['from']), beginnings: { to: 'x' } }).allow).toBe(false);
    expect(ask(ALL, { ...letters({}, ['to', 'from']), beginnings: { unheard: 'x' } }).allow).toBe(false);
  });

  it('goes by a pattern as every text would that begins so', () => {
    const piece = fc.oneof(fc.constant(null), fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 3 }));
    const rest = fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 5 });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 4 }), rest, rest, (pieces, beginning, end) => {
        const settled = compileLikeOfBeginning(pieces)(beginning);
        if (settled !== undefined) expect(compileLike(pieces)(beginning + end)).toBe(settled);
      }),
      { numRuns: 3000 },
    );
  });
});
