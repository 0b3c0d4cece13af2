import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { policySchema } from '../../app/policy-schema.ts';
import { checkPolicies } from '../../policy/index.ts';
import { exitCodes } from '../command.ts';
import { command as check } from '../commands/policy/check.ts';
import { command as explain } from '../commands/policy/explain.ts';
import { askCommand } from '../testing/ask-command.ts';

// Goal: whoever follows the advice has what was refused, and opens nothing that others on the table have masked.

const SHOP = join(import.meta.dirname, '../../../examples/shop');
const WEB = 'spiffe://example.org/shop/web';
const OTHER = 'spiffe://example.org/other';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'suggest-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Told {
  readonly allowed: boolean;
  readonly questions: readonly { readonly suggestion?: { readonly id: string; readonly cedar: string } }[];
  readonly unmasking?: {
    readonly columns: readonly string[];
    readonly replaced: readonly { readonly id: string; readonly cedar: string }[];
    readonly added: readonly { readonly id: string; readonly cedar: string }[];
  };
}

async function ask(sql: string, as: string, ...more: readonly string[]) {
  const told = await askCommand({ file: [SHOP, ...more], as, sql }, explain, 'shop');
  return { ...told, told: told.value as Told };
}

describe('a permit that is suggested', () => {
  it.each([
    ['select * from customers', OTHER],
    ['select id from orders', OTHER],
    ['update customers set name = $1 where id = 1', WEB],
    ['delete from orders', WEB],
    ['select o.id from sales.orders o, orders p', OTHER],
    ['insert into "a""b\\c" values (1)', OTHER],
    ['select * from "x /y"', 'spiffe://example.org'],
    ['vacuum customers', WEB],
    ['notify done', WEB],
  ])('allows what was refused, and is fine by the strictest check: %s', async (sql, as) => {
    const { told, code } = await ask(sql, as);
    expect(code).toBe(exitCodes.no);
    const suggested = told.questions.flatMap(({ suggestion }) => suggestion ?? []);
    expect(suggested.length).toBeGreaterThan(0);
    const file = join(folder, 'suggested.cedar');
    writeFileSync(file, suggested.map(({ cedar }) => cedar).join('\n'));
    expect((await ask(sql, as, file)).told.allowed).toBe(true);
    expect(await askCommand({ strict: true }, check, file)).toMatchObject({ code: exitCodes.ok });
    const { compiled } = checkPolicies(
      [{ name: 'p', text: suggested.map(({ cedar }) => cedar).join('\n') }],
      policySchema,
    );
    expect(compiled?.policies.map(({ id }) => id)).toEqual(suggested.map(({ id }) => id).toSorted());
    expect(compiled?.policies.map(({ id }) => compiled.scopesOf(id))).toEqual(
      suggested.map(() => ({
        principal: { op: 'equals', type: 'Identity', id: as },
        actions: [expect.any(String)],
        resource: expect.objectContaining({ op: 'equals' }),
      })),
    );
  });

  it('has the masks and limits that stand on the table for others, and says so', async () => {
    const { text } = await ask('select * from customers', OTHER);
    expect(text).toContain(
      [
        '        // masks, limit and recording as customers-masked has it',
        '        @id("other-select-customers")',
        '        @mask("card:last4, email:email, ssn:redact")',
        '        @limit("rows=1000")',
        '        permit(',
      ].join('\n'),
    );
    expect(text).toContain('(columns\n["card","email","ssn"] and others, hasWhere false)');
    expect((await ask('select * from orders', OTHER)).text).toContain('(all columns, hasWhere false)');
  });

  it('has an id that no other policy has', async () => {
    const taken = join(folder, 'taken.cedar');
    writeFileSync(
      taken,
      '@id("other-select-orders") permit(principal == Identity::"spiffe://example.org/x", action, resource);',
    );
    const { told } = await ask('select o.id from orders o, sales.orders p', OTHER, taken);
    expect(told.questions.map(({ suggestion }) => suggestion?.id)).toEqual([
      'other-connect-shop',
      'other-select-orders-2',
      'other-select-orders-3',
    ]);
  });

  it('is told of one request too, and not where a forbid refuses it', async () => {
    const one = {
      principal: WEB,
      resource: 'table:shop/shop/public/orders',
      context: '{"columns":[],"hasWhere":true}',
    };
    const { text } = await askCommand({ ...one, action: 'postgres:delete' }, explain, SHOP);
    expect(text).toContain('To allow it, add this to your policies and apply them:\n@id("web-delete-orders")\npermit(');
    expect((await askCommand({ ...one, action: 'postgres:truncate' }, explain, SHOP)).text).not.toContain(
      'To allow it',
    );
    expect((await ask('truncate orders', WEB)).text).not.toContain('To allow it');
  });
});

describe('a statement that masks refuse', () => {
  it.each([
    ["select name from customers where ssn = '1'", ['ssn']],
    ['select upper(email) from customers order by card', ['card', 'email']],
  ])('is told the fewest columns to leave out, and what would unmask them for this identity alone: %s', async (sql, columns) => {
    const { told, text } = await ask(sql, WEB);
    expect(told.unmasking?.columns).toEqual(columns);
    expect(text).toContain(`To allow it, leave ${columns.join(', ')} out of all but the output`);
    const { replaced = [], added = [] } = told.unmasking ?? {};
    expect(replaced.map(({ id }) => id)).toEqual(['customers-masked']);
    expect(added.map(({ cedar }) => columns.some((column) => cedar.includes(`${column}:`)))).toEqual([false]);
    const all = [...replaced, ...added].map(({ cedar }) => cedar).join('\n');
    writeFileSync(
      join(folder, 'own.cedar'),
      `${all}\n@id("connects") permit(principal, action == Action::"postgres:connect", resource);`,
    );
    const asked = (as: string) => askCommand({ file: [folder, join(SHOP, 'target.yaml')], as, sql }, explain, 'shop');
    expect((await asked(WEB)).code).toBe(exitCodes.ok);
    expect((await asked('spiffe://example.org/shop/reports')).text).toContain('refused all the same');
  });
});
