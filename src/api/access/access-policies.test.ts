import { parseSpiffeId, parseTrustDomain } from '@countersign/sdk/identity';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { openTestStore, type TestStore } from '../../../test/support/store.ts';
import { accessForms } from '../../app/access-forms.generated.ts';
import { endpoints } from '../../app/endpoint-registry.generated.ts';
import type { Principal } from '../../endpoint/index.ts';
import { NO_ATTRIBUTES } from '../../model/index.ts';
import { createManualClock, createSilentLog } from '../../std/index.ts';
import type { Store } from '../../store/index.ts';
import { createAccessPolicies } from './access-policies.ts';
import { type AccessTables, accessMigrations } from './migrations.ts';

// Goal: operators change who may do what, all of it or nothing, at every server; nobody but the socket is left only where somebody says so.

const trustDomain = parseTrustDomain('example.org');
const operator: Principal = { kind: 'operator', uid: 0, text: undefined };
const ada: Principal = {
  ...{
    kind: 'person',
    issuer: 'https://login.example.org',
    subject: 'ada',
    email: undefined,
    byLink: false,
    signIn: '',
  },
  groups: ['platform'],
};
const admin: Principal = {
  ...{ kind: 'identity', id: parseSpiffeId('spiffe://example.org/ops/eve'), admin: true },
  attributes: NO_ATTRIBUTES,
};
const PLATFORM =
  '@id("platform") permit(principal is Countersign::Person, action in Action::"countersign:operate", resource) when { principal.groups.contains("platform") };';
const set = (text: string) => [{ name: 'p', text }];

let store: TestStore;
let clock: ReturnType<typeof createManualClock>;
let stops: (() => Promise<void>)[];
beforeEach(async () => {
  clock = createManualClock(1_800_000_000_000);
  store = await openTestStore(accessMigrations, { clock });
  stops = [];
});
afterEach(async () => {
  for (const stop of stops) await stop();
  await store.close();
});

async function open({ takesLinks = true, over = store.store as Store } = {}) {
  const access = createAccessPolicies({
    ...{ store: over, clock, log: createSilentLog(), trustDomain, endpoints, takesLinks, forms: accessForms },
  });
  await access.start(new AbortController().signal);
  stops.push(access.stop);
  return access;
}

const by = (principal: Principal, more: { ifRevision?: number; allowsLockOut?: boolean } = {}) => ({
  ...{ principal, allowsLockOut: false, signal: new AbortController().signal, ...more },
});
const REFUSED = expect.objectContaining({ code: 'ERR_ENDPOINT_REFUSED' });
const CHANGED = expect.objectContaining({ code: 'ERR_ENDPOINT_CHANGED' });

describe('a change', () => {
  it('holds at once where it was made, in a moment elsewhere, and after a restart', async () => {
    const [one, two] = [await open(), await open()];
    expect(one.current()).toMatchObject({ revision: 0, isDefault: true, problems: [] });
    expect(one.decide(ada, 'countersign:entry.list').allow).toBe(false);
    const applied = await one.apply(set(PLATFORM), by(operator));
    expect(applied).toMatchObject({ revision: 1, locksOut: false, digest: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(one.decide(ada, 'countersign:entry.list').allow).toBe(true);
    expect(one.decide(admin, 'countersign:entry.list').allow).toBe(false);
    await eventually('the other one decides by it', () => two.decide(ada, 'countersign:entry.list').allow);
    expect((await open()).current()).toMatchObject({ revision: 1, isDefault: false, policies: set(PLATFORM) });
  });

  it('replaces all of them, and says line by line what that changes', async () => {
    const access = await open();
    await access.apply([...set(PLATFORM), { name: 'q', text: 'permit(principal, action, resource);' }], by(operator));
    const text = `${PLATFORM}\n// and no more\n`;
    expect((await access.apply(set(text), by(operator))).changes).toMatchObject([
      { name: 'p', action: 'update' },
      { name: 'q', action: 'delete', differences: ['cedar -1: permit(principal, action, resource);'] },
    ]);
    expect(access.current()).toMatchObject({ revision: 2, policies: set(text) });
  });

  it('is none where all is as it was, and the default comes back by its name', async () => {
    const access = await open();
    expect((await access.apply('default', by(operator))).revision).toBe(0);
    await access.apply(set(PLATFORM), by(operator));
    expect((await access.apply(set(PLATFORM), by(operator))).revision).toBe(1);
    expect((await access.apply('default', by(operator))).revision).toBe(2);
    expect(access.current()).toMatchObject({ isDefault: true });
    expect(access.decide(admin, 'countersign:entry.list').allow).toBe(true);
  });

  it('of two at once happens for one, and the other is told so', async () => {
    const [one, two] = [await open(), await open()];
    const both = await Promise.allSettled([
      one.apply(set(PLATFORM), by(admin)),
      two.apply(set(`${PLATFORM} // otherwise`), by(admin)),
    ]);
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    const lost = both.find(({ status }) => status === 'rejected') as PromiseRejectedResult;
    expect(lost.reason).toMatchObject({ code: expect.stringMatching(/^ERR_ENDPOINT_(CHANGED|REFUSED)$/) });
    await eventually('both hold the same', () => two.current().digest === one.current().digest);
    expect(one.current().revision).toBe(1);
  });

  it('is not made over one that its maker has not seen', async () => {
    const access = await open();
    await access.apply(set(PLATFORM), by(operator, { ifRevision: 0 }));
    await expect(access.apply('default', by(operator, { ifRevision: 0 }))).rejects.toEqual(CHANGED);
    expect(access.current().revision).toBe(1);
  });

  it('is not made by somebody from whom another server has just taken it', async () => {
    const [one, two] = [await open(), await open()];
    await one.apply(set(PLATFORM), by(admin));
    await expect(two.apply('default', by(admin))).rejects.toEqual(REFUSED);
    expect(one.current().isDefault).toBe(false);
    await two.apply('default', by(ada));
  });
});

describe('a set that is not taken changes nothing', () => {
  it.each([
    ['no Cedar', 'permit(principal', /error/],
    [
      'an action that there is not',
      'permit(principal, action == Action::"countersign:fly", resource);',
      /countersign:fly/,
    ],
    ['an attribute that there is not', 'permit(principal, action, resource) when { principal.grops };', /grops/],
    ['an id of the server’s own', `@id("built-in:mine") ${PLATFORM.replace(/@id\S+ /, '')}`, /the server's own/],
    ['what nobody sees', PLATFORM.replace('platform") }', 'plat\u200bform") }'), /nobody sees/],
    ['text that runs the other way', `// \u202e\n${PLATFORM}`, /nobody sees/],
    ['too much', `${PLATFORM}\n//${'x'.repeat(140_000)}`, /allowed are 131072/],
    ['nesting without end', `permit(principal, action, resource) when { ${'!'.repeat(5000)}true };`, /./],
  ])('%s', async (_, text, message) => {
    const access = await open();
    const found = await access.apply(set(text), by(operator, { allowsLockOut: true })).catch((error: unknown) => error);
    expect(found).toMatchObject({ code: 'ERR_ENDPOINT_REFUSED' });
    expect(JSON.stringify(found)).toMatch(message);
    expect(access.current()).toMatchObject({ revision: 0, isDefault: true });
  });

  it('two policies of one id, in two texts', async () => {
    const access = await open();
    const twice = [...set(PLATFORM), { name: 'q', text: PLATFORM }];
    await expect(access.apply(twice, by(operator))).rejects.toEqual(REFUSED);
  });
});

describe('a lock-out', () => {
  const LOCKS = [
    ['nothing at all', ''],
    ['looking alone', 'permit(principal, action in Action::"countersign:look", resource);'],
    ['a forbid for all', `${PLATFORM} forbid(principal, action, resource);`],
    [
      'a forbid for that alone',
      `${PLATFORM} forbid(principal, action == Action::"countersign:access.apply", resource);`,
    ],
    ['a permit that ends', PLATFORM.replace('@id', '@expires("2030-01-01T00:00:00Z") @id')],
    ['nobody but nodes', 'permit(principal is Countersign::Node, action, resource);'],
    ['a condition that can not hold', 'permit(principal is Countersign::Person, action, resource) when { 1 == 2 };'],
  ] as const;

  it.each(LOCKS)('by %s is not made by mistake, and by whoever says so', async (_, text) => {
    const access = await open();
    expect(access.plan(set(text)).locksOut).toBe(true);
    await expect(access.apply(set(text), by(admin))).rejects.toEqual(REFUSED);
    expect(access.current().revision).toBe(0);
    await access.apply(set(text), by(admin, { allowsLockOut: true }));
    await expect(access.apply('default', by(admin))).rejects.toEqual(REFUSED);
    await access.apply('default', by(operator));
    expect(access.decide(admin, 'countersign:access.apply').allow).toBe(true);
  });

  it('is not where people of a group, one of them, or identities still could', async () => {
    const access = await open({ takesLinks: false });
    for (const text of [
      PLATFORM,
      'permit(principal == Countersign::Person::"https://login.example.org#ada", action, resource);',
      'permit(principal in IdentityPath::"spiffe://example.org/ops", action, resource);',
      'permit(principal, action, resource);',
    ])
      expect([text, access.plan(set(text)).locksOut]).toEqual([text, false]);
  });

  it('is where only people are left who come by links, and none are taken', async () => {
    const links = 'permit(principal is Countersign::Person, action, resource) when { principal.byLink };';
    expect((await open()).plan(set(links)).locksOut).toBe(false);
    expect((await open({ takesLinks: false })).plan(set(links)).locksOut).toBe(true);
  });

  it('is told of a permit that leads to changing access by one more step, and of a forbid that leaves one', async () => {
    const of = async (text: string) => (await open()).plan(set(`${PLATFORM} ${text}`)).warnings;
    const permit = (action: string) =>
      `@id("mint") permit(principal is Identity, action == Action::"countersign:${action}", resource);`;
    for (const action of [
      'entry.create',
      'entry.update',
      'resource.apply',
      'svid.mint-x509',
      'svid.mint-jwt',
      'sign-in-link.create',
    ])
      expect(await of(permit(action))).toEqual([
        expect.stringContaining(`"mint" permits countersign:${action}, which is as good as`),
      ]);
    for (const action of ['access.apply', 'session.end', 'entry.list']) expect(await of(permit(action))).toEqual([]);
    expect(await of('permit(principal is Identity, action in Action::"countersign:operate", resource);')).toEqual([]);
    const forbid = (actions: string) => `@id("keep") forbid(principal is Identity, action in [${actions}], resource);`;
    expect(await of(forbid('Action::"countersign:access.apply"'))).toEqual([
      expect.stringContaining('"keep" forbids countersign:access.apply and not countersign:entry.create, '),
    ]);
    expect(await of(forbid('Action::"countersign:operate"'))).toEqual([]);
  });

  it('is told of policies that have no effect on the socket', async () => {
    const text = `${PLATFORM} @id("no-socket") forbid(principal is Countersign::Operator, action, resource);`;
    expect((await open()).plan(set(text)).warnings).toEqual([expect.stringContaining('"no-socket" has no effect')]);
  });
});

describe('what the store holds', () => {
  it('and this version can not evaluate permits nothing, says why, and is mended by the socket', async () => {
    const db = store.store.db<AccessTables>();
    await db
      .insertInto('access_policies')
      .values({ name: 'newer', cedar: 'permit(principal, action == Action::"countersign:newer.act", resource);' })
      .execute();
    await db.updateTable('access_state').set({ revision: 7, is_default: 0 }).execute();
    const access = await open();
    expect(access.current()).toMatchObject({
      revision: 7,
      digest: undefined,
      problems: [expect.stringContaining('newer')],
    });
    expect(access.decide(admin, 'countersign:entry.list')).toMatchObject({ allow: false, reason: 'policy-error' });
    await access.apply('default', by(operator));
    expect(access.decide(admin, 'countersign:entry.list').allow).toBe(true);
  });

  it('is not what a server goes by for long that can not read it', async () => {
    let isAway = false;
    const bound = <T extends object>(target: T, found: unknown) =>
      typeof found === 'function' ? found.bind(target) : found;
    const db = new Proxy(store.store.db<AccessTables>(), {
      get(target, name) {
        if (isAway) throw new Error('the database is away');
        return bound(target, Reflect.get(target, name));
      },
    });
    const away = new Proxy(store.store, {
      get(target, name) {
        if (name === 'isShared') return true;
        return name === 'db' ? () => db : bound(target, Reflect.get(target, name));
      },
    });
    const access = await open({ over: away });
    expect(access.decide(admin, 'countersign:entry.list').allow).toBe(true);
    isAway = true;
    await clock.advance(29_000);
    expect(access.decide(admin, 'countersign:entry.list').allow).toBe(true);
    await clock.advance(10_000);
    expect(access.decide(admin, 'countersign:entry.list')).toMatchObject({ allow: false, reason: 'policy-error' });
    expect(access.decide(operator, 'countersign:entry.list').allow).toBe(true);
  });
});
