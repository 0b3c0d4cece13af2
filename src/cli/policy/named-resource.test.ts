import { describe, expect, it } from 'vitest';
import { UsageError } from '../command.ts';
import { namedAction, namedActions } from './named-actions.ts';
import { namedResource } from './named-resource.ts';

// Goal: whoever asks about a resource names it as they would say it.

const targets = new Map([
  ['shop', ['shop']],
  ['many', ['main', 'other']],
  ['unknown', undefined],
]);
const named = (text: string, action = 'postgres:select') => namedResource(text, { action, targets });

describe('a resource', () => {
  it.each([
    ['shop/public.customers', 'postgres:select', 'table shop/shop/public/customers'],
    ['many/public.customers', 'postgres:select', 'table many/main/public/customers'],
    ['many/other/public.customers', 'postgres:ddl', 'table many/other/public/customers'],
    ['table:many/other/public/customers', 'postgres:select', 'table many/other/public/customers'],
    ['shop/"Odd.Name"."a/b"', 'postgres:select', 'table shop/shop/Odd.Name/a%2Fb'],
    ['shop/public.close_month', 'postgres:call', 'function shop/shop/public/close_month'],
    ['shop', 'postgres:connect', 'database shop/shop'],
    ['many/other', 'postgres:connect', 'database many/other'],
  ])('%s is, for %s, the %s', (text, action, label) => {
    const { part, label: found } = named(text, action);
    expect(found).toBe(label);
    expect(part).toMatchObject({ id: label.slice(label.indexOf(' ') + 1), attributes: {} });
  });

  it.each([
    ['shop', 'postgres:select', 'everything in target shop'],
    ['many', 'postgres:connect', 'everything in target many'],
    ['many/other', 'postgres:select', 'everything in database many/other'],
    ['shop/shop', 'postgres:ddl', 'everything in database shop/shop'],
    ['shop/shop/public', 'postgres:select', 'everything in schema shop/shop/public'],
    ['schema:shop/shop/public', 'postgres:select', 'everything in schema shop/shop/public'],
  ])('%s is, for %s, %s', (text, action, label) => {
    const { part, label: found } = named(text, action);
    expect(found).toBe(label);
    expect(part).toMatchObject({ op: 'in', id: label.slice(label.lastIndexOf(' ') + 1) });
  });

  it('may be a column, of actions that tell which they work with', () => {
    const column = named('shop/public.customers.ssn');
    expect(column).toMatchObject({
      label: 'column ssn of table shop/shop/public/customers',
      column: { attribute: 'columns', name: 'ssn' },
    });
    expect(() => named('shop/public.customers.ssn', 'postgres:ddl')).toThrow(/not about columns; name the table/);
  });

  it.each([
    ['shpo', /^no target "shpo" is declared \(did you mean "shop"\?\)$/],
    ['unknown/public.a', /^which database of unknown\? Write unknown\/DATABASE\/SCHEMA.TABLE$/],
    ['shop/public.', /^"shop\/public." is no name of a resource; write TARGET, /],
    ['', /is no name of a resource/],
    ['shop.x/public.a', /^no target|is no name of a resource/],
    ['shop/a.b/c', /is no name of a resource/],
    ['shop/a.b.c.d', /^postgres:select is about no such thing as shop\/shop\/a\/b\/c\/d$/],
    ['tabel:a/b/c/d', /^there is no resource kind "tabel"/],
    ['table:a/b', /^the id of a table is/],
  ])('%s is none', (text, message) => {
    expect(() => named(text)).toThrow(UsageError);
    expect(() => named(text)).toThrow(message);
  });
});

describe('an action', () => {
  it('may leave out its protocol, and may be a group where all of it is asked about', () => {
    expect(namedAction('select')).toBe('postgres:select');
    expect(namedActions('write')).toEqual([
      'postgres:insert',
      'postgres:update',
      'postgres:delete',
      'postgres:truncate',
    ]);
    expect(() => namedAction('postgres:write')).toThrow('postgres:write is a group of actions; ask about one of them');
    expect(() => namedActions('selct')).toThrow('there is no action "selct" (did you mean "select"?)');
  });
});
