import { create as createMessage, toBinary } from '@bufbuild/protobuf';
import { Control } from '@countersign/sdk/contract';
import { GatewayUpdateSchema } from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import type { Kysely } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTestStore, type TestStore } from '../../test/support/store.ts';
import { createLog, createManualClock, createSilentLog, type ManualClock, type Service } from '../std/index.ts';
import type { Store } from '../store/index.ts';
import { storeMigrations } from '../store/index.ts';
import { type Plan, type Resource, type ResourceKind, type Resources, resourcesMigrations } from './index.ts';
import type { ResourcesTables } from './migrations.ts';
import { type CheckTogether, createTestResources, policy, target, uniqueIds, withId } from './testing/declared.ts';

const signal = new AbortController().signal;
let test: TestStore;
let clock: ManualClock;
let resources: Resources & Service;

/** `uniqueIds`, counting what it was asked, and failing on demand. */
const checkTogether: CheckTogether = (kind, all) => {
  asked.push(kind);
  if (isBroken) throw new Error('the parser is broken');
  return uniqueIds(kind, all);
};
let asked: ResourceKind[] = [];
let isBroken = false;

const create = (store: Store, log = createSilentLog()): Resources & Service =>
  createTestResources({ store, clock }, { log, checkTogether });

beforeEach(async () => {
  clock = createManualClock(1_000_000);
  asked = [];
  isBroken = false;
  test = await openTestStore([...resourcesMigrations, ...storeMigrations], { clock });
  resources = create(test.store);
  await resources.start(signal);
});
afterEach(async () => {
  await resources.stop();
  await test.close();
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
    expect(await resources.list()).toMatchObject({ targets: [], policies: [] });
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
    expect(await resources.list()).toMatchObject({ targets: [], policies: [] });
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

describe('applying', () => {
  it('makes it so, tells listeners once, and shows the new state when it resolves', async () => {
    const told: number[] = [];
    const stop = resources.onChange((snapshot) => told.push(snapshot.revision));
    const plan = await resources.apply([target('b'), target('a'), policy('p')], { prune: false });
    expect(plan).toMatchObject({ ok: true, revision: 1 });
    expect(resources.snapshot()).toMatchObject({
      revision: 1,
      targets: [target('a'), target('b')],
      policies: [policy('p')],
    });
    expect(told).toEqual([1]);
    stop();
    await resources.apply([target('a', { other: 1 })], { prune: true });
    expect(resources.snapshot()).toMatchObject({ revision: 2, targets: [target('a', { other: 1 })], policies: [] });
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
    expect(await resources.list()).toMatchObject({ targets: [], policies: [] });
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
    expect(resources.snapshot()).toMatchObject({ revision: 1, targets: [target('a')], policies: [policy('p')] });
    expect((await resources.list()).policies).toEqual([policy('p')]);
  });
});

/** A policy that gateways refuse beside another of that id. */

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
    await resources.apply([], { prune: false, remove: [{ kind: 'Target', name: 't' }] });
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
      resources = create(test.store, log);
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
      const gone = await resources.apply([], { prune: false, remove: [{ kind: 'Policy', name: 'b' }] });
      expect(summary(gone)).toEqual(['delete Policy/b']);
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
  const remove = [{ kind: 'Target', name: 'a' } as const];

  it('takes out what is named and nothing else, beside what is made', async () => {
    await resources.apply([target('a'), policy('a')], { prune: false });
    const plan = await resources.apply([policy('b')], { prune: false, remove });
    expect(summary(plan)).toEqual(['create Policy/b', 'delete Target/a']);
    expect(await resources.list()).toMatchObject({ revision: 2, targets: [], policies: [policy('a'), policy('b')] });
    expect(summary(await resources.apply([], { prune: false, remove }))).toEqual([]);
    expect(resources.snapshot().revision).toBe(2);
  });
});

describe('what was made of a list', () => {
  it('is refused once somebody else has changed something, planned or done', async () => {
    await resources.apply([policy('a')], { prune: false });
    const { revision: ifRevision } = await resources.list();
    await resources.apply([policy('b')], { prune: false });
    for (const late of [
      resources.plan([policy('c')], { prune: false, ifRevision }),
      resources.apply([policy('c')], { prune: false, ifRevision }),
    ])
      await expect(late).rejects.toMatchObject({ code: 'ERR_RESOURCES_CHANGED' });
    expect((await resources.list()).policies).toEqual([policy('a'), policy('b')]);
    expect((await resources.apply([policy('c')], { prune: false, ifRevision: 2 })).ok).toBe(true);
  });
});
