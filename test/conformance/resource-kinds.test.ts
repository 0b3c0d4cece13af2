/**
 * What every kind of declared resource promises, over each that is registered: what is right is taken, compared, listed and taken away like any other; what is
 * wrong is told and not taken, whatever it is; and files and REST know it.
 */
import fc from 'fast-check';
import { Value } from 'typebox/value';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { declaredKinds, listedKinds, openDeclaredKinds } from '../../src/app/declared-kinds.ts';
import { endpoints } from '../../src/app/endpoint-registry.generated.ts';
import { parseDeclared } from '../../src/config/index.ts';
import {
  createResources,
  type KindMember,
  kindName,
  type Resources,
  resourcesMigrations,
} from '../../src/resources/index.ts';
import { resourceKinds } from '../../src/resources/kinds/registry.generated.ts';
import type { KindExamples } from '../../src/resources/testing/kind-examples.ts';
import { createManualClock, createSeededRandom, createSilentLog, type Service } from '../../src/std/index.ts';
import { storeMigrations } from '../../src/store/index.ts';
import { openTestStore, type TestStore } from '../support/store.ts';

const cases = await Promise.all(
  resourceKinds.map(async (member: KindMember) => {
    const { conformance }: { conformance: KindExamples } = await import(
      `../../src/resources/kinds/${member.id}/testing/conformance.ts`
    );
    return { id: member.id, member, conformance };
  }),
);
const { signal } = new AbortController();
let test: TestStore;
let resources: Resources & Service;

beforeEach(async () => {
  const clock = createManualClock(1_000_000);
  test = await openTestStore([...resourcesMigrations, ...storeMigrations], { clock });
  const deps = { clock, random: createSeededRandom('kinds'), log: createSilentLog() };
  resources = createResources({ ...deps, store: test.store, kinds: openDeclaredKinds().kinds });
  await resources.start(signal);
});
afterEach(async () => {
  await resources.stop();
  await test.close();
});

it('no two kinds have one name, or one path', () => {
  const members: readonly KindMember[] = resourceKinds;
  for (const of of [kindName, ({ id, plural = `${id}s` }: KindMember) => plural])
    expect(new Set(members.map(of)).size).toBe(members.length);
});

describe.each(cases)('the kind $id', ({ id, member, conformance }) => {
  const { good, bad, clash } = conformance;
  const kind = kindName(member);
  const named = good.map((spec, index) => ({ kind, name: `${'abc'[index]}`, spec }));
  const rules = openDeclaredKinds().kinds.find(({ name }) => name === kind);
  const done = (plan: Awaited<ReturnType<Resources['plan']>>) =>
    plan.ok ? plan.changes.map(({ name, action }) => `${action} ${name}`) : plan.problems;

  it('describes itself: kind, one sentence, a schema whose keys all say what they are', () => {
    expect(member.kind).toBe('resource-kind');
    expect(id).toMatch(/^[a-z]+(-[a-z]+)*$/);
    expect(member.summary).toMatch(/\.$/);
    for (const property of Object.values(member.config.properties)) expect(property).toHaveProperty('description');
    if (member.schemaOf === undefined) expect(member.config).toMatchObject({ additionalProperties: false });
  });

  it('is planned, applied, found unchanged, changed and taken away', async () => {
    expect(done(await resources.plan(named, { prune: false }))).toEqual(['create a', 'create b', 'create c']);
    expect(done(await resources.apply(named, { prune: false }))).toEqual(['create a', 'create b', 'create c']);
    expect(resources.snapshot().resources).toEqual(named);
    expect(done(await resources.plan(structuredClone(named), { prune: true }))).toEqual(
      ['a', 'b', 'c'].map((name) => `unchanged ${name}`),
    );
    const changed = { kind, name: 'a', spec: good[1] };
    const plan = await resources.apply([changed], { prune: false, remove: [{ kind, name: 'b' }] });
    expect(done(plan)).toEqual(['update a', 'delete b']);
    expect(plan.ok && plan.changes.every(({ differences }) => differences.length > 0)).toBe(true);
    expect(done(await resources.apply([], { prune: true }))).toEqual(['delete a', 'delete c']);
    expect(resources.snapshot().resources).toEqual([]);
  });

  it.each(bad.map((spec) => [JSON.stringify(spec), spec] as const))('is not taken: %s', async (_, spec) => {
    expect(rules?.checkAlone(spec)).not.toEqual([]);
    const plan = await resources.apply([{ kind, name: 'a', spec }], { prune: false });
    expect(new Set(plan.ok ? [] : plan.problems.map((one) => `${one.kind}/${one.name}`))).toEqual(
      new Set([`${kind}/a`]),
    );
    expect(resources.snapshot().resources).toEqual([]);
  });

  it('tells what is wrong with whatever JSON it is given, and repeats no secret of it', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        for (const problem of rules?.checkAlone(value) ?? []) expect(typeof problem).toBe('string');
      }),
      { numRuns: 200 },
    );
    const secret = 'Kept-To-Himself-4711';
    for (const [name] of Object.entries(good[0]))
      for (const value of [[secret], { [secret]: secret }])
        expect(JSON.stringify(rules?.checkAlone({ ...good[0], [name]: value }))).not.toContain(secret);
  });

  it.runIf(clash !== undefined)('blames of two that do not go together the one that is declared later', async () => {
    const [first, second] = clash ?? [{}, {}];
    for (const spec of [first, second]) expect(rules?.checkAlone(spec)).toEqual([]);
    await resources.apply([{ kind, name: 'z', spec: first }], { prune: false });
    const plan = await resources.apply([{ kind, name: 'a', spec: second }], { prune: false });
    expect(plan).toMatchObject({ ok: false, problems: [{ kind, name: 'a' }] });
    expect(done(await resources.apply([{ kind, name: 'a', spec: second }], { prune: true }))).toEqual([
      'create a',
      'delete z',
    ]);
  });

  it('is what files declare: what is right is read, what is wrong has its place', () => {
    const text = named.map((one) => JSON.stringify(one)).join('\n---\n');
    const declared = parseDeclared({ file: 'r.yaml', text, kinds: declaredKinds });
    // With their defaults.
    expect(declared).toMatchObject(named);
    const wrong = JSON.stringify({ ...named[0], spec: { ...good[0], unheardOf: 1 } });
    expect(() => parseDeclared({ file: 'r.yaml', text: wrong, kinds: declaredKinds })).toThrow(/^r\.yaml:1:\d+: /);
  });

  it('is listed and shown over REST as it was declared', async () => {
    await resources.apply(named, { prune: false });
    const call = { principal: { kind: 'operator', uid: 0 }, signal, ifMatch: undefined } as const;
    for (const verb of ['list', 'get']) {
      const endpoint = endpoints.find(({ name }) => name === `${id}.${verb}`);
      const answer = await (endpoint as never as Handles).handle({ name: 'a' }, call, { resources });
      expect(Value.Check(endpoint?.output ?? {}, answer)).toBe(true);
      const told = answer.items?.[0] ?? answer;
      const { isFlat } = listedKinds.find(({ name }) => name === kind) ?? {};
      expect(told).toMatchObject(isFlat ? { name: 'a', ...good[0] } : { name: 'a', spec: good[0] });
    }
  });
});

/** The handler of one of these endpoints. */
interface Handles {
  handle(input: object, call: object, needs: object): Promise<{ readonly items?: readonly object[] }>;
}
