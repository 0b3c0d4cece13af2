import { parseSpiffeId } from '@countersign/sdk/identity';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkPolicies, loadPolicies } from '../loading/load.ts';
import { identityEntity } from '../schema/identity-entity.ts';
import { batch, database, select, selectContext, shopSchema, stranger, table, web } from '../testing/shop.ts';
import { AnnotationError } from './annotation-error.ts';
import { maskCovers } from './mask-covers.ts';
import {
  createByteMask,
  isMaskKind,
  type MaskKind,
  maskGrowthMax,
  maskKinds,
  maskText,
  stricterMask,
} from './masks.ts';
import { parseObligations } from './obligations.ts';

// Goal: what a permit demands is demanded exactly, or the policy is refused; several permits together demand the strictest of each.

describe('@mask', () => {
  it.each([
    ['ssn:redact', [{ path: ['ssn'], kind: 'redact' }]],
    [
      ' ssn : null ,email:email',
      [
        { path: ['ssn'], kind: 'null' },
        { path: ['email'], kind: 'email' },
      ],
    ],
    ['users.ssn:hash', [{ path: ['users', 'ssn'], kind: 'hash' }]],
    ['public.users.ssn:last4', [{ path: ['public', 'users', 'ssn'], kind: 'last4' }]],
    ['"Tax Id"."a.b,c:d""e":redact', [{ path: ['Tax Id', 'a.b,c:d"e'], kind: 'redact' }]],
    ['größe:redact', [{ path: ['größe'], kind: 'redact' }]],
    ['body.items.*.card:last4', [{ path: ['body', 'items', '*', 'card'], hasWildcard: true, kind: 'last4' }]],
    ['items."*".card:last4', [{ path: ['items', '*', 'card'], kind: 'last4' }]],
  ])('reads %s', (text, masks) => {
    const expected = masks.map((mask) => ({ hasWildcard: false, ...mask }));
    expect(parseObligations({ mask: text }, 'permit').masks).toEqual(expected);
  });

  it.each([
    'ssn',
    'ssn:',
    ':redact',
    'ssn:redact,',
    ',ssn:redact',
    'ssn:redact email:email',
    'ssn:redact;email:email',
    '**:redact',
    'a*:redact',
    'a.*b:redact',
    `${'a.'.repeat(32)}a:redact`,
    'a..b:redact',
    'a.:redact',
    'SSN:redact',
    'Ssn:redact',
    '1a:redact',
    '"a:redact',
    '"":redact',
    ' ',
    'ssn redact',
    'ssn:redact:null',
  ])('refuses %s, and says where', (text) => {
    expect(() => parseObligations({ mask: text }, 'permit')).toThrow(AnnotationError);
  });

  it('refuses a kind that there is not', () => {
    expect(() => parseObligations({ mask: 'ssn:hide' }, 'permit')).toThrow(
      /null, redact, hash, last4, email, not "hide"/,
    );
    expect(() => parseObligations({ mask: 'ssn:constructor' }, 'permit')).toThrow(AnnotationError);
  });

  it('reads back every name that can be quoted', async () => {
    await fc.assert(
      fc.property(
        fc.array(fc.string({ minLength: 1, unit: 'binary' }), { minLength: 1, maxLength: 6 }),
        fc.constantFrom(...Object.keys(maskKinds)),
        (names, kind) => {
          const text = `${names.map((name) => `"${name.replaceAll('"', '""')}"`).join('.')}:${kind}`;
          const mask = { path: names, hasWildcard: false, kind };
          expect(parseObligations({ mask: `a:null,${text}` }, 'permit').masks[1]).toEqual(mask);
        },
      ),
    );
  });
});

describe('@expires', () => {
  it('is a moment in UTC, to the second', () => {
    expect(parseObligations({ expires: '2026-12-31T00:00:00Z' }, 'permit').expiresMs).toBe(Date.UTC(2026, 11, 31));
  });

  it.each([
    ['2026-12-31', /@expires is a time in UTC, as in "2026-12-31T00:00:00Z", not "2026-12-31"/],
    ['2026-12-31T00:00:00', /is a time in UTC/],
    ['2026-12-31T00:00:00.5Z', /is a time in UTC/],
    ['2026-12-31T01:00:00+0100', /is a time in UTC/],
    ['tomorrow', /is a time in UTC/],
    ['2026-02-30T00:00:00Z', /@expires: this day is in no calendar/],
    ['2026-12-31T24:00:00Z', /@expires: this time is on no clock/],
  ])('refuses %s', (expires, message) => {
    expect(() => parseObligations({ expires }, 'permit')).toThrow(message);
  });

  it('stands on no forbid, which would open by itself', () => {
    expect(() => parseObligations({ expires: '2026-12-31T00:00:00Z' }, 'forbid')).toThrow(
      /@expires on a forbid would open what it keeps shut/,
    );
  });
});

describe('@limit and @record', () => {
  it('are read', () => {
    expect(parseObligations({ limit: 'rows=1000', record: 'full' }, 'permit')).toEqual({
      masks: [],
      limits: [{ word: 'rows', form: 'count', most: 1000 }],
      record: 'full',
    });
    expect(parseObligations({}, 'permit')).toEqual({ masks: [], limits: [], record: 'digest' });
  });

  it.each([
    'rows=0',
    'rows=-1',
    'rows=1e3',
    'rows= 5',
    'rows=01',
    'rows=1000000001',
    '1000',
    'rows=5,',
    ',rows=5',
    'rows=5 items=6',
    '=5',
    'duration=30',
    'duration=0s',
    'duration=1.5s',
    'rate=60/s',
    'rate=/min',
  ])('refuse the limit %s', (limit) => {
    const refused = () => loadPolicies([{ name: 'p', text: `@limit("${limit}") ${READ}` }], shopSchema);
    expect(refused).toThrow(/@limit/);
  });

  it.each(['Full', 'none', 'digest '])('refuse the recording %s', (record) => {
    expect(() => parseObligations({ record }, 'permit')).toThrow(/"digest" or "full"/);
  });

  it('refuse annotations of unreasonable length', () => {
    expect(() => parseObligations({ description: 'x'.repeat(1 << 18) }, 'forbid')).toThrow(/at most 131072/);
  });
});

describe('several permits', () => {
  it('demand the stricter mask, the lower limit, and recording in full only when all say so', () => {
    const text = `
      @mask("ssn:last4, email:email") @limit("rows=1000") @record("full") permit(principal, action == Action::"shop:select", resource);
      @mask("ssn:hash") @limit("rows=50") @record("full") permit(principal == Identity::"${web.id}", action, resource);
      @mask("name:null") permit(principal == Identity::"${batch.id}", action, resource);`;
    const reversed =
      text
        .match(/[^;]+;/g)
        ?.toReversed()
        .join('') ?? '';
    expect(decide(reversed)).toEqual(decide(text));
    expect(decide(text)).toEqual({
      masks: [
        { path: ['public', 'users', 'ssn'], kind: 'hash' },
        { path: ['public', 'users', 'email'], kind: 'email' },
      ],
      limits: { items: 50 },
      record: 'full',
    });
    expect(decide(text, select({ principal: batch }))).toEqual({
      masks: [
        { path: ['public', 'users', 'ssn'], kind: 'last4' },
        { path: ['public', 'users', 'email'], kind: 'email' },
        { path: ['public', 'users', 'name'], kind: 'null' },
      ],
      limits: { items: 1000 },
      record: 'digest',
    });
    expect(decide(text, select({ principal: stranger }))?.limits).toEqual({ items: 1000 });
  });

  it('of which one does not hold demand nothing of it', () => {
    const text =
      'permit(principal, action, resource); @mask("ssn:redact") permit(principal, action == Action::"shop:select", resource) when { !context.hasWhere };';
    expect(decide(text)?.masks).toEqual([]);
    expect(decide(text, select({ context: { ...selectContext, hasWhere: false } }))?.masks).toEqual([
      { path: ['public', 'users', 'ssn'], kind: 'redact' },
    ]);
  });

  it('mask a qualified column only on its table', () => {
    const text =
      '@mask("public.users.ssn:redact, orders.card:last4, audit.users.who:hash") permit(principal, action, resource);';
    expect(decide(text)?.masks).toEqual([{ path: ['public', 'users', 'ssn'], kind: 'redact' }]);
    expect(decide(text, select({ resource: table('orders') }))?.masks).toEqual([
      { path: ['public', 'orders', 'card'], kind: 'last4' },
    ]);
    expect(decide(text, select({ resource: table('users', 'audit') }))?.masks).toEqual([
      { path: ['audit', 'users', 'who'], kind: 'hash' },
    ]);
  });
});

describe('@derived', () => {
  it('says of each mask of its permit what a column is inside of an expression', () => {
    const text = `
      @id("a") @mask("ssn:redact, email:email") @derived("null") permit(principal, action, resource);
      @id("b") @mask("card:last4") permit(principal, action, resource);`;
    const masks = loadPolicies([{ name: 'p', text }], shopSchema).maskBearing(web);
    expect(masks.map(({ path, derived }) => [path, derived])).toEqual([
      [['ssn'], 'null'],
      [['email'], 'null'],
      [['card'], undefined],
    ]);
  });

  it('is refused for what it does not know, and where there is no mask', () => {
    for (const derived of ['NULL', 'mask', 'refuse', ' null'])
      expect(() => parseObligations({ mask: 'ssn:null', derived }, 'permit')).toThrow(/@derived is "null"/);
    expect(() => parseObligations({ derived: 'null' }, 'permit')).toThrow(/@derived.*@mask/);
    expect(() => parseObligations({ mask: 'ssn:null', derived: 'null' }, 'forbid')).toThrow(AnnotationError);
  });
});

describe('the masks that a principal may meet', () => {
  const text = `
    @id("a") @mask("ssn:redact") permit(principal in TrustDomain::"example.org", action == Action::"shop:select", resource == Shop::Table::"shop/app/public/users") when { context.hasWhere };
    @id("b") @mask("public.orders.card:last4") permit(principal == Identity::"${web.id}", action in Action::"shop:any", resource in Shop::Database::"shop/app");
    @id("c") @mask("x:null") permit(principal == Identity::"${batch.id}", action, resource);
    @id("d") @mask("y:null") permit(principal is Identity, action, resource is Shop::Table in Target::"shop");
    @id("e") permit(principal, action, resource);`;
  const set = loadPolicies([{ name: 'p', text }], shopSchema);

  it('are those of every permit whose principal fits, whatever its conditions', () => {
    expect(set.maskBearing(web).map(({ on: _, hasWildcard: __, ...mask }) => mask)).toEqual([
      {
        policy: 'a',
        kind: 'redact',
        path: ['ssn'],
        scope: { op: 'equals', type: 'Shop::Table', id: 'shop/app/public/users' },
      },
      {
        policy: 'b',
        kind: 'last4',
        path: ['public', 'orders', 'card'],
        scope: { op: 'in', type: 'Shop::Database', id: 'shop/app' },
      },
      {
        policy: 'd',
        kind: 'null',
        path: ['y'],
        scope: { op: 'in', type: 'Target', id: 'shop', is: 'Shop::Table' },
      },
    ]);
    expect(set.maskBearing(stranger).map((mask) => mask.policy)).toEqual(['d']);
  });

  it('tell which tables they could reach', () => {
    const reached = (name: string) =>
      set
        .maskBearing(web)
        .filter((mask) => maskCovers(mask, table(name)))
        .map((mask) => mask.path.at(-1))
        .sort();
    expect(reached('users')).toEqual(['ssn', 'y']);
    expect(reached('orders')).toEqual(['card', 'y']);
    expect(reached('other')).toEqual(['y']);
    // A database has no fields, whoever may connect to it.
    expect(set.maskBearing(batch).filter((mask) => maskCovers(mask, database))).toEqual([]);
    expect(set.maskBearing(batch).filter((mask) => maskCovers(mask, table('users')))).toHaveLength(3);
  });

  it('never leave out one that an answer carries', async () => {
    const names = fc.constantFrom('users', 'orders', 'public.users', '"x"."users"');
    const policy = fc
      .record({
        mask: fc
          .tuple(names, fc.constantFrom('ssn', 'card'), fc.constantFrom(...Object.keys(maskKinds)))
          .map(([tableName, column, kind]) => `${tableName}.${column}:${kind}`),
        principal: fc.constantFrom(
          'principal',
          `principal == Identity::"${web.id}"`,
          'principal in IdentityPath::"spiffe://example.org/ns"',
          'principal is Identity in TrustDomain::"other.test"',
        ),
        resource: fc.constantFrom(
          'resource',
          'resource is Shop::Table',
          'resource in Shop::Schema::"shop/app/public"',
          'resource is Shop::Table in Shop::Schema::"shop/app/audit"',
          'resource == Shop::Table::"shop/app/public/users"',
        ),
      })
      .map(
        ({ mask, principal, resource }) =>
          `@mask("${mask.replaceAll('"', '\\"')}") permit(${principal}, action, ${resource});`,
      );
    await fc.assert(
      fc.property(
        fc.array(policy, { minLength: 1, maxLength: 6 }),
        fc.constantFrom(web, batch, stranger),
        fc.constantFrom(table('users'), table('orders'), table('users', 'audit')),
        (texts, principal, resource) => {
          // A mask on another table than its policy does not load.
          const loading = texts.filter(
            (text) => checkPolicies([{ name: 'p', text }], shopSchema).compiled !== undefined,
          );
          const one = loadPolicies([{ name: 'p', text: loading.join('\n') }], shopSchema);
          const bearing = one.maskBearing(principal).filter((mask) => maskCovers(mask, resource));
          const decision = one.decide(select({ principal, resource }));
          for (const { path, kind } of decision.allow ? decision.obligations.masks : [])
            expect(bearing.some((mask) => mask.path.at(-1) === path.at(-1) && mask.kind === kind)).toBe(true);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('are refused for a principal that is none', () => {
    expect(() => set.maskBearing({ ...web, type: 'Nobody' })).toThrow(/no entity type Nobody/);
    expect(set.maskBearing(identityEntity(NOBODY))).toHaveLength(1);
  });
});

describe('a masked value', () => {
  const key = Buffer.alloc(32, 7);
  it.each<[MaskKind, string, string | null]>([
    ['null', 'a', null],
    ['redact', '', '[redacted]'],
    ['last4', '4111111111111111', '************1111'],
    ['last4', '12345678', '********'],
    ['last4', '123456789', '*****6789'],
    ['last4', '😀😀😀😀😀abcd', '*****abcd'],
    ['last4', '', ''],
    ['email', 'anna@example.org', 'a***@example.org'],
    ['email', '😀x@example.org', '😀***@example.org'],
    ['email', 'a@b@example.org', 'a***@example.org'],
    ['email', '@example.org', '[redacted]'],
    ['email', 'anna@', '[redacted]'],
    ['email', '123-45-6789', '[redacted]'],
  ])('%s of %j is %j', (kind, value, shown) => {
    expect(maskText(kind, value, key)).toBe(shown);
  });

  it('in bytes stays within its room, in the middle of others, and is no other than as text', () => {
    const kind = fc.constantFrom<MaskKind>('null', 'redact', 'hash', 'last4', 'email');
    const value = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 20 }), fc.emailAddress());
    fc.assert(
      fc.property(kind, value, (one, text) => {
        const bytes = Buffer.from(`<${text}>`);
        const into = Buffer.alloc(bytes.length + maskGrowthMax + 8, 0x21);
        const end = createByteMask(one, key)({ buffer: bytes, start: 1, end: bytes.length - 1 }, into, 3);
        expect(end === -1 ? null : into.toString('utf8', 3, end)).toBe(maskText(one, text, key));
        expect(end).toBeLessThanOrEqual(3 + bytes.length - 2 + maskGrowthMax);
        expect(into.subarray(Math.max(end, 3)).every((byte) => byte === 0x21)).toBe(true);
      }),
    );
  });

  it('by hash is equal for equal values under one key, and else differs', () => {
    expect(maskText('hash', 'anna', key)).toMatch(/^[0-9a-f]{16}$/);
    expect(maskText('hash', 'anna', key)).toBe(maskText('hash', 'anna', key));
    expect(maskText('hash', 'anna', key)).not.toBe(maskText('hash', 'anne', key));
    expect(maskText('hash', 'anna', key)).not.toBe(maskText('hash', 'anna', Buffer.alloc(32, 8)));
  });

  it('of NULL is NULL under every kind, and the order of kinds is total', () => {
    const kinds = Object.keys(maskKinds).filter(isMaskKind);
    for (const kind of kinds) expect(maskText(kind, null, key)).toBeNull();
    expect(new Set(kinds.map((kind) => maskKinds[kind].strictness)).size).toBe(kinds.length);
    for (const a of kinds) for (const b of kinds) expect(stricterMask(a, b)).toBe(stricterMask(b, a));
    expect(stricterMask('email', 'null')).toBe('null');
  });
});

const READ = 'permit(principal, action == Action::"shop:select", resource);';
const NOBODY = parseSpiffeId('spiffe://other.test/nobody');

function decide(text: string, request = select()) {
  const decision = loadPolicies([{ name: 'p', text }], shopSchema).decide(request);
  return decision.allow ? decision.obligations : undefined;
}
