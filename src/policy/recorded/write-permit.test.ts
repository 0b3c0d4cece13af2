import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkPolicies, loadPolicies } from '../loading/load.ts';
import { cutPolicies } from '../loading/split.ts';
import { noon, select, shopSchema, stranger, table, web } from '../testing/shop.ts';
import type { Demands } from '../types.ts';
import { writePermit } from './write-permit.ts';

// Goal: a permit that is made from names of others says what was meant, whatever is in them, and opens no more than those beside it.

const NOTHING: Demands = {
  ...{ masks: [], derived: undefined, limits: [], record: 'digest', approval: undefined, policies: [] },
};
const load = (...texts: readonly string[]) =>
  loadPolicies(
    texts.map((text, index) => ({ name: `p${index}`, text })),
    shopSchema,
  );

describe('a permit that is written', () => {
  const users = table('users');
  const equals = (id: string) => ({ op: 'equals', type: 'Shop::Table', id }) as const;

  it('stands there as the guide has it', () => {
    const text = writePermit({
      id: 'web-reads',
      reason: 'ticket 7',
      expiresMs: noon,
      demands: {
        ...NOTHING,
        masks: [{ path: ['SSN'], hasWildcard: false, kind: 'redact' }],
        limits: [{ unit: 'items', word: 'rows', most: 10 }],
        derived: 'null',
      },
      principal: web,
      actions: ['shop:select', 'shop:update'],
      resource: equals(users.id),
    });
    expect(text).toBe(`@id("web-reads")
@reason("ticket 7")
@expires("2026-11-22T12:00:00Z")
@mask("\\"SSN\\":redact")
@derived("null")
@limit("rows=10")
permit(
  principal == Identity::"spiffe://example.org/ns/shop/sa/web",
  action in [Action::"shop:select", Action::"shop:update"],
  resource == Shop::Table::"shop/app/public/users"
);
`);
    expect(load(text).whatCan(web, noon - 1)).toMatchObject([{ action: 'shop:select' }, { action: 'shop:update' }]);
  });

  it('says what was meant whatever is in its names, and is one policy', () => {
    const hostile = fc.oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }),
      fc.constantFrom(
        '"); permit(principal, action, resource); //',
        'a\nb',
        '\\',
        '\\"',
        '\u0000',
        '\u202e',
        '// x',
        '*/',
      ),
    );
    fc.assert(
      fc.property(hostile, hostile, hostile, (name, reason, column) => {
        const masked = { path: [column.toWellFormed()], hasWildcard: false, kind: 'redact' } as const;
        const text = writePermit({
          ...{ id: `id ${name}`, reason, demands: { ...NOTHING, masks: [masked] }, principal: web },
          ...{ actions: ['shop:select'], resource: equals(`shop/app/public/${name}`) },
        });
        const set = load(text);
        expect(set.policies.map(({ id, reason: why }) => [id, why])).toEqual([
          [`id ${name}`.toWellFormed(), reason.toWellFormed()],
        ]);
        expect(set.names().masks.map((mask) => mask.path)).toEqual([[column.toWellFormed()]]);
        expect(set.names().entities.map(({ id }) => id)).toContain(`shop/app/public/${name}`.toWellFormed());
        expect(set.decide(select({ principal: stranger })).allow).toBe(false);
        expect(set.decide(select({ resource: table('a table of another name') })).allow).toBe(false);
        expect(text).not.toMatch(/[^\P{Cc}\n]|[\u2028\u2029\u202e]/u);
      }),
      { numRuns: 300 },
    );
  });
});

describe('what permits on a resource demand', () => {
  const users = table('users');
  const asked = { actions: ['shop:select'], resource: users, timeMs: noon };

  it('is joined, the stricter of two', () => {
    const set = load(
      '@id("a") @mask("ssn:hash, mail:email") @limit("rows=100") permit(principal == Identity::"spiffe://example.org/a", action == Action::"shop:select", resource == Shop::Table::"shop/app/public/users");',
      '@id("b") @mask("ssn:null, audit.users.name:null") @limit("rows=10") permit(principal, action, resource in Target::"shop");',
      '@id("c") permit(principal, action == Action::"shop:select", resource);',
      '@id("d") @mask("gone:null") @expires("2026-11-22T11:00:00Z") permit(principal, action, resource);',
      '@id("e") @mask("other:null") permit(principal, action, resource) unless { resource.name == "users" };',
      '@id("f") @mask("write:null") permit(principal, action == Action::"shop:update", resource);',
    );
    expect(set.demandsOn(asked)).toEqual({
      masks: [
        { path: ['ssn'], hasWildcard: false, kind: 'null' },
        { path: ['mail'], hasWildcard: false, kind: 'email' },
      ],
      ...{
        derived: undefined,
        limits: [{ unit: 'items', word: 'rows', most: 10 }],
        record: 'digest',
        policies: ['a', 'b'],
      },
    });
  });

  it('is the whole record, and NULL inside of expressions, only where all of them say so', () => {
    const one = '@id("a") @mask("ssn:hash") @derived("null") @record("full") permit(principal, action, resource);';
    const two = '@id("b") @mask("ssn:hash") permit(principal, action, resource);';
    expect(load(one).demandsOn(asked)).toMatchObject({ derived: 'null', record: 'full' });
    expect(load(one, two).demandsOn(asked)).toMatchObject({ derived: undefined, record: 'digest' });
  });

  it('stays with its table where the new permit is about more', () => {
    const set = load(
      '@id("a") @mask("ssn:hash") permit(principal, action == Action::"shop:select", resource == Shop::Table::"shop/app/public/users");',
      '@id("b") @mask("mail:email") permit(principal, action, resource in Shop::Schema::"shop/app/public");',
      '@id("c") @mask("far:null") permit(principal, action, resource in Target::"other");',
    );
    const resource = { op: 'in', type: 'Target', id: 'shop' } as const;
    expect(set.demandsOn({ ...asked, resource }).masks).toEqual([
      { path: ['public', 'users', 'ssn'], hasWildcard: false, kind: 'hash' },
      { path: ['mail'], hasWildcard: false, kind: 'email' },
    ]);
  });
});

describe('a policy that is cut out of its source', () => {
  const text = `// The head of the file.

// About one.
@id("one")
permit(principal, action, resource); // stays with one

// About two,
// of two lines.
@id("two")
permit(principal, action, resource) when { "
// no comment, three breaks:


" == "" };
@id("three") permit(principal, action, resource);
`;
  const cut = (...ids: readonly string[]) => {
    const { compiled } = checkPolicies([{ name: 'p', text }], shopSchema);
    const places = compiled?.policies.flatMap(({ id, position }) => (ids.includes(id) ? [position] : [])) ?? [];
    expect(places).toHaveLength(ids.length);
    return cutPolicies({ name: 'p', text }, places);
  };

  it('goes with its comment, and leaves the others as they are', () => {
    expect(cut('two')).toBe(text.slice(0, text.indexOf('\n// About two')) + text.slice(text.indexOf('@id("three")')));
    expect(cut('three')).toBe(text.slice(0, text.indexOf('@id("three")')));
    expect(cut('one')).toMatch(/^\/\/ The head of the file\.\n[\s\S]*@id\("two"\)/);
    const { compiled } = checkPolicies([{ name: 'p', text: cut('one', 'three') }], shopSchema);
    expect(compiled?.policies.map(({ id, text: own }) => [id, text.includes(own)])).toEqual([['two', true]]);
  });

  it('leaves nothing when it was the last one', () => {
    expect(cut('one', 'two', 'three')).toBe('');
  });
});
