import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTestStore, type TestStore } from '../../test/support/store.ts';
import { createManualClock, type ManualClock, type Service } from '../std/index.ts';
import { storeMigrations } from '../store/index.ts';
import { type Resources, resourcesMigrations } from './index.ts';
import { createTestResources, target } from './testing/declared.ts';

const signal = new AbortController().signal;
let test: TestStore;
let clock: ManualClock;
let resources: Resources & Service;

beforeEach(async () => {
  clock = createManualClock(1_000_000);
  test = await openTestStore([...resourcesMigrations, ...storeMigrations], { clock });
  resources = createTestResources({ store: test.store, clock });
  await resources.start(signal);
});
afterEach(async () => {
  await resources.stop();
  await test.close();
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

  it('of texts that are new or gone are all of their lines, whole', async () => {
    const line = `permit(principal, action, resource) ${'x'.repeat(200)};`;
    expect(await differencesTo({ text: `// one\n${line}\n` })).toEqual(['text +1: // one', `text +2: ${line}`]);
    expect(await differencesTo({ text: line })).toEqual([`text +1: ${line}`]);
    expect(await differencesTo({ text: 'short\n', name: 'short' })).toEqual(['text +1: short', 'name: none → "short"']);
    await resources.apply([target('db', { text: Array.from({ length: 300 }, (_, n) => `line ${n}`).join('\n') })], {
      prune: false,
    });
    const plan = await resources.plan([], { prune: true });
    const lines = plan.ok ? (plan.changes[0]?.differences ?? []) : [];
    expect([lines[0], lines.length, lines.at(-1)]).toEqual(['text -1: line 0', 300, 'text -300: line 299']);
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
    const spec = {
      text: 'x'.repeat(2000),
      ...Object.fromEntries(Array.from({ length: 1100 }, (_, n) => [`k${n}`, n])),
    };
    const plan = await resources.plan([target('db', spec)], { prune: false });
    const lines = plan.ok ? (plan.changes[0]?.differences ?? []) : [];
    expect(lines).toHaveLength(1001);
    expect(lines[0]?.length).toBeLessThan(1050);
    expect(lines.at(-1)).toBe('… and 101 more differences');
  });
});
