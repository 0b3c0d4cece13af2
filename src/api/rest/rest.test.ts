import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestRest, type TestRest } from '../testing/test-rest.ts';

// Goal: what is declared can be seen and changed by REST as by gRPC: who may, what is told, and what is recorded are the same.

let server: TestRest;
beforeEach(async () => {
  server = await startTestRest({ readOperator: () => ({ uid: 1000, text: 'ada (uid 1000)' }) });
});
afterEach(() => server.stop());

const target = (name: string, spec: object = { protocol: 'http' }) => ({ kind: 'Target', name, spec });
const apply = (body: object, headers: Record<string, string> = {}) =>
  server.ask({ method: 'POST', path: '/v1/apply', body, headers });

describe('what is declared', () => {
  it('is applied, listed and shown', async () => {
    const policy = { kind: 'Policy', name: 'all', spec: { cedar: 'permit(principal, action, resource);' } };
    const applied = await apply({ resources: [target('shop'), policy] });
    expect([applied.status, applied.headers.etag, applied.json['revision']]).toEqual([200, '"r1"', 1]);
    expect(applied.json['changes']).toMatchObject([
      { kind: 'Policy', name: 'all', action: 'create' },
      { kind: 'Target', name: 'shop', action: 'create' },
    ]);
    expect((await server.ask({ path: '/v1/targets' })).json).toEqual({
      ...{ items: [{ name: 'shop', spec: { protocol: 'http' } }], revision: 1 },
    });
    expect((await server.ask({ path: '/v1/policies/all' })).json).toEqual({
      ...{ name: 'all', cedar: 'permit(principal, action, resource);', revision: 1 },
    });
  });

  it('is planned without being done', async () => {
    const planned = await server.ask({ method: 'POST', path: '/v1/plan', body: { resources: [target('shop')] } });
    expect(planned.json).toMatchObject({ revision: 0, changes: [{ name: 'shop', action: 'create' }] });
    expect((await server.ask({ path: '/v1/targets' })).json).toEqual({ items: [], revision: 0 });
    expect(server.ledger).toEqual([]);
  });

  it('is refused whole, with every problem by its name', async () => {
    const answer = await apply({
      resources: [target('good'), target('bad', { wrong: true })],
      entries: [{ id: 'a', spiffeId: 'spiffe://example.org/spire/server', selectors: ['unix:uid:1'] }],
    });
    expect(answer.status).toBe(422);
    expect(answer.json).toMatchObject({
      code: 'ERR_ENDPOINT_REFUSED',
      problems: [{ path: 'Target/bad', message: 'wrong is not allowed' }],
    });
    const entries = await apply({
      resources: [target('good')],
      entries: [{ id: 'a', spiffeId: 'spiffe://example.org/spire/server', selectors: ['unix:uid:1'] }],
    });
    expect(entries.json).toMatchObject({ status: 422, problems: [{ path: 'Entry/a' }] });
    expect((await server.ask({ path: '/v1/targets' })).json).toMatchObject({ items: [] });
  });

  it('holds entries too, which keep what is said of them', async () => {
    const attributes = { owner: 'shop-team', environment: 'test', labels: { tier: 'web' } };
    const entry = { id: 'web', spiffeId: 'spiffe://example.org/web', selectors: ['unix:uid:7'], attributes };
    expect((await apply({ entries: [entry] })).status).toBe(200);
    const shown = await server.ask({ path: '/v1/entries/web' });
    expect(shown.json).toMatchObject({
      ...entry,
      parentId: 'spiffe://example.org/countersign/nodes',
      admin: false,
      x509TtlSeconds: 0,
    });
    expect((await server.ask({ path: '/v1/entries?spiffeId=spiffe://example.org/web' })).json).toMatchObject({
      items: [{ id: 'web' }],
    });
    expect((await server.ask({ path: '/v1/entries?spiffeId=spiffe://example.org/other' })).json).toEqual({ items: [] });
    expect((await server.ask({ path: '/v1/entries/none' })).json).toMatchObject({ status: 404 });
  });

  it('is read in pages, each item once, by a cursor that belongs to its question', async () => {
    await apply({ resources: ['a', 'b', 'c', 'd', 'e'].map((name) => target(name)) });
    const seen: unknown[] = [];
    let cursor = '';
    for (let page = 0; page < 3; page++) {
      const { json } = await server.ask({ path: `/v1/targets?limit=2${cursor}` });
      seen.push(...(json['items'] as { name: string }[]).map(({ name }) => name));
      cursor = `&cursor=${json['next']}`;
      if (json['next'] === undefined) break;
    }
    expect(seen).toEqual(['a', 'b', 'c', 'd', 'e']);
    const first = (await server.ask({ path: '/v1/targets?limit=2' })).json['next'];
    expect((await server.ask({ path: `/v1/policies?cursor=${first}` })).json).toMatchObject({
      ...{ status: 400, code: 'ERR_ENDPOINT_CURSOR' },
    });
  });
});

describe('a tag', () => {
  it('spares an answer that the caller has', async () => {
    await apply({ resources: [target('shop')] });
    const { headers } = await server.ask({ path: '/v1/targets' });
    const seen = (tag: string) => server.ask({ path: '/v1/targets', headers: { 'if-none-match': tag } });
    expect(headers.etag).toBe('"r1"');
    expect(await seen('"r1"')).toMatchObject({ status: 304, text: '', headers: { etag: '"r1"' } });
    expect((await seen('"x", W/"r1"')).status).toBe(304);
    expect((await seen('"r0"')).status).toBe(200);
    const gateways = await server.ask({ path: '/v1/gateways' });
    expect(
      (await server.ask({ path: '/v1/gateways', headers: { 'if-none-match': `${gateways.headers.etag}` } })).status,
    ).toBe(304);
  });

  it('keeps a change from undoing another one', async () => {
    const { headers } = await apply({ resources: [target('shop')] });
    const seen = { 'if-match': `${headers.etag}` };
    expect((await apply({ resources: [target('zoo')] }, seen)).status).toBe(200);
    const late = await apply({ resources: [target('bar')] }, seen);
    expect(late.json).toMatchObject({ status: 412, code: 'ERR_ENDPOINT_CHANGED' });
    for (const tag of ['"x"', '"r01"']) expect((await apply({}, { 'if-match': tag })).status).toBe(412);
    for (const tag of ['r2', 'W/"r2"', '"r2", "r3"']) expect((await apply({}, { 'if-match': tag })).status).toBe(400);
    expect((await server.ask({ path: '/v1/targets', headers: seen })).json).toMatchObject({ code: 'ERR_REST_HEADER' });
  });
});

describe('an act', () => {
  it('is in the ledger before and after, with who did it', async () => {
    await apply({ resources: [target('shop')] });
    const common = { kind: 'admin', actor: 'unix:uid:1000', target: 'resources', action: 'Apply' };
    const operator = 'ada (uid 1000)';
    expect(server.ledger).toMatchObject([
      { ...common, detail: { operator, endpoint: 'resource.apply', step: 'request', names: ['Target/shop'] } },
      { ...common, detail: { operator, step: 'done', revision: 1, changes: ['create Target/shop'] } },
    ]);
    await apply({ resources: [target('bad', { wrong: true })] });
    expect(server.ledger.at(-1)).toMatchObject({ ...common, detail: { step: 'failed' } });
  });

  it('does not happen where it can’t be recorded', async () => {
    server.write.fails = true;
    const answer = await apply({ resources: [target('shop')] });
    expect(answer.json).toMatchObject({ status: 500, code: 'ERR_REST_INTERNAL' });
    expect(answer.text).not.toContain('disk');
    expect((await server.ask({ path: '/v1/targets' })).json).toMatchObject({ items: [] });
  });

  it('is done once by one key, and answered alike each time', async () => {
    const key = { 'idempotency-key': '"k1"' };
    const first = await apply({ resources: [target('shop')] }, key);
    const again = await apply({ resources: [target('shop')] }, { 'idempotency-key': 'k1' });
    expect([again.status, again.text, again.headers.etag]).toEqual([200, first.text, '"r1"']);
    expect([first.headers['idempotency-replayed'], again.headers['idempotency-replayed']]).toEqual([undefined, 'true']);
    expect(server.ledger).toHaveLength(2);
    const other = await apply({ resources: [target('zoo')] }, key);
    expect(other.json).toMatchObject({ status: 422, code: 'ERR_REST_KEY_REUSED' });
    server.clock.step(24 * 3_600_000 + 1);
    expect((await apply({ resources: [target('zoo')] }, key)).status).toBe(200);
  });

  it('that was refused leaves its key free', async () => {
    const key = { 'idempotency-key': 'k1' };
    expect((await apply({ resources: [target('bad', { wrong: true })] }, key)).status).toBe(422);
    expect((await apply({ resources: [target('bad')] }, key)).status).toBe(200);
  });

  it('whose end is not known keeps its key, and says so', async () => {
    server.write.fails = true;
    const key = { 'idempotency-key': 'k1' };
    expect((await apply({ resources: [target('shop')] }, key)).status).toBe(500);
    server.write.fails = false;
    const again = await apply({ resources: [target('shop')] }, key);
    expect([again.json['code'], again.headers['retry-after']]).toEqual(['ERR_REST_KEY_IN_USE', '1']);
  });

  it('that comes many times at once is done once', async () => {
    const all = await Promise.all(
      Array.from({ length: 8 }, () => apply({ resources: [target('shop')] }, { 'idempotency-key': 'k1' })),
    );
    expect(server.ledger.filter(({ detail }) => detail['step'] === 'request')).toHaveLength(1);
    for (const { status } of all) expect([200, 409]).toContain(status);
  });

  it.each(['', ' ', 'a b', '"a', 'a"b', 'x'.repeat(256), 'é'])('has no key %j', async (key) => {
    const headers = { 'idempotency-key': Buffer.from(key).toString('latin1') };
    expect((await apply({}, headers)).json).toMatchObject({ status: 400, code: 'ERR_REST_HEADER' });
  });
});

describe('the document of the API', () => {
  it('is served, and is the one that is in the reference', async () => {
    const { status, json } = await server.ask({ path: '/v1/openapi.json' });
    const kept = JSON.parse(readFileSync(new URL('../../../docs/reference/openapi.json', import.meta.url), 'utf8'));
    expect(status).toBe(200);
    expect(json).toEqual(kept);
  });
});
