import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CliCommand, exitCodes } from '../../command.ts';
import { askCommand } from '../../testing/ask-command.ts';
import { command as check } from './check.ts';
import { command as explain } from './explain.ts';
import { command as list } from './list.ts';
import { command as show } from './show.ts';
import { command as whatCan } from './what-can.ts';
import { command as whoCan } from './who-can.ts';

// Goal: everyday questions are one command each, and the answer is read at a glance on 80 columns.

const SHOP = join(import.meta.dirname, '../../../../examples/shop');

describe('who-can', () => {
  it('lists identities with what they meet, those of whom the same holds together', async () => {
    const { text, code } = await ask(whoCan, 'select', 'shop/public.customers');
    expect(text).toBe(
      [
        'postgres:select on table shop/shop/public/customers, by the policies in the',
        'files:',
        'spiffe://example.org/shop/reports',
        'spiffe://example.org/shop/web',
        'any identity below spiffe://example.org/shop',
        '    allowed by customers-masked; masks card:last4, email:email, ssn:redact; at',
        '    most 1000 rows',
      ].join('\n'),
    );
    expect(code).toBe(exitCodes.ok);
  });

  it('says what depends on the request as the policy has it, and where a permit is narrower than the question', async () => {
    const { text } = await ask(whoCan, 'update', 'shop');
    expect(text).toMatch(
      /shop\/web\n {4}allowed by web-orders where resource ==\n {4}Postgres::Table::"shop\/shop\/public\/orders" when context.hasWhere/,
    );
  });

  it('ends with 1 when nobody can, and says what forbids it as well', async () => {
    const { text, code } = await ask(whoCan, 'truncate', 'shop/public.orders');
    expect(text.replaceAll('\n', ' ')).toMatch(
      /Nobody can: no permit in the files is about it; nobody-truncates forbids it as well\.$/,
    );
    expect(code).toBe(exitCodes.no);
  });

  it('says of a column that no policy names which was meant, since it would read as one without a mask', async () => {
    const { text } = await ask(whoCan, 'select', 'shop/public.customers.snn');
    expect(text.replaceAll(/\s+/g, ' ')).toContain(
      'note: no policy names column snn of shop/shop/public/customers (did you mean "ssn"?)',
    );
    expect((await ask(whoCan, 'select', 'shop/public.customers.ssn')).text).not.toContain('note:');
    expect((await ask(whoCan, 'select', 'shop/public.orders.snn')).text).not.toContain('note:');
  });

  it('has all of it as JSON', async () => {
    const { value } = await ask(whoCan, 'select', 'shop/public.customers.ssn');
    const access = {
      verdict: 'always',
      permits: [{ policy: 'customers-masked', masks: { ssn: 'redact' }, limits: { rows: 1000 } }],
    };
    expect(value).toMatchObject([
      {
        action: 'postgres:select',
        resource: 'column ssn of table shop/shop/public/customers',
        identities: [
          { identity: 'spiffe://example.org/shop/reports', hasEntry: true, ...access },
          { identity: 'spiffe://example.org/shop/web', ...access },
        ],
        others: [{ identities: 'any identity below spiffe://example.org/shop', ...access }],
      },
    ]);
  });
});

describe('what-can', () => {
  it('lists actions and resources with what they are tied to', async () => {
    const { text } = await ask(whatCan, 'spiffe://example.org/shop/web');
    expect(text.split('\n')).toEqual(
      expect.arrayContaining([
        'postgres:connect on database shop/shop',
        'postgres:select, postgres:update on table shop/shop/public/orders',
        '    allowed by web-orders when context.hasWhere',
        'postgres:insert on table shop/shop/public/orders',
        '    allowed by web-orders',
      ]),
    );
  });

  it('says so when no entry gives the identity, and which was probably meant', async () => {
    const { text } = await ask(whatCan, 'spiffe://example.org/shop/wbe');
    expect(text).toContain('No entry gives it (did you mean "spiffe://example.org/shop/web"?)');
    const nobody = await ask(whatCan, 'spiffe://example.org/x');
    expect(nobody.text).toContain('It can do nothing.');
    expect(nobody.code).toBe(exitCodes.no);
    await expect(ask(whatCan, 'web')).rejects.toThrow(/^web is no identity: a SPIFFE ID starts with/);
  });
});

describe('list and show', () => {
  it('give the ids with where they stand, and one as it is written', async () => {
    const { text, value } = await ask(list);
    expect(text).toMatch(/^ID +EFFECT +IN +DESCRIPTION\ncustomers-masked +permit +shop +Both services/);
    expect(value).toContainEqual(
      expect.objectContaining({ id: 'nobody-truncates', effect: 'forbid', in: 'shop', line: 40 }),
    );
    const shown = await ask(show, 'nobody-truncates');
    expect(shown.text).toMatch(/^\/\/ Policy shop, line 40\n@id\("nobody-truncates"\)\n/);
    await expect(ask(show, 'nobody-truncate')).rejects.toThrow(
      'there is no policy "nobody-truncate" in the files (did you mean "nobody-truncates"?)',
    );
  });
});

describe('a statement', () => {
  const as = (sql: string) => askCommand({ file: [SHOP], as: 'spiffe://example.org/shop/web', sql }, explain, 'shop');

  it('is answered question by question', async () => {
    const { text, code, value } = await as('select name from customers');
    expect(text.split('\n').slice(0, 4)).toEqual([
      'postgres:connect on database shop/shop: allowed by services-connect',
      'postgres:select on table shop/shop/public/customers (columns ["name"], hasWhere',
      'false): allowed by customers-masked; masks card:last4, email:email, ssn:redact;',
      'at most 1000 rows',
    ]);
    expect(text).toContain('note: the names are those of the statement; its target was not asked');
    expect(code).toBe(exitCodes.ok);
    expect(value).toMatchObject({
      allowed: true,
      questions: [{}, { context: { columns: ['name'], hasWhere: false } }],
    });
  });

  it('that is refused is told what would allow it', async () => {
    const { text, code } = await as('select total from orders');
    expect(text).toContain(
      'false): DENIED\n    permit web-orders is about it, and does not apply, because of its when:',
    );
    expect(text).toContain('        permit(\n          principal == Identity::"spiffe://example.org/shop/web",');
    expect(text).toContain('          resource == Postgres::Table::"shop/shop/public/orders"\n        );');
    expect(code).toBe(exitCodes.no);
  });

  it('that masks refuse is told so, though every question is allowed', async () => {
    const { text, code, value } = await as("select name from customers where ssn = '1'");
    expect(text).toContain('\nrefused all the same: "ssn" is or holds a masked column');
    expect(value).toMatchObject({
      allowed: false,
      refused: expect.stringMatching(/^"ssn" is or holds a masked column/),
    });
    expect(code).toBe(exitCodes.no);
    expect((await as('select ssn, count(*) from orders, customers group by ssn')).code).toBe(exitCodes.no);
    expect((await as('select ssn from customers')).code).toBe(exitCodes.ok);
  });

  it('that a forbid refuses is told that no permit helps', async () => {
    const { text } = await as('truncate orders');
    expect(text).toContain('DENIED by nobody-truncates\n    No permit helps against it');
  });

  it('that is none is refused whatever policies say', async () => {
    const { text, code } = await as('selct');
    expect(text).toBe('refused, whatever policies say: syntax error at or near "selct"');
    expect(code).toBe(exitCodes.no);
  });

  it('needs a target that is there, and somebody who asks', async () => {
    const options = { file: [SHOP], sql: 'select 1' };
    await expect(askCommand(options, explain, 'shop')).rejects.toThrow('--as is required');
    await expect(askCommand({ ...options, as: 'web' }, explain, 'shop')).rejects.toThrow(
      /^--as: a SPIFFE ID starts with/,
    );
    await expect(askCommand({ ...options, as: 'spiffe://example.org/web' }, explain, 'shpo')).rejects.toThrow(
      'no target "shpo" is declared (did you mean "shop"?)',
    );
  });
});

describe('a permit that expires', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'questions-'));
    writeFileSync(
      join(folder, 'hour.cedar'),
      '@id("hour")\n@expires("2026-12-01T01:00:00Z")\npermit(principal, action == Action::"postgres:connect", resource);\n',
    );
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const at = (time: string) => ({ file: [folder], at: time });

  it('is told with its time, and to whom it gives something until then', async () => {
    const [before, after] = [at('2026-12-01T00:59:59Z'), at('2026-12-01T01:00:00Z')];
    const web = 'spiffe://example.org/web';
    expect((await askCommand(before, whatCan, web)).text).toContain('    allowed by hour; until 2026-12-01T01:00:00Z');
    expect((await askCommand(after, whatCan, web)).code).toBe(exitCodes.no);
    expect((await askCommand(at('2026-12-01T00:00:00Z'), list)).text).toMatch(
      /hour +permit +hour +until 2026-12-01T01:00:00Z/,
    );
    await expect(askCommand(at('noon'), whatCan, web)).rejects.toThrow(/^--at: "noon" is no time: a datetime is/);
  });

  it('is warned of once it has', async () => {
    const text = '@id("past")\n@expires("2026-11-30T00:00:00Z")\npermit(principal, action, resource);\n';
    writeFileSync(join(folder, 'past.cedar'), text);
    const listed = await askCommand({ file: [folder] }, list);
    expect(listed.text).toMatch(/past +permit +past +EXPIRED 2026-11-30T00:00:00Z/);
    expect(listed.value).toContainEqual(
      expect.objectContaining({ id: 'past', expires: '2026-11-30T00:00:00Z', expired: true }),
    );
    const checked = await askCommand({}, check, folder);
    expect(checked.text).toBe(
      [
        `${join(folder, 'past.cedar')}:2:1: warning: permit "past" has expired, and allows nothing (remove it, or give it a later time)`,
        '2 policies are fine',
      ].join('\n'),
    );
    expect((await askCommand({ strict: true }, check, folder)).code).toBe(exitCodes.no);
  });
});

/** One command on the example's files. */
function ask(command: CliCommand, ...args: readonly string[]) {
  return askCommand({ file: [SHOP] }, command, ...args);
}
