import { describe, expect, it } from 'vitest';
import { noObligations } from '../../../../model/index.ts';
import { askedAsWritten } from './index.ts';

const config = {
  url: 'https://api.internal:8443',
  routes: [{ name: 'pay', path: '/v1/pay/{id}', reads: ['query.dry', 'header.x-tenant', 'body.amount'] }],
};
const asked = (command: string, changed = {}) =>
  askedAsWritten(command, { name: 'billing', config: { ...config, ...changed } });
const second = (command: string) => {
  const found = asked(command);
  return found.ok ? found.questions[1] : found.why;
};

describe('a request as a person writes it', () => {
  it('asks to connect, and then what it asks', () => {
    expect(asked('GET /v1/pay/7?dry=1')).toMatchObject({
      ok: true,
      questions: [
        { action: 'http:connect', resource: { type: 'Http::Origin', id: 'billing' }, context: {} },
        {
          action: 'http:get',
          resource: { id: 'billing/pay', tags: { 'path.id': '7', 'query.dry': '1' } },
          context: { method: 'GET', path: '/v1/pay/7', host: 'api.internal' },
        },
      ],
      notes: ['its host is taken for api.internal'],
    });
  });

  it.each([
    'POST /v1/pay/7\nHost: a.test\nX-Tenant: t\n\n{"amount": 5}',
    'POST https://a.test/v1/pay/7 HTTP/1.1\r\nx-tenant:t\r\n{"amount":\r\n5}',
  ])('has fields and a body: %j', (command) => {
    expect(asked(command)).toMatchObject({
      questions: [
        {},
        {
          action: 'http:post',
          resource: { tags: { 'path.id': '7', 'header.x-tenant': 't', 'body.amount': '5' } },
          context: { host: 'a.test' },
        },
      ],
      notes: [],
    });
  });

  it('says what it takes for granted', () => {
    expect(asked('POST /v1/pay/7\nHost: a.test')).toMatchObject({ notes: [expect.stringContaining('no body here')] });
    expect(asked('GET /x\nHost: a.test')).toMatchObject({ notes: [expect.stringContaining('no route takes it')] });
    expect(asked('GET /x', { hosts: ['b.test'] })).toMatchObject({ questions: [{}, { context: { host: 'b.test' } }] });
  });

  it.each([
    ['', /begins with its method/],
    ['/v1/pay/7', /begins with its method/],
    ['GET /v1/../x', /dot segment; send the path resolved/],
    ['GET /x\nX_Tenant: a', /other characters/],
    ['POST /x\n\n{"a":', /no JSON/],
    ['POST /v1/pay/7\n\n{"Amount": 5}', /another spelling/],
    ['GET /x\nHost: a b', /no name or address/],
    ['TRACE /x', /TRACE/],
  ])('is refused: %j', (command, why) => {
    expect(second(command)).toMatch(why);
  });

  it('is refused for a config that is none', () => {
    expect(asked('GET /x', { url: 'ftp://x' })).toMatchObject({ ok: false, why: expect.stringContaining('billing') });
  });

  it('to open a WebSocket is refused under masks', () => {
    const mask = { path: ['body', 'ssn'], kind: 'redact' as const };
    const policy = (masks: readonly (typeof mask)[]) => ({
      decide: () => ({ allow: true as const, policies: ['p'], obligations: { ...noObligations, masks } }),
      potentialMasks: () => [],
    });
    const open = asked('GET /x\nConnection: upgrade\nUpgrade: websocket');
    const plain = asked('GET /x');
    if (!open.ok || !plain.ok) throw new Error('both are understood');
    expect(open.questions[1]?.action).toBe('http:upgrade');
    expect(open.refusedUnder(policy([mask]))).toMatch(/WebSocket/);
    expect(open.refusedUnder(policy([]))).toBeUndefined();
    expect(plain.refusedUnder(policy([mask]))).toBeUndefined();
  });
});
