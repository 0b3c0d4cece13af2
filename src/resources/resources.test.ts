import { create as createMessage, toBinary } from '@bufbuild/protobuf';
import { Control } from '@countersign/sdk/contract';
import { GatewayUpdateSchema } from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import type { Kysely } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../test/support/eventually.ts';
import { startPostgres, type TestPostgres } from '../../test/support/postgres.ts';
import { openTestStore, type TestStore } from '../../test/support/store.ts';
import {
  createLog,
  createManualClock,
  createSeededRandom,
  createSilentLog,
  createSystemClock,
  type ManualClock,
  type Service,
} from '../std/index.ts';
import { member as postgresEngine } from '../store/engines/postgres/index.ts';
import type { Store } from '../store/index.ts';
import {
  createResources,
  type Plan,
  type Resource,
  type ResourceKind,
  type Resources,
  resourcesMigrations,
  type ValidateResource,
  type ValidateTogether,
} from './index.ts';
import type { ResourcesTables } from './migrations.ts';

const signal = new AbortController().signal;
const GATEWAY = 'spiffe://example.org/countersign/gateway';
let test: TestStore;
let clock: ManualClock;
let resources: Resources & Service;

/** Stands for the schemas of protocols and the checks of policies. */
const validate: ValidateResource = (_kind, _name, spec) =>
  typeof spec === 'object' && spec !== null && 'bad' in spec ? ['bad is not allowed', 'and it is bad'] : [];

/** Stands for the loader of policies: `id` is there once. Counts what it was asked. */
const validateTogether: ValidateTogether = (kind, all) => {
  asked.push(kind);
  if (isBroken) throw new Error('the parser is broken');
  const taken = new Map<unknown, string>();
  return all.flatMap(({ name, spec }) => {
    const id = typeof spec === 'object' && spec !== null && 'id' in spec ? spec.id : name;
    const other = taken.get(id);
    taken.set(id, other ?? name);
    return other === undefined ? [] : [{ kind, name, message: `the id ${id} is taken by ${other}` }];
  });
};
let asked: ResourceKind[] = [];
let isBroken = false;

function create(store: Store, seed = 'resources', log = createSilentLog()): Resources & Service {
  return createResources({ store, clock, random: createSeededRandom(seed), log, validate, validateTogether });
}

beforeEach(async () => {
  clock = createManualClock(1_000_000);
  asked = [];
  isBroken = false;
  test = await openTestStore(resourcesMigrations, { clock });
  resources = create(test.store);
  await resources.start(signal);
});
afterEach(async () => {
  await resources.stop();
  await test.close();
});

const target = (name: string, spec: unknown = { protocol: 'postgres' }): Resource => ({ kind: 'Target', name, spec });
const policy = (name: string, text = 'permit(principal, action, resource);'): Resource => ({
  kind: 'Policy',
  name,
  spec: { text },
});

const isTarget = ({ kind }: Resource) => kind === 'Target';

const summary = (plan: Plan) =>
  plan.ok
    ? plan.changes.map(({ kind, name, action }) => `${action} ${kind}/${name}`)
    : plan.problems.map(({ message }) => message);

describe('a plan', () => {
  it('says what would happen and changes nothing', async () => {
    const plan = await resources.plan([target('db'), policy('p')], { prune: false });
    expect(summary(plan)).toEqual(['create Policy/p', 'create Target/db']);
    expect(await resources.list()).toEqual([]);
  });

  it('names differences place by place', async () => {
    await resources.apply([target('db', { host: 'a', port: 1, list: [1, 2], gone: true })], { prune: false });
    const plan = await resources.plan([target('db', { host: 'b', port: 1, list: [1, 3], fresh: { deep: 1 } })], {
      prune: false,
    });
    expect(plan.ok && plan.changes).toEqual([
      {
        kind: 'Target',
        name: 'db',
        action: 'update',
        differences: ['host: "a" → "b"', 'list.1: 2 → 3', 'gone: true → none', 'fresh.deep: none → 1'],
      },
    ]);
  });

  it('does not mind the order of names in a spec', async () => {
    await resources.apply([target('db', { a: 1, b: { c: 2, d: 3 } })], { prune: false });
    const plan = await resources.plan([target('db', { b: { d: 3, c: 2 }, a: 1 })], { prune: false });
    expect(summary(plan)).toEqual(['unchanged Target/db']);
  });

  it('deletes what is not declared only when asked to prune', async () => {
    await resources.apply([target('a'), target('b')], { prune: false });
    expect(summary(await resources.plan([target('a')], { prune: false }))).toEqual(['unchanged Target/a']);
    expect(summary(await resources.plan([target('a')], { prune: true }))).toEqual([
      'unchanged Target/a',
      'delete Target/b',
    ]);
  });

  it('lists every problem of every resource, and there is no plan then', async () => {
    const wrong = [
      target('Bad_Name'),
      target('twice'),
      target('twice'),
      target('checked', { bad: 1 }),
      target('big', 'x'.repeat(1_200_000)),
      { ...target('nothing'), spec: undefined },
      { kind: 'Secret', name: 'x', spec: {} } as unknown as Resource, // As a caller over the network might.
    ];
    for (const answer of [
      await resources.plan(wrong, { prune: true }),
      await resources.apply(wrong, { prune: true }),
    ]) {
      expect(summary(answer)).toEqual([
        expect.stringMatching(/lower-case letters/),
        'it is declared twice',
        'bad is not allowed',
        'and it is bad',
        expect.stringMatching(/1200002 bytes/),
        expect.stringMatching(/0 bytes/),
        'the kind must be Target or Policy',
      ]);
    }
    expect(await resources.list()).toEqual([]);
  });

  it.each([
    ['a', true],
    ['a'.repeat(63), true],
    ['a'.repeat(64), false],
    ['a-1', true],
    ['a-', false],
    ['1a', false],
    ['', false],
    ['a/b', false],
  ])('takes the name %s: %s', async (name, ok) => {
    expect((await resources.plan([target(name)], { prune: false })).ok).toBe(ok);
  });

  it('takes 25,000 resources and no more', async () => {
    const many = Array.from({ length: 25_001 }, (_, n) => target(`t${n}`));
    expect((await resources.plan(many.slice(1), { prune: false })).ok).toBe(true);
    await expect(resources.plan(many, { prune: false })).rejects.toMatchObject({ code: 'ERR_RESOURCES_LIMIT' });
    await expect(resources.apply(many, { prune: false })).rejects.toMatchObject({ code: 'ERR_RESOURCES_LIMIT' });
  });
});

describe('differences', () => {
  it.each([
    [{ password: 'hunter2' }],
    [{ config: { dbPassword: 'hunter2' } }],
    [{ config: { api_key: ['hunter2'] } }],
    [{ token: { value: 'hunter2' } }],
    [{ auth: { key: 'hunter2' } }],
    [{ clientSecret: 'hunter2' }],
  ])('never show a secret that was put inline by mistake: %j', async (spec) => {
    const created = await resources.apply([target('db', spec)], { prune: false });
    const deleted = await resources.plan([], { prune: true });
    const replaced = await resources.plan([target('db', 'plain')], { prune: true });
    expect(JSON.stringify([created, deleted, replaced])).not.toContain('hunter2');
    expect(JSON.stringify(created)).toContain('[redacted]');
  });

  it('show references to secrets', async () => {
    const plan = await resources.plan([target('db', { password: 'env:DB_PASSWORD' })], { prune: false });
    expect(plan.ok && plan.changes[0]?.differences).toEqual(['password: none → "env:DB_PASSWORD"']);
  });

  it('of texts of several lines are the lines that changed, however far from the start', async () => {
    const text = (...end: string[]) => ['// Who may do what.'.repeat(20), 'a', 'b', ...end, 'last'].join('\n');
    await resources.apply([target('db', { text: text('@mask', 'permit', 'x') })], { prune: false });
    expect(await differencesTo({ text: text('permit', 'x', '+ y') })).toEqual(['text -4: @mask', 'text +6: + y']);
    expect(await differencesTo({ text: text('@mask', 'forbid', 'x') })).toEqual(['text -5: permit', 'text +5: forbid']);
    expect(await differencesTo({ text: `${text('@mask', 'permit', 'x')}\n` })).toEqual(['text +8: ']);
    expect(await differencesTo({ text: 'one' })).toContain('text +1: one');
  });

  it('of long lines begin shortly before the place', async () => {
    const long = (end: string) => `${'x'.repeat(500)}${end}${'y'.repeat(500)}`;
    await resources.apply([target('db', { text: long('old'), lines: `a\n${long('old')}` })], { prune: false });
    const [one = '', ...lines] = await differencesTo({ text: long('new'), lines: `a\n${long('new')}` });
    expect(one).toMatch(/^text: …"x{24}oldy+"… → …"x{24}newy+"…$/);
    expect(lines).toEqual([
      expect.stringMatching(/^lines -2: …x{24}oldy{93}…$/),
      expect.stringMatching(/^lines \+2: …x{24}newy{93}…$/),
    ]);
  });

  it('of texts that have nothing in common show the beginning of both', async () => {
    const lines = (name: string) => Array.from({ length: 1000 }, (_, n) => `${name}${n}`).join('\n');
    await resources.apply([target('db', { text: lines('a') })], { prune: false });
    const shown = await differencesTo({ text: lines('b') });
    expect([shown[0], shown[50], shown[51], shown.at(-1)]).toEqual([
      'text -1: a0',
      'text - … and 950 more lines',
      'text +1: b0',
      'text + … and 950 more lines',
    ]);
  });

  it('never show a line of a secret of several lines', async () => {
    const pem = (body: string) => `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`;
    await resources.apply([target('db', { password: 'a\nhunter1', ca: pem('hunter1') })], { prune: false });
    const redacted = '[redacted] → [redacted]';
    expect(await differencesTo({ password: 'a\nhunter2', ca: pem('hunter2') })).toEqual([
      `password: ${redacted}`,
      `ca: ${redacted}`,
    ]);
    expect(await differencesTo({ password: 'a\nhunter1', ca: 'public' })).toEqual(['ca: [redacted] → "public"']);
  });

  it('of all resources together fit into a message', async () => {
    const many = (sign: string) =>
      Array.from({ length: 1000 }, (_, n) => target(`t${n}`, { text: `${sign.repeat(99)}\n`.repeat(52) }));
    await resources.apply(many('a'), { prune: false });
    const plan = await resources.plan(many('b'), { prune: false });
    const all = plan.ok ? plan.changes.map(({ differences }) => differences) : [];
    expect(all[0]).toHaveLength(102);
    expect(all.at(-1)).toEqual(['… not shown: this plan is too long']);
    expect(Buffer.byteLength(all.flat().join(''))).toBeLessThan(10 * 1024 * 1024 + 100_000);
  });

  async function differencesTo(spec: Record<string, unknown>): Promise<readonly string[]> {
    const plan = await resources.plan([target('db', spec)], { prune: false });
    return plan.ok ? (plan.changes[0]?.differences ?? []) : [];
  }

  it('are cut when they are long or many', async () => {
    const spec = { text: 'x'.repeat(500), ...Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`k${n}`, n])) };
    const plan = await resources.plan([target('db', spec)], { prune: false });
    const lines = plan.ok ? (plan.changes[0]?.differences ?? []) : [];
    expect(lines).toHaveLength(201);
    expect(lines[0]?.length).toBeLessThan(150);
    expect(lines.at(-1)).toBe('… and 101 more differences');
  });
});

describe('applying', () => {
  it('makes it so, tells listeners once, and shows the new state when it resolves', async () => {
    const told: number[] = [];
    const stop = resources.onChange((snapshot) => told.push(snapshot.revision));
    const plan = await resources.apply([target('b'), target('a'), policy('p')], { prune: false });
    expect(plan).toMatchObject({ ok: true, revision: 1 });
    expect(resources.snapshot()).toEqual({ revision: 1, targets: [target('a'), target('b')], policies: [policy('p')] });
    expect(told).toEqual([1]);
    stop();
    await resources.apply([target('a', { other: 1 })], { prune: true });
    expect(resources.snapshot()).toEqual({ revision: 2, targets: [target('a', { other: 1 })], policies: [] });
    expect(told).toEqual([1]);
  });

  it('of what is there already takes no new revision and wakes nobody', async () => {
    await resources.apply([target('a')], { prune: false });
    let told = 0;
    resources.onChange(() => told++);
    const plan = await resources.apply([target('a')], { prune: true });
    expect(plan).toMatchObject({ ok: true, revision: 1, changes: [{ action: 'unchanged' }] });
    expect(told).toBe(0);
  });

  it('is planned anew for the second of two at once: each sees what is there when its turn comes', async () => {
    const [first, second] = await Promise.all([
      resources.apply([target('a', { n: 1 })], { prune: true }),
      resources.apply([target('a', { n: 2 }), target('b')], { prune: true }),
    ]);
    expect(summary(first)).toEqual(['create Target/a']);
    expect(summary(second)).toEqual(['update Target/a', 'create Target/b']);
    expect(resources.snapshot().targets).toEqual([target('a', { n: 2 }), target('b')]);
  });

  it('happens wholly or not at all', async () => {
    const controller = new AbortController();
    controller.abort();
    await expect(resources.apply([target('a')], { prune: false, signal: controller.signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(await resources.list()).toEqual([]);
  });

  it('counts what stays too', async () => {
    const many = Array.from({ length: 200 }, (_, n) => target(`t${n}`));
    await resources.apply(many, { prune: false });
    const others = Array.from({ length: 24_900 }, (_, n) => target(`o${n}`));
    await expect(resources.apply(others, { prune: false })).rejects.toMatchObject({ code: 'ERR_RESOURCES_LIMIT' });
    expect(resources.snapshot().targets).toHaveLength(200);
  });

  it('survives a restart', async () => {
    await resources.apply([target('a'), policy('p')], { prune: false });
    await resources.stop();
    await test.reopen();
    resources = create(test.store);
    expect(() => resources.snapshot()).toThrow(expect.objectContaining({ code: 'ERR_RESOURCES_NOT_READY' }));
    await resources.start(signal);
    expect(resources.snapshot()).toEqual({ revision: 1, targets: [target('a')], policies: [policy('p')] });
    expect(await resources.list('Policy')).toEqual([policy('p')]);
  });
});

/** A policy that gateways refuse beside another of that id. */
const withId = (name: string, id: string): Resource => ({ kind: 'Policy', name, spec: { id } });

describe('a set that gateways would refuse', () => {
  const refused = ['the id x is taken by a'];

  it('is refused as a whole: with what is there already, in a plan as when it is applied', async () => {
    await resources.apply([withId('a', 'x')], { prune: false });
    const declared = [withId('b', 'x'), target('t')];
    expect(summary(await resources.plan(declared, { prune: false }))).toEqual(refused);
    expect(await resources.apply(declared, { prune: false })).toEqual({
      ok: false,
      problems: [{ kind: 'Policy', name: 'b', message: 'the id x is taken by a' }],
    });
    expect(resources.snapshot()).toMatchObject({ revision: 1, targets: [], policies: [{ name: 'a' }] });
  });

  it('is blamed on what was declared now, whatever the names: not on what stays, declared again or not', async () => {
    await resources.apply([withId('m', 'x'), withId('n', 'n')], { prune: false });
    const problem = { kind: 'Policy', name: 'a', message: 'the id x is taken by m' };
    const blamed = { ok: false, problems: [problem] };
    expect(await resources.plan([withId('a', 'x')], { prune: false })).toEqual(blamed);
    expect(await resources.plan([withId('a', 'x'), withId('m', 'x')], { prune: false })).toEqual(blamed);
    expect(await resources.plan([withId('m', 'x'), withId('a', 'x')], { prune: true })).toEqual(blamed);
    expect(await resources.plan([withId('m', 'n')], { prune: false })).toMatchObject({ problems: [{ name: 'm' }] });
  });

  it('is not one that loses the other by the same change, nor one that changes it', async () => {
    await resources.apply([withId('a', 'x')], { prune: false });
    expect((await resources.plan([withId('b', 'x')], { prune: true })).ok).toBe(true);
    expect((await resources.apply([withId('b', 'x'), withId('a', 'y')], { prune: false })).ok).toBe(true);
    expect((await resources.apply([withId('a', 'x')], { prune: false })).ok).toBe(false);
    expect((await resources.apply([withId('a', 'x')], { prune: true })).ok).toBe(true);
  });

  it('is never made by two who apply at once, each of whom alone would be right', async () => {
    const plans = await Promise.all(['a', 'b'].map((name) => resources.apply([withId(name, 'x')], { prune: false })));
    expect(plans.map(summary)).toEqual([['create Policy/a'], refused]);
    expect(resources.snapshot().policies).toHaveLength(1);
  });

  it('does not write what another feature keeps beside it', async () => {
    await resources.apply([withId('a', 'x')], { prune: false });
    let written = 0;
    const alongside = async () => void written++;
    await resources.apply([withId('b', 'x')], { prune: false, alongside });
    expect(written).toBe(0);
  });

  it('is looked for only among the kinds of which there is more or other than before', async () => {
    await resources.apply([withId('a', 'x'), target('t')], { prune: false });
    expect(asked.splice(0).sort()).toEqual(['Policy', 'Target']);
    await resources.apply([withId('a', 'x'), target('t', { n: 1 })], { prune: false });
    expect(asked.splice(0)).toEqual(['Target']);
    await resources.apply([target('t', { n: 1 })], { prune: true });
    await resources.remove('Target', 't');
    expect(asked).toEqual([]);
  });

  it('may be there unseen when what looks for it fails: a server starts, and takes no more', async () => {
    await resources.apply([withId('a', 'x')], { prune: false });
    await resources.stop();
    isBroken = true;
    resources = create(test.store);
    await resources.start(signal);
    expect(resources.snapshot().policies).toHaveLength(1);
    await expect(resources.apply([withId('a', 'y')], { prune: false })).rejects.toThrow('the parser is broken');
    expect(resources.snapshot().policies).toEqual([withId('a', 'x')]);
  });

  describe('that is there since before it was refused', () => {
    beforeEach(async () => {
      await resources.stop();
      const rows = ['a', 'b'].map((name) => ({ kind: 'Policy', name, spec: '{"id":"x"}', revision: 1 }));
      await test.store.transaction(async (trx) => {
        const tables = trx as unknown as Kysely<ResourcesTables>; // Written by an older version, past all rules.
        await tables.insertInto('resources').values(rows).execute();
        await tables.updateTable('resources_state').set({ revision: 1 }).where('id', '=', 1).execute();
      });
      logged = [];
      const log = createLog({ level: 'error', write: (line) => logged.push(JSON.parse(line)) });
      resources = create(test.store, 'resources', log);
      await resources.start(signal);
    });
    let logged: object[];

    it('is logged by a server that starts, and in force as before', () => {
      expect(logged).toMatchObject([{ kind: 'Policy', name: 'b', problem: 'the id x is taken by a' }]);
      expect(resources.snapshot().policies).toHaveLength(2);
    });

    it('is mended by whoever changes or deletes one of the two', async () => {
      expect((await resources.apply([withId('b', 'y')], { prune: false })).ok).toBe(true);
    });

    it('is mended by deleting, even where more is wrong', async () => {
      expect((await resources.apply([withId('a', 'x')], { prune: true })).ok).toBe(true);
      expect(resources.snapshot().policies).toEqual([withId('a', 'x')]);
    });

    it('is told to whoever changes another policy, and hinders nobody who changes targets', async () => {
      expect(summary(await resources.apply([withId('c', 'z')], { prune: false }))).toEqual(refused);
      expect(summary(await resources.apply([target('t')], { prune: false }))).toEqual(['create Target/t']);
      expect(await resources.remove('Policy', 'b')).toBe(true);
      expect((await resources.apply([withId('c', 'z')], { prune: false })).ok).toBe(true);
    });
  });
});

describe('the bytes of all resources', () => {
  const MIB = 1024 * 1024;
  const large = (name: string, bytes: number) => target(name, 'x'.repeat(bytes));
  const fourteen = Array.from({ length: 14 }, (_, n) => large(`t${n}`, MIB));

  it('fit into one message to a gateway, or nothing is applied', async () => {
    expect((await resources.apply(fourteen, { prune: false })).ok).toBe(true);
    const error = expect.objectContaining({ code: 'ERR_RESOURCES_LIMIT', message: expect.stringMatching(/15728640/) });
    await expect(resources.plan([large('last', MIB)], { prune: false })).rejects.toEqual(error);
    await expect(resources.apply([large('last', MIB)], { prune: false })).rejects.toEqual(error);
    expect((await resources.apply([large('last', MIB - 2_000)], { prune: false })).ok).toBe(true);
    expect((await resources.apply([large('other', MIB)], { prune: true })).ok).toBe(true);
  });

  it.each<[string, (n: number) => Resource, number]>([
    ['few large policies', (n) => ({ kind: 'Policy', name: `p${n}`, spec: { cedar: 'x'.repeat(MIB) } }), 15],
    [
      'very many small policies',
      (n) => ({ kind: 'Policy', name: `p${n}`.padEnd(63, 'x'), spec: { cedar: 'é'.repeat(280) } }),
      24_700,
    ],
    [
      'very many small targets',
      (n) => ({ kind: 'Target', name: `t${n}`.padEnd(63, 'x'), spec: { protocol: 'p', host: 'h'.repeat(550) } }),
      24_700,
    ],
  ])('are counted so that the message stays below what a client takes: %s', async (_, resource, most) => {
    let count = most;
    const set = () => Array.from({ length: count }, (__, n) => resource(n));
    const fits = () =>
      resources.plan(set(), { prune: true }).then(
        () => true,
        () => false,
      );
    expect(await fits()).toBe(false);
    while (!(await fits())) count -= Math.ceil(most / 100);
    const [targets, policies] = [set().filter(isTarget), set().filter((one) => !isTarget(one))];
    const update = createMessage(GatewayUpdateSchema, {
      targets: targets.map(({ name, spec }) => ({ name, protocol: 'p', specJson: JSON.stringify(spec) })),
      policies: policies.map(({ name, spec }) => ({ name, text: `${Object(spec).cedar}` })),
    });
    const listed = set().map(({ kind, name, spec }) => ({ kind, name, specJson: JSON.stringify(spec) }));
    const list = createMessage(Control.method.listResources.output, { resources: listed });
    const [updateBytes, listBytes] = [
      toBinary(GatewayUpdateSchema, update).length,
      toBinary(Control.method.listResources.output, list).length,
    ];
    for (const bytes of [updateBytes, listBytes]) {
      expect(bytes).toBeGreaterThan(12 * MIB);
      expect(bytes).toBeLessThan(16 * MIB);
    }
  });
});

describe('removing', () => {
  it('takes out one resource and says whether it was there', async () => {
    await resources.apply([target('a'), policy('a')], { prune: false });
    expect(await resources.remove('Target', 'a')).toBe(true);
    expect(await resources.remove('Target', 'a')).toBe(false);
    expect(await resources.list()).toEqual([policy('a')]);
    expect(resources.snapshot().revision).toBe(2);
  });
});

describe('gateways', () => {
  const report = (address: string, connected: boolean, by: Resources = resources) =>
    by.reportGateway({ spiffeId: GATEWAY, address, connected });

  it('are known with their address and since when they are there or gone', async () => {
    await report('gw2:7000', true);
    await clock.advance(5);
    await report('gw1:7000', true);
    await clock.advance(5);
    await report('gw2:7000', false);
    expect(resources.gateways()).toEqual([
      { spiffeId: GATEWAY, address: 'gw1:7000', connected: true, sinceMs: 1_000_005 },
      { spiffeId: GATEWAY, address: 'gw2:7000', connected: false, sinceMs: 1_000_010 },
    ]);
    expect(await resources.forgetGateway(GATEWAY, 'gw2:7000')).toBe(true);
    expect(await resources.forgetGateway(GATEWAY, 'gw2:7000')).toBe(false);
    expect(resources.gateways()).toHaveLength(1);
  });

  it('stay connected when they connect again before the old connection is seen to end', async () => {
    let told = 0;
    resources.onGateways(() => told++);
    await report('gw:1', true);
    await report('gw:1', true);
    await report('gw:1', false);
    expect(resources.gateways()).toMatchObject([{ connected: true }]);
    await report('gw:1', false);
    expect(resources.gateways()).toMatchObject([{ connected: false }]);
    expect(told).toBe(2);
  });

  it('end in the state that was reported last, however many reports come at once', async () => {
    await Promise.all([report('gw:1', true), report('gw:1', false), report('gw:1', true), report('gw:1', false)]);
    expect(resources.gateways().filter((gateway) => gateway.connected)).toEqual([]);
  });

  it('are not connected to a server that has just started', async () => {
    await report('gw:1', true);
    await resources.stop();
    await test.reopen();
    resources = create(test.store);
    await resources.start(signal);
    expect(resources.gateways()).toMatchObject([{ address: 'gw:1', connected: false }]);
  });

  it('are forgotten a month after they left, when another one comes', async () => {
    await report('old:1', true);
    await report('old:1', false);
    await clock.advance(30 * 86_400_000 + 1);
    await report('new:1', true);
    expect(resources.gateways().map((gateway) => gateway.address)).toEqual(['new:1']);
  });

  it('find room however many left at other addresses before them, those going first that left first', async () => {
    const rows = Array.from({ length: 10_000 }, (_, n) => ({
      ...{ spiffe_id: GATEWAY, address: `gw${n}:1`, connected: n < 5 ? 1 : 0, since_ms: 1_000_000 - n, owner: 'x' },
    }));
    for (let start = 0; start < rows.length; start += 1000)
      await test.store
        .db<ResourcesTables>()
        .insertInto('resources_gateways')
        .values(rows.slice(start, start + 1000))
        .execute();
    await report('new:1', true);
    const present = resources.gateways().map(({ address }) => address);
    expect(present).toContain('new:1');
    expect(present).toHaveLength(9901);
    expect(present).not.toContain('gw9999:1');
    expect(present).toEqual(expect.arrayContaining(['gw0:1', 'gw4:1', 'gw5:1', 'gw9899:1']));
  });

  it.each([
    'gw',
    'gw:0',
    'gw:65536',
    'user@gw:1',
    'http://gw:1',
    'gw :1',
    '[::1:1',
    ':1',
  ])('may not advertise %s', async (address) => {
    await expect(report(address, true)).rejects.toMatchObject({ code: 'ERR_RESOURCES_ADDRESS' });
  });

  it.each(['gw.example:65535', '10.0.0.1:1', '[::1]:7000'])('may advertise %s', async (address) => {
    await report(address, true);
    expect(resources.gateways()).toMatchObject([{ address }]);
  });
});

describe('several servers on one database', () => {
  let postgres: TestPostgres;
  const opened: Service[] = [];
  beforeAll(async () => {
    postgres = await startPostgres();
    process.env['CS_RESOURCES_TEST_URL'] = postgres.url;
  });
  afterEach(async () => {
    for (const service of opened.splice(0).toReversed()) await service.stop();
    await postgres.query('drop schema public cascade; create schema public');
  });
  afterAll(() => postgres.stop());

  async function startServer(seed: string): Promise<Resources & Service> {
    const store = postgresEngine.open(
      { url: 'env:CS_RESOURCES_TEST_URL' },
      { clock: createSystemClock(), log: createSilentLog() },
    );
    await store.start(signal);
    opened.push(store);
    await store.migrate(resourcesMigrations);
    const created = create(store, seed);
    await created.start(signal);
    opened.push(created);
    return created;
  }

  /** Lets the servers that live beat once more each, `count` times. */
  async function beats(count: number, live: number): Promise<void> {
    for (let n = 0; n < count; n++) {
      const [before] = await postgres.query('select max(beats)::int as beats from resources_servers');
      await clock.advance(30_000);
      await eventually('every server has beaten', async () => {
        const [row] = await postgres.query('select count(*)::int as done from resources_servers where beats > $1', [
          before?.['beats'],
        ]);
        return row?.['done'] === live;
      });
    }
  }

  it('push changes to each other and plan one after the other', async () => {
    const [one, two] = await Promise.all([startServer('one'), startServer('two')]);
    const both = Promise.all(
      [one, two].map(
        (server) => new Promise<void>((resolve) => server.onChange(({ revision }) => revision === 10 && resolve())),
      ),
    );
    const plans = await Promise.all(
      Array.from({ length: 10 }, (_, n) => (n % 2 === 0 ? one : two).apply([target('a', { n })], { prune: true })),
    );
    await both;
    expect(plans.flatMap((plan) => (plan.ok ? [plan.revision] : [])).sort((a, b) => a - b)).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
    ]);
    expect(one.snapshot()).toEqual(two.snapshot());
  });

  it('never make a set that gateways would refuse, though each is told one half of it at the same moment', async () => {
    const [one, two] = await Promise.all([startServer('one'), startServer('two')]);
    for (const round of Array.from({ length: 5 }, (_, n) => `r${n}`)) {
      const plans = await Promise.all([
        one.apply([withId(`${round}-a`, round)], { prune: false }),
        two.apply([withId(`${round}-b`, round)], { prune: false }),
      ]);
      expect(plans.filter(({ ok }) => ok)).toHaveLength(1);
    }
    expect(await two.list('Policy')).toHaveLength(5);
  });

  it('keep a gateway that moved from one to the other connected, though the first sees it leave', async () => {
    const [one, two] = await Promise.all([startServer('one'), startServer('two')]);
    const report = (by: Resources, connected: boolean) =>
      by.reportGateway({ spiffeId: GATEWAY, address: 'gw:1', connected });
    await report(one, true);
    await report(two, true);
    await report(one, false);
    expect(two.gateways()).toMatchObject([{ connected: true }]);
    await report(two, false);
    expect(two.gateways()).toMatchObject([{ connected: false }]);
  });

  it('take the gateways of one that was killed for gone three minutes later, and not those of one that lives', async () => {
    const [killed, lives, looks] = await Promise.all(['killed', 'lives', 'looks'].map(startServer));
    if (!killed || !lives || !looks) throw new Error('three were started');
    const report = (by: Resources, address: string) =>
      by.reportGateway({ spiffeId: GATEWAY, address, connected: true });
    await report(killed, 'ghost:1');
    await report(killed, 'moved:1');
    await report(lives, 'there:1');
    await report(lives, 'moved:1');
    const connected = () =>
      looks
        .gateways()
        .filter((gateway) => gateway.connected)
        .map(({ address }) => address);
    await killed.stop(); // Without reporting that its gateways left: that is what a server does that is killed.
    await beats(5, 2);
    expect(connected()).toEqual(['ghost:1', 'moved:1', 'there:1']);
    await beats(2, 2);
    await eventually('the ghost is gone', () => !connected().includes('ghost:1'));
    expect(connected()).toEqual(['moved:1', 'there:1']);
    expect(await postgres.query('select owner from resources_servers')).toHaveLength(2);
  });

  it('have their gateways back when they were only paused', async () => {
    const [paused, looks] = await Promise.all([startServer('paused'), startServer('looks')]);
    await paused.reportGateway({ spiffeId: GATEWAY, address: 'gw:1', connected: true });
    // What another server does that has not seen it beat.
    await postgres.query(
      'update resources_gateways set connected = 0; delete from resources_servers; update resources_state set revision = revision + 1',
    );
    await clock.advance(10_000);
    await eventually('the gateway is gone', () => !looks.gateways().some(({ connected }) => connected));
    await clock.advance(20_000);
    await eventually('the gateway is back', () => looks.gateways().some(({ connected }) => connected));
  });
});
