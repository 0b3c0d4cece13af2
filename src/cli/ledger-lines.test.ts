import { describe, expect, it } from 'vitest';
import type { LedgerEntry } from '../ledger/index.ts';
import { createLedgerLines, fieldsOf, mentions } from './ledger-lines.ts';

const AT_MS = Date.UTC(2026, 11, 1, 4, 25, 43);
const entry = (seq: number, more: Partial<LedgerEntry>): LedgerEntry => ({
  ...{ seq, kind: 'intent', timeMs: AT_MS, actor: 'spiffe://example.org/web', target: 'shop' },
  ...{ action: 'postgres:select', session: 's', operation: '1', detail: {}, ...more },
});
const intent = entry(4, {
  detail: { decision: 'allow', masked: true, policies: ['web'], touches: ['postgres:select shop/shop/public/items'] },
});
const lines = (trustDomain?: string) => createLedgerLines({ columns: 80, trustDomain });

describe('a line of the ledger', () => {
  it('shows identity, action and object', () => {
    expect(lines('example.org').line(intent)).toBe(
      '2026-12-01 UTC\n     4  04:25:43  intent   /web  select shop/shop/public/items (by web; masked)',
    );
  });

  it('shows of an outcome the object of its intent, also where that was not shown', () => {
    const shown = lines('example.org');
    shown.pass(intent);
    const outcome = entry(5, { kind: 'outcome', detail: { rows: 1, sqlstate: '', status: 'done' } });
    expect(shown.line(outcome)).toContain('outcome  /web  select shop/shop/public/items (1 row; done)');
  });

  it('shows the day once, and again when it is another', () => {
    const shown = lines();
    expect(shown.line(intent)).toMatch(/^2026-12-01 UTC\n/);
    expect(shown.line(entry(5, {}))).not.toContain('UTC');
    expect(shown.line(entry(6, { timeMs: AT_MS + 86_400_000 }))).toMatch(/^2026-12-02 UTC\n/);
  });

  it('keeps within the columns whatever is in it, and cuts nothing', () => {
    const policies = Array.from({ length: 20 }, (_, index) => `policy-${index}`);
    const text = lines().line(entry(4, { actor: `spiffe://example.org/${'x'.repeat(30)}`, detail: { policies } }));
    expect(text.split('\n').every((line) => line.length <= 80)).toBe(true);
    for (const policy of policies) expect(text).toContain(policy);
  });

  it('is no two, though a name has a line break in it that would begin another', () => {
    const touches = ['postgres:select shop/shop/public/items\n     5  04:25:44  outcome  /web  all\u001b[2J'];
    const text = lines('example.org').line(entry(4, { detail: { touches } }));
    expect(text).not.toMatch(/^ {5}5/m);
    expect(text).toContain('\\u{1b}[2J');
  });

  it('shows both times where the clock had stepped back behind an earlier entry', () => {
    const stepped = entry(7, { wallMs: AT_MS - 3_600_000 });
    expect(lines().line(stepped).replace(/\s+/g, ' ')).toContain('its clock said 2026-12-01T03:25:43Z');
    expect(fieldsOf(stepped)).toContainEqual(['clock said', '2026-12-01T03:25:43.000Z']);
  });

  it('shows who acted as an operator, and how often a stranger came', () => {
    const act = entry(8, { kind: 'admin', actor: 'unix:uid:0', action: 'Apply', target: 'resources' });
    const operator = 'root (uid 0), logged in as ada (uid 1000)';
    const shown = lines()
      .line({ ...act, detail: { operator, step: 'done' } })
      .replace(/\s+/g, ' ');
    expect(shown).toContain(`admin ${operator} Apply resources (done)`);
    const stranger = { ...act, kind: 'denial', detail: { reason: 'no-identity', count: 3 } } as const;
    expect(lines().line(stranger)).toContain('(no-identity; 3 times)');
  });

  it('shows an identity of another trust domain whole', () => {
    expect(lines('example.net').line(intent)).toContain('spiffe://example.org/web');
  });
});

describe('what an entry is about', () => {
  it.each(['items', 'public.items', 'shop/shop/public/items', 'shop'])('is found by %s', (text) => {
    expect(mentions(intent, text)).toBe(true);
  });

  it.each(['orders', 'public.item.'])('is not found by %s', (text) => {
    expect(mentions(intent, text)).toBe(false);
  });
});

describe('the fields of an entry', () => {
  it('are what it is about, then everything else, and nothing that is empty', () => {
    const fields = fieldsOf({ ...intent, detail: { ...intent.detail, sqlstate: '' } });
    expect(fields.slice(0, 6)).toEqual([
      ['entry', '4'],
      ['time', '2026-12-01T04:25:43.000Z'],
      ['kind', 'intent'],
      ['identity', 'spiffe://example.org/web'],
      ['target', 'shop'],
      ['action', 'postgres:select'],
    ]);
    expect(fields).toContainEqual(['object', 'postgres:select shop/shop/public/items']);
    expect(fields).toContainEqual(['policies', '["web"]']);
    expect(fields.some(([name]) => name === 'sqlstate')).toBe(false);
  });
});
