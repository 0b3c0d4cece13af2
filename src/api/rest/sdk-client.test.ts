import { ApiProblem, createApiClient } from '@countersign/sdk/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestRest, type TestRest } from '../testing/test-rest.ts';

// Goal: a program that has the SDK says what it means, gets what the types promise, and is told of problems by their codes.

let server: TestRest;
beforeEach(async () => {
  server = await startTestRest();
});
afterEach(() => server.stop());

const target = (name: string) => ({ kind: 'Target', name, spec: { protocol: 'http' } }) as const;

describe('the client of the SDK', () => {
  it('plans, applies by what it has seen, and lists page by page', async () => {
    const api = createApiClient({ unix: server.unix });
    const resources = ['a', 'b', 'c'].map(target);
    const planned = await api.call('resource.plan', { resources });
    expect(planned.output.changes.map(({ action }) => action)).toEqual(['create', 'create', 'create']);
    const options = { ifMatch: planned.tag ?? '', idempotencyKey: 'first' };
    const applied = await api.call('resource.apply', { resources }, options);
    expect(applied).toMatchObject({ output: { revision: 1 }, tag: 'r1', isRepeated: false });
    expect(await api.call('resource.apply', { resources }, options)).toMatchObject({ tag: 'r1', isRepeated: true });
    const names: string[] = [];
    for await (const { name } of api.all('target.list', { limit: 2 })) names.push(name);
    expect(names).toEqual(['a', 'b', 'c']);
    expect((await api.call('target.get', { name: 'b' })).output.spec).toEqual({ protocol: 'http' });
  });

  it('throws problems with their code, what to do, and each thing that is wrong', async () => {
    const api = createApiClient({ unix: server.unix });
    const missing = await api.call('target.get', { name: 'nope' }).catch((error: unknown) => error);
    expect(missing).toBeInstanceOf(ApiProblem);
    expect(missing).toMatchObject({ status: 404, code: 'ERR_ENDPOINT_NOT_FOUND', message: 'there is no target nope' });
    await expect(api.call('target.get', { name: '../a b?' })).rejects.toMatchObject({ code: 'ERR_ENDPOINT_INPUT' });
    const bad = { kind: 'Target', name: 'bad', spec: { wrong: true } } as const;
    await expect(api.call('resource.apply', { resources: [bad] })).rejects.toMatchObject({
      ...{ status: 422, problems: [{ path: 'Target/bad', message: 'wrong is not allowed' }] },
    });
    await expect(api.call('resource.apply', {}, { ifMatch: 'r7' })).rejects.toMatchObject({ status: 412 });
  });

  it('follows, and is told nothing twice', async () => {
    const api = createApiClient({ unix: server.unix });
    const gateway = { spiffeId: 'spiffe://example.org/countersign/gateway', address: '127.0.0.1:7443' };
    const over = new AbortController();
    const seen: string[][] = [];
    let id = '';
    for await (const event of api.follow('gateway.follow', {}, { signal: over.signal })) {
      seen.push(event.event.gateways.map(({ address, state }) => `${address} ${state}`));
      id = event.id;
      if (seen.length === 1) await server.resources.reportGateway({ ...gateway, connected: true });
      else break;
    }
    expect(seen).toEqual([[], ['127.0.0.1:7443 serving']]);
    const again = api.follow('gateway.follow', {}, { signal: over.signal, lastEventId: id });
    const next = again.next();
    await server.resources.reportGateway({ ...gateway, address: '127.0.0.1:7444', connected: true });
    expect((await next).value?.event.gateways).toHaveLength(2);
    await again.return(undefined);
  });

  it('ends when its caller has had enough', async () => {
    const api = createApiClient({ unix: server.unix });
    const over = new AbortController();
    const events = api.follow('gateway.follow', {}, { signal: over.signal });
    await events.next();
    const next = events.next();
    over.abort();
    await expect(next).rejects.toThrow(/abort/i);
  });

  it('says that nobody is there', async () => {
    const api = createApiClient({ unix: `${server.unix}-not` });
    await expect(api.call('target.list', {})).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
