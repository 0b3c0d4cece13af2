import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CliCommand, exitCodes } from '../../command.ts';
import { askCommand } from '../../testing/ask-command.ts';
import { command as check } from './check.ts';
import { command as explain } from './explain.ts';
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

describe('explain', () => {
  const asked = (request: string, as = WEB, target = 'api', ...more: readonly string[]) =>
    askCommand({ file: [SHOP, directory, ...more], as, request }, explain, target);

  it('answers a request as the gateway would, with its values and the fields that are masked', async () => {
    const { text, value, code } = await asked('GET /v1/customers/7');
    expect(text).toBe(
      [
        'http:connect on origin api: allowed by api-connect',
        'http:get on route api/customer (method "GET", path "/v1/customers/7", host',
        '"127.0.0.1", path.id "7"): allowed by api-customer; masks body.ssn:redact',
        'note: its host is taken for 127.0.0.1',
      ].join('\n'),
    );
    expect(value).toMatchObject({
      allowed: true,
      questions: [
        { resource: { type: 'Http::Origin', id: 'api' } },
        {
          resource: { id: 'api/customer', tags: { 'path.id': '7' } },
          decision: { obligations: { masks: { 'body.ssn': 'redact' } } },
        },
      ],
    });
    expect(code).toBe(exitCodes.ok);
  });

  it('reads fields and a JSON body below it', async () => {
    const request = 'POST /v1/orders\nX-Tenant: a\n\n{"amount": 2}';
    const { text, code } = await asked(request);
    expect(text.replaceAll('\n', ' ')).toContain(
      '(method "POST", path "/v1/orders", host "127.0.0.1", header.x-tenant "a", body.amount "2")',
    );
    expect(code).toBe(exitCodes.ok);
    expect((await asked('POST /v1/orders {"amount": 2}')).text).toContain('a request begins with its method and path');
  });

  it('suggests a permit for what policy decides by, and no more, which allows it', async () => {
    const request = 'POST /v1/orders\nX-Tenant: a\n\n{"amount": 3}';
    const { text, value, code } = await asked(request);
    expect(code).toBe(exitCodes.no);
    expect(text).toContain('permit api-orders is about it, and does not apply, because of its when');
    expect(text).toContain('when { resource.hasTag("body.amount") && resource.getTag("body.amount") == "3" };');
    expect(text).not.toContain('hasTag("header');
    expect(await suggestedAllows(value, request)).toBe(exitCodes.ok);
    const other = 'spiffe://example.org/shop/reports';
    const missing = await asked('GET /v1/customers/7', other);
    expect(missing.text).toContain('@mask("body.ssn:redact")');
    expect(await suggestedAllows(missing.value, 'GET /v1/customers/7', other)).toBe(exitCodes.ok);
    const bodyless = await asked('POST /v1/orders', other);
    expect(bodyless.text).toContain('when { !resource.hasTag("body.amount") };');
    expect(await suggestedAllows(bodyless.value, 'POST /v1/orders', other)).toBe(exitCodes.ok);
    expect((await asked('GET /v1/customers', other)).text).toContain(
      'resource == Http::Route::"api/customers"\n        );',
    );
  });

  it('says in words why a request is refused whatever policies say', async () => {
    const { text, code } = await asked('GET /v1/customers/../admin');
    expect(text).toMatch(/^refused, whatever policies say: the path has /);
    expect(code).toBe(exitCodes.no);
    expect((await asked('GET /V1/customers')).text.replaceAll('\n', ' ')).toContain(
      'letter case or form of characters alone; write it as /v1/customers',
    );
    expect((await asked('GET')).text.replaceAll('\n', ' ')).toContain(
      'begins with its method and path: GET /v1/customers/7',
    );
  });

  it('names the option that fits the protocol', async () => {
    await expect(asked('GET /', WEB, 'shop')).rejects.toThrow(
      'target shop speaks postgres: ask about it with --sql "select …", not with --request',
    );
    const sql = { file: [SHOP, directory], as: WEB, sql: 'select 1' };
    await expect(askCommand(sql, explain, 'api')).rejects.toThrow(
      "target api speaks http: ask about it with --request 'GET /path', not with --sql",
    );
    await expect(askCommand({ ...sql, request: 'GET /' }, explain, 'api')).rejects.toThrow('give one of them');
    await expect(asked('GET /', WEB, 'api/customer')).rejects.toThrow('name the target alone, api');
  });

  it('answers one question too, by a short action', async () => {
    const context = '{"method":"GET","path":"/v1/customers/7","host":"api"}';
    const options = { file: [SHOP, directory], principal: WEB, action: 'get', resource: 'route:api/customer', context };
    const { text } = await askCommand(options, explain);
    expect(text).toContain('because of its when');
    const tagged = await askCommand({ ...options, tags: '{"path.id":"7"}' }, explain);
    expect(tagged.text).toContain('allowed by api-customer\n  mask body.ssn: redact');
    await expect(askCommand({ ...options, tags: '7' }, explain)).rejects.toThrow('--tags is a JSON object');
    await expect(askCommand({ ...options, context: '{}' }, explain)).rejects.toThrow(
      '--context lacks method, path, host',
    );
  });

  async function suggestedAllows(value: unknown, request: string, as = WEB) {
    const { questions } = value as { questions: { suggestion?: { cedar: string } }[] };
    const text = questions.map(({ suggestion }) => suggestion?.cedar ?? '').join('\n');
    const folder = mkdtempSync(join(tmpdir(), 'apis-suggested-'));
    writeFileSync(join(folder, 'suggested.cedar'), text);
    try {
      expect(await askCommand({ strict: true }, check, join(folder, 'suggested.cedar'))).toMatchObject({
        code: exitCodes.ok,
      });
      return (await asked(request, as, 'api', folder)).code;
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
});
