import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { agentsOf } from '../testing/agents.ts';
import { startTestRest, type TestRest } from '../testing/test-rest.ts';

// Goal: who calls over TLS is who the SVID or the token says, at that moment; who is nobody learns nothing, and who may not is told why.

let server: TestRest;
beforeEach(async () => {
  server = await startTestRest();
});
afterEach(() => server.stop());

const AUDIENCE = 'spiffe://example.org/spire/server';
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const targets = (more: object = {}) => server.ask({ path: '/v1/targets', as: 'nobody', ...more });

describe('over TLS', () => {
  it('an identity with an admin entry may, by its X.509-SVID, and its acts are its own', async () => {
    await server.makeAdmin('/ops/ada');
    const as = await server.identify('/ops/ada');
    expect((await targets({ as })).status).toBe(200);
    await server.ask({ method: 'POST', path: '/v1/apply', body: {}, as });
    expect(server.ledger[0]).toMatchObject({ actor: 'spiffe://example.org/ops/ada', action: 'Apply' });
    expect(server.ledger[0]?.detail).not.toHaveProperty('operator');
  });

  it('an identity without one is told who it is, what it asked for, and that nothing permits it', async () => {
    const answer = await targets({ as: await server.identify('/web') });
    expect(answer.json).toMatchObject({
      status: 403,
      code: 'ERR_REST_FORBIDDEN',
      detail: 'spiffe://example.org/web may not do countersign:target.list of System: no policy of the API permits it',
    });
    const one = await server.ask({ path: '/v1/targets/shop', as: await server.identify('/web') });
    expect(one.json['detail']).toContain('countersign:target.get of DeclaredTarget shop');
  });

  it('an admin whose entry is gone may no more, on the same connection or another', async () => {
    await server.makeAdmin('/ops/ada');
    const as = await server.identify('/ops/ada');
    expect((await targets({ as })).status).toBe(200);
    await server.registration.batchDelete(['admin.ops.ada']);
    expect((await targets({ as })).status).toBe(403);
  });

  it('nobody is told nothing but how to prove who they are', async () => {
    for (const path of ['/v1/targets', '/v1/openapi.json', '/v1/nowhere']) {
      const answer = await server.ask({ path, as: 'nobody' });
      expect([answer.status, answer.json['code']], path).toEqual([401, 'ERR_REST_CALLER']);
      expect(answer.headers['www-authenticate']).toBe(`Bearer realm="${AUDIENCE}"`);
      expect(answer.json['detail']).toContain(AUDIENCE);
    }
  });

  it('a certificate that is over, or of no authority here, proves nothing', async () => {
    await server.makeAdmin('/ops/ada');
    const as = await server.identify('/ops/ada');
    server.clock.step(3_600_000 + 60_000);
    expect((await targets({ as })).json).toMatchObject({ status: 401, detail: expect.stringContaining('expired') });
    const other = await startTestRest();
    try {
      const stranger = await other.identify('/ops/ada');
      expect((await targets({ as: stranger })).status).toBe(401);
    } finally {
      await other.stop();
    }
  });

  it('the agent of a node is a node, and looks after nothing but that', async () => {
    const as = await agentsOf(server).join();
    const answer = await targets({ as });
    expect(answer.json['detail']).toMatch(/^spiffe:\/\/example\.org\/spire\/agent\/join_token\/\S+ may not do/);
  });
});

describe('a token', () => {
  it('for the server’s own audience stands for its identity', async () => {
    await server.makeAdmin('/ops/ada');
    const token = await server.token('/ops/ada', AUDIENCE);
    expect((await targets({ headers: bearer(token) })).status).toBe(200);
    expect((await targets({ headers: { authorization: `bearer  ${token}` } })).status).toBe(200);
    const web = await server.token('/web', AUDIENCE);
    expect((await targets({ headers: bearer(web) })).json).toMatchObject({ status: 403 });
  });

  it('for another audience, that is over, or that stands for an agent, is none', async () => {
    await server.makeAdmin('/ops/ada');
    const elsewhere = await server.token('/ops/ada', 'spiffe://example.org/shop');
    expect((await targets({ headers: bearer(elsewhere) })).json['detail']).toContain('wrong-audience');
    const agent = await server.token('/spire/agent/join_token/a', AUDIENCE);
    expect((await targets({ headers: bearer(agent) })).json['detail']).toContain('no token stands for an agent');
    const over = await server.token('/ops/ada', AUDIENCE);
    server.clock.step(400_000);
    expect((await targets({ headers: bearer(over) })).json['detail']).toContain('expired');
  });

  it.each([
    '',
    'x',
    'Bearer',
    'Bearer ',
    'Basic eDp5',
    'Bearer a b',
    'Bearer ..',
  ])('is not %j', async (authorization) => {
    const answer = await targets({ headers: { authorization } });
    expect(answer.status).toBe(401);
  });

  it('beside a certificate has to be of the same identity', async () => {
    await server.makeAdmin('/ops/ada');
    const headers = bearer(await server.token('/ops/ada', AUDIENCE));
    expect((await targets({ headers, as: await server.identify('/ops/ada') })).status).toBe(200);
    expect((await targets({ headers, as: await server.identify('/web') })).json['detail']).toBe(
      'the certificate and the token name two callers',
    );
  });

  it('is never in what is answered or logged', async () => {
    const token = await server.token('/web', AUDIENCE);
    expect((await targets({ headers: bearer(token) })).text).not.toContain(token.slice(0, 40));
    expect((await targets({ headers: bearer(`${token}x`) })).text).not.toContain(token.slice(0, 40));
  });
});

it('on the local socket a token changes nothing: the kernel says who it is', async () => {
  const headers = bearer(await server.token('/web', AUDIENCE));
  expect((await server.ask({ path: '/v1/targets', headers })).status).toBe(200);
});

it('who has certificates of others besides is not asked for one: the server names whose it takes', async () => {
  const { host, port } = server.tcp;
  const asking = spawn('openssl', ['s_client', '-connect', `${host}:${port}`, '-alpn', 'http/1.1', '-tls1_3']);
  asking.stdin.end();
  let text = '';
  for await (const chunk of asking.stdout) text += chunk;
  const named = /Acceptable client certificate CA names\n(.*)\n/.exec(text)?.[1] ?? '';
  const [authority] = server.authority.bundle().x509Authorities;
  // Each authority has a name of its own, by a number.
  const [number] = /serialNumber=\d+/.exec(new X509Certificate(authority?.der ?? '').subject) ?? [];
  expect(named).toContain('O = SPIFFE');
  expect(named.replaceAll(' ', '')).toContain(number);
});
