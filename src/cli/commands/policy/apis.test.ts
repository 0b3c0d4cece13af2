import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CliCommand, exitCodes } from '../../command.ts';
import { askCommand } from '../../testing/ask-command.ts';
import { command as list } from './list.ts';
import { command as whatCan } from './what-can.ts';
import { command as whoCan } from './who-can.ts';

// Goal: of an API one asks as of a database, also where both are declared.

const SHOP = join(import.meta.dirname, '../../../../examples/shop');
const WEB = 'spiffe://example.org/shop/web';
const API = `
kind: Target
name: api
spec:
  protocol: http
  url: http://127.0.0.1:8085
  routes:
    - { name: customers, methods: [GET], path: /v1/customers }
    - { name: customer, methods: [GET, DELETE], path: "/v1/customers/{id}" }
    - { name: orders, methods: [POST], path: /v1/orders, reads: [body.amount, header.x-tenant] }
`;
const POLICIES = `
@id("api-connect") permit(principal in IdentityPath::"spiffe://example.org/shop", action == Action::"http:connect", resource == Http::Origin::"api");
@id("api-customer") @mask("body.ssn:redact")
permit(principal == Identity::"${WEB}", action in Action::"http:read", resource == Http::Route::"api/customer")
when { resource.hasTag("path.id") && resource.getTag("path.id") != "13" };
@id("api-orders") permit(principal == Identity::"${WEB}", action == Action::"http:post", resource == Http::Route::"api/orders")
when { resource.hasTag("body.amount") && ["1", "2"].contains(resource.getTag("body.amount")) };
`;

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'apis-'));
  writeFileSync(join(directory, 'api.yaml'), API);
  writeFileSync(join(directory, 'api.cedar'), POLICIES);
});
afterAll(() => rmSync(directory, { recursive: true }));

const ask = (command: CliCommand, ...args: readonly string[]) =>
  askCommand({ file: [SHOP, directory] }, command, ...args);

describe('who-can', () => {
  it('takes words that both protocols have for those of the target', async () => {
    const { value: reading } = await ask(whoCan, 'read', 'api/customer');
    expect(reading).toMatchObject([{ action: 'http:get' }, { action: 'http:head' }, { action: 'http:options' }]);
    const { value: sql } = await ask(whoCan, 'read', 'shop/public.customers');
    expect(sql).toMatchObject([{ action: 'postgres:select', resource: 'table shop/shop/public/customers' }]);
    const { text } = await ask(whoCan, 'connect', 'api');
    expect(text).toContain('http:connect on origin api, by the policies in the files:');
    expect((await ask(whoCan, 'any', 'shop')).text).not.toContain('http:');
  });

  it('says who reaches a route, masked, and on what its values decide', async () => {
    const { text, code } = await ask(whoCan, 'get', 'api/customer');
    expect(text).toBe(
      [
        'http:get on route api/customer, by the policies in the files:',
        WEB,
        '    allowed by api-customer when resource.hasTag("path.id") &&',
        '    (resource.getTag("path.id") != "13"); masks body.ssn:redact',
      ].join('\n'),
    );
    expect(code).toBe(exitCodes.ok);
  });

  it('has no word on whether a route is there, which the declaration says', async () => {
    const { text, code } = await ask(whoCan, 'get', 'api/customers');
    expect(text).toContain('Nobody can');
    expect(text).not.toContain('note:');
    expect(code).toBe(exitCodes.no);
    await expect(ask(whoCan, 'get', 'api/custmer')).rejects.toThrow('did you mean "customer"?');
    await expect(ask(whoCan, 'select', 'api')).rejects.toThrow('no action "select" of http (postgres:select is)');
  });
});

describe('what-can', () => {
  it('lists routes and tables, and whether both can be connected to', async () => {
    const { text } = await ask(whatCan, WEB);
    expect(text).toContain('target api: it can connect, by api-connect');
    expect(text).toContain('http:get, http:head, http:options on route api/customer');
    expect(text).toMatch(
      /http:post on route api\/orders\n {4}allowed by api-orders when resource\.hasTag\("body\.amount"\)/,
    );
    expect(text).toContain('postgres:select on table shop/shop/public/customers');
  });
});

describe('list', () => {
  it('has policies of both', async () => {
    const { text } = await ask(list);
    expect(text).toMatch(/^api-orders +permit +api/m);
    expect(text).toMatch(/^customers-masked +permit/m);
  });
});
