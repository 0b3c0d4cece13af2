import { describe, expect, it } from 'vitest';
import type { LedgerEntry } from '../../ledger/index.ts';
import { EVENT_VERSION } from '../../model/index.ts';
import { createLedgerLines, fieldsOf, mentions, namesColumn } from './lines.ts';

const AT_MS = Date.UTC(2026, 11, 1, 4, 25, 43);
const entry = (seq: number, more: Partial<LedgerEntry>): LedgerEntry => ({
  ...{ seq, kind: 'intent', timeMs: AT_MS, actor: 'spiffe://example.org/web', target: 'shop' },
  ...{ action: 'postgres:select', session: 's', operation: '1', detail: {}, ...more },
});
const intent = entry(4, {
  detail: {
    policies: ['web'],
    questions: [
      {
        action: 'postgres:select',
        context: { columns: ['cost', 'id'], hasWhere: true },
        masks: [{ kind: 'redact', path: ['public', 'items', 'cost'] }],
        resource: { id: 'shop/shop/public/items', type: 'Postgres::Table' },
      },
    ],
    shape: '0123456789abcdef',
  },
});
const MANY = Array.from({ length: 5 }, (_, index) => `delete Target/t${index}`);
const lines = (trustDomain?: string) => createLedgerLines({ columns: 80, trustDomain });

describe('a line of the ledger', () => {
  it('shows identity, action, object and columns, and what is masked', () => {
    expect(lines('example.org').line(intent)).toBe(
      [
        '2026-12-01 UTC',
        '     4  04:25:43  intent   /web  select shop/shop/public/items (cost, id) (by',
        '                           web; masked cost:redact)',
      ].join('\n'),
    );
  });

  it('shows of an outcome the object of its intent, also where that was not shown', () => {
    const shown = lines('example.org');
    shown.pass(intent);
    const outcome = entry(5, { kind: 'outcome', detail: { items: 1, status: 'done' } });
    expect(shown.line(outcome)).toContain('outcome  /web  select shop/shop/public/items (1 item; done)');
  });

  it('shows of a request its route, or its shape where none takes it, what is masked, and the status of its answer', () => {
    const shown = lines('example.org');
    const resource = { id: 'api/customer', type: 'Http::Route', tags: { 'path.id': '7' } };
    const context = { method: 'GET', path: '/v1/customers/7', host: 'api' };
    const masks = [{ kind: 'redact', path: ['body', 'ssn'] }];
    const question = { action: 'http:get', context, masks, resource };
    const detail = {
      policies: ['reads'],
      questions: [question],
      shape: 'GET /v1/customers/{id}',
      http: { route: 'customer' },
    };
    const asked = entry(4, { target: 'api', action: 'http:get', detail });
    expect(shown.line(asked)).toBe(
      [
        '2026-12-01 UTC',
        '     4  04:25:43  intent   /web  get api/customer (by reads; masked',
        '                           body.ssn:redact)',
      ].join('\n'),
    );
    const outcome = entry(5, {
      ...{ kind: 'outcome', target: 'api', action: 'http:get' },
      detail: { items: 2, status: 'failed', code: '404', http: { status: 404 } },
    });
    expect(shown.line(outcome)).toBe('     5  04:25:43  outcome  /web  get api/customer (2 items; status 404; failed)');
    const unlisted = { ...question, resource: { id: 'api', type: 'Http::Origin' }, masks: [] };
    const other = { questions: [unlisted], shape: 'PROPFIND /v1/things/{}', reason: 'policy-denied', code: '403' };
    const denial = entry(6, { kind: 'denial', target: 'api', action: 'http:other', detail: other });
    expect(shown.line(denial).replace(/\s+/g, ' ')).toContain(
      'denial /web propfind api /v1/things/{} (policy-denied; code 403)',
    );
    const opened = entry(7, { kind: 'session-open', target: 'api', action: 'http:connect', operation: '0' });
    expect(shown.line(opened)).toContain('open     /web  connect api');
    expect(fieldsOf(asked)).toContainEqual([
      'object',
      'http:get api/customer (masked body.ssn:redact; method: GET; path: /v1/customers/7; host: api; path.id: 7)',
    ]);
    expect([mentions(asked, 'api'), mentions(asked, 'api/customer'), mentions(asked, 'api/orders')]).toEqual([
      ...[true, true, false],
    ]);
    expect(['ssn', 'body.ssn', 'sn'].map((name) => namesColumn(asked, name))).toEqual([true, true, false]);
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
    const resource = { id: 'shop/shop/public/items\n     5  04:25:44  outcome  /web  all\u001b[2J', type: 'T' };
    const questions = [{ action: 'postgres:select', context: { columns: ['a\n     5  04'] }, resource }];
    const text = lines('example.org').line(entry(4, { detail: { questions } }));
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

  it.each([
    ['what was to change', { step: 'request', names: ['Policy/stop', 'Target/db'] }, 'Apply Policy/stop, Target/db'],
    [
      'what changed, and nothing that did not',
      { step: 'done', changes: ['unchanged Policy/old', 'create Policy/stop'] },
      'Apply create Policy/stop',
    ],
    ['three of many', { step: 'done', changes: ['create Entry/a', ...MANY] }, 'and 3 more (done)'],
    ['that nothing changed', { step: 'done', changes: ['unchanged Policy/old'] }, 'Apply resources (done)'],
    ['another form as it can', { step: 'done', changes: 'all' }, 'Apply resources (done)'],
  ])('shows of what an operator applied %s', (_, detail, shown) => {
    const act = entry(8, { kind: 'admin', actor: 'admin', action: 'Apply', target: 'resources', operation: '' });
    expect(
      lines()
        .line({ ...act, detail })
        .replace(/\s+/g, ' '),
    ).toContain(shown);
  });

  it('shows whose entry an operator made, and which one deleted', () => {
    const act = entry(8, { kind: 'admin', actor: 'admin', target: 'entries', operation: '' });
    const made = { ...act, action: 'BatchCreateEntry', detail: { count: 1, spiffeIds: ['spiffe://example.org/web'] } };
    expect(lines('example.org').line(made).replace(/\s+/g, ' ')).toContain('BatchCreateEntry /web (');
    const deleted = { ...act, action: 'BatchDeleteEntry', detail: { ids: ['shop-web'] } };
    expect(lines().line(deleted)).toContain('BatchDeleteEntry shop-web');
  });

  it('shows of a session where it comes from, and what its client says that it is', () => {
    const detail = { client: { application: 'psql' }, peer: '10.0.0.7', postgres: { database: 'shop' }, questions: [] };
    const open = entry(9, { kind: 'session-open', action: 'postgres:connect', operation: '', detail });
    expect(lines('example.org').line(open).replace(/\s+/g, ' ')).toContain(
      'connect shop/shop (from 10.0.0.7; application psql)',
    );
  });

  it('shows an entry of a newer version, and says that it is one', () => {
    const newer = { ...entry(10, { kind: 'approval', detail: { by: ['ada'] } }), v: EVENT_VERSION + 1, zone: { a: 1 } };
    expect(lines('example.org').line(newer)).toContain('approval  /web  select shop (written by a newer version)');
    const fields = fieldsOf(newer);
    for (const field of [
      ['by', 'ada'],
      ['zone', '{ "a": 1 }'],
    ])
      expect(fields).toContainEqual(field);
    expect(fieldsOf({ ...newer, detail: { questions: 'of another form' } })).toContainEqual([
      'questions',
      'of another form',
    ]);
  });

  it('shows an identity of another trust domain whole', () => {
    expect(lines('example.net').line(intent)).toContain('spiffe://example.org/web');
  });
});

describe('what an entry is about', () => {
  it.each(['items', 'public.items', 'shop/shop/public/items', 'shop'])('is found by %s', (text) => {
    expect(mentions(intent, text)).toBe(true);
  });

  it('is what an operator changed', () => {
    const detail = { changes: ['unchanged Policy/old', 'create Policy/stop'] };
    const act = entry(8, { kind: 'admin', action: 'Apply', target: 'resources', detail });
    expect(mentions(act, 'Policy/stop')).toBe(true);
    expect(mentions(act, 'Policy/old')).toBe(false);
  });

  it.each(['orders', 'public.item.'])('is not found by %s', (text) => {
    expect(mentions(intent, text)).toBe(false);
  });
});

describe('a column', () => {
  it.each(['cost', 'id'])('is found by its whole name: %s', (name) => {
    expect(namesColumn(intent, name)).toBe(true);
  });

  it.each(['cos', 'items', 'hasWhere'])('is not found by %s', (name) => {
    expect(namesColumn(intent, name)).toBe(false);
  });
});

describe('the fields of an entry', () => {
  it('are what it is about, then everything else, and nothing that is empty', () => {
    const fields = fieldsOf({ ...intent, detail: { ...intent.detail, note: '' } });
    expect(fields.slice(0, 6)).toEqual([
      ['entry', '4'],
      ['time', '2026-12-01T04:25:43.000Z'],
      ['kind', 'intent'],
      ['identity', 'spiffe://example.org/web'],
      ['target', 'shop'],
      ['action', 'postgres:select'],
    ]);
    expect(fields).toContainEqual([
      'object',
      'postgres:select shop/shop/public/items (columns cost, id; masked cost:redact; hasWhere: true)',
    ]);
    expect(fields).toContainEqual(['policies', 'web']);
    expect(fields.some(([name]) => name === 'note')).toBe(false);
  });

  it('have a line for each of several texts', () => {
    const act = entry(8, { kind: 'admin', action: 'Apply', operation: '' });
    const fields = fieldsOf({ ...act, detail: { differences: ['a +1: x', 'a +2: y'], codes: [0], policies: [] } });
    const at = fields.findIndex(([name]) => name === 'differences');
    expect(fields.slice(at)).toEqual([
      ['differences', 'a +1: x'],
      ['', 'a +2: y'],
      ['codes', '[ 0 ]'],
      ['policies', '[]'],
    ]);
  });
});
