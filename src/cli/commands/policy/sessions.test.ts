import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exitCodes } from '../../command.ts';
import { askCommand } from '../../testing/ask-command.ts';
import { command as whatCan } from './what-can.ts';
import { command as whoCan } from './who-can.ts';

// Goal: whoever is named can do it in effect; a permit of somebody who can't even connect is told apart, with what is missing.

const SHOP = join(import.meta.dirname, '../../../../examples/shop');
const BATCH = 'spiffe://example.org/batch';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sessions-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const asked = () => ({ file: [SHOP, folder] });
const add = (name: string, text: string) => writeFileSync(join(folder, `${name}.cedar`), text);
const readsCustomers = (who: string) =>
  `permit(${who}, action == Action::"postgres:select", resource == Postgres::Table::"shop/shop/public/customers");`;
const batchReads = `@id("batch-reads") ${readsCustomers(`principal == Identity::"${BATCH}"`)}`;

describe('who-can', () => {
  it('tells those apart who can not connect, with the reason and what would let them', async () => {
    add('batch', batchReads);
    const { text, code, value } = await askCommand(asked(), whoCan, 'select', 'shop/public.customers');
    const [can = '', apart = ''] = text.split('These hold a permit without effect, since they can not connect: ');
    expect(can).toContain('spiffe://example.org/shop/web\n');
    expect(can).not.toContain(BATCH);
    expect(apart).toBe(
      [
        'no permit for',
        'postgres:connect on database shop/shop.',
        `  ${BATCH} (no entry gives it)`,
        '    allowed by batch-reads',
        'To let it connect, for an hour:',
        `    countersign policy grant ${BATCH} postgres:connect \\`,
        '      shop/shop --for 1h',
      ].join('\n'),
    );
    expect(code).toBe(exitCodes.ok);
    const [answer] = value as [{ identities: object[] }];
    expect(answer.identities).toContainEqual(
      expect.objectContaining({
        ...{ identity: BATCH, verdict: 'never' },
        session: expect.objectContaining({ action: 'postgres:connect', verdict: 'never' }),
      }),
    );
  });

  it('says of an approval that it is needed, of the thing itself or of the session', async () => {
    add('held', `@id("held") @approval("dba") ${readsCustomers('principal')}`);
    const { text, value } = await askCommand(asked(), whoCan, 'select', 'shop/public.customers');
    expect(text.replaceAll(/\s+/g, ' ')).toContain('held by held: it needs an approval by rule "dba"');
    const [answer] = value as [{ identities: object[] }];
    expect(answer.identities).toContainEqual(
      expect.objectContaining({ identity: 'spiffe://example.org/shop/web', verdict: 'sometimes' }),
    );
    add('held', '@id("held") @approval("dba") permit(principal, action == Action::"postgres:connect", resource);');
    const apart = await askCommand(asked(), whoCan, 'select', 'shop/public.customers');
    expect(apart.text.replaceAll(/\s+/g, ' ')).toContain(
      'postgres:connect on database shop/shop needs an approval by rule "dba", and sessions are not held for one',
    );
    expect(apart.text).toContain('To let one of them connect, change what wants an approval of it.');
  });

  it('is answered with nobody where all who hold a permit can not connect', async () => {
    add('stop', '@id("stop") forbid(principal, action == Action::"postgres:connect", resource in Target::"shop");');
    const { text, code } = await askCommand(asked(), whoCan, 'select', 'shop/public.customers');
    expect(text).toContain('Nobody can: those who hold a permit can not connect.');
    expect(text.replaceAll('\n', ' ')).toContain('postgres:connect on database shop/shop is refused by stop.');
    expect(text).toContain('To let one of them connect, change what forbids it.');
    expect(code).toBe(exitCodes.no);
  });

  it('says of all of a scope under what they can connect', async () => {
    add('all', `@id("all") ${readsCustomers('principal in TrustDomain::"example.org"')}`);
    const { text } = await askCommand(asked(), whoCan, 'select', 'shop/public.customers');
    expect(text).toContain(
      [
        'any identity of the trust domain example.org',
        '    allowed by all',
        '    and postgres:connect, without which it has no effect, is',
        '      allowed by services-connect where principal in',
      ].join('\n'),
    );
  });

  it('asks a group of what its actions are about, and says once what is the same of several', async () => {
    const { text, value } = await askCommand({ file: [SHOP] }, whoCan, 'any', 'shop/public.customers');
    expect(text).not.toMatch(/connect on|function|notify|everything in table/);
    expect(text.replaceAll('\n', ' ')).toContain(
      'postgres:insert, postgres:update, postgres:delete, postgres:maintain, postgres:ddl on table',
    );
    expect((value as { action: string }[]).map(({ action }) => action)).not.toContain('postgres:call');
    const column = await askCommand({ file: [SHOP] }, whoCan, 'any', 'shop/public.customers.ssn');
    expect((column.value as { action: string }[]).map(({ action }) => action)).toContain('postgres:select');
    await expect(askCommand({ file: [SHOP] }, whoCan, 'connect', 'shop/public.customers')).rejects.toThrow(
      'postgres:connect is about a database, and shop/shop/public/customers is none',
    );
  });

  it('says of a table that no policy names which it may have been, and answers all the same', async () => {
    const slip = await askCommand({ file: [SHOP] }, whoCan, 'select', 'shop/public.custmers');
    expect(slip.text).toContain(
      'note: no policy names table shop/shop/public/custmers (did you mean\n"customers"?); whether it is there only the target knows',
    );
    expect(slip.code).toBe(exitCodes.ok);
    const other = await askCommand({ file: [SHOP] }, whoCan, 'select', 'shop/public.invoices');
    expect(other.text).toContain('(beside it they name\ncustomers, orders)');
    expect(other.value).toMatchObject([{ note: expect.stringContaining('no policy names') }]);
    await expect(askCommand({ file: [SHOP] }, whoCan, 'select', 'shop/shpo/public.orders')).rejects.toThrow(
      'target shop serves no database "shpo" (did you mean "shop"?)',
    );
  });
});

describe('what-can', () => {
  it('says of each target whether one can connect, and of permits without that, that they have no effect', async () => {
    add('batch', batchReads);
    const web = await askCommand(asked(), whatCan, 'spiffe://example.org/shop/web');
    expect(web.text).toContain('\ntarget shop: it can connect, by services-connect\n');
    const { text, value, code } = await askCommand(asked(), whatCan, BATCH);
    expect(text.split('\n').slice(2)).toEqual([
      'target shop: it can not connect: no permit for postgres:connect on everything in',
      'target shop',
      'It can do nothing.',
      'Permitted without effect, since it can not connect there:',
      '  postgres:select on table shop/shop/public/customers',
      '    allowed by batch-reads',
    ]);
    expect(value).toMatchObject({
      targets: [{ target: 'shop', session: { verdict: 'never' } }],
      can: [],
      withoutEffect: [{ action: 'postgres:select', permits: [{ policy: 'batch-reads' }] }],
    });
    expect(code).toBe(exitCodes.no);
  });
});
