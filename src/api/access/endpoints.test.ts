import { ApiProblem, createApiClient } from '@countersign/sdk/client';
import { Control, Entry } from '@countersign/sdk/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Code } from '../../rpc/index.ts';
import { startTestRest, type TestRest } from '../testing/test-rest.ts';

// Goal: an operator sees, checks, changes and explains who may do what; people then may just that, by REST as by gRPC, and the ledger says who changed what.

let server: TestRest;
beforeEach(async () => {
  server = await startTestRest({
    readOperator: () => ({ uid: 1000, text: 'alice (uid 1000)' }),
    // Nobody asks it: sign-ins are made by hand.
    oidc: { issuer: ISSUER, clientId: 'countersign', clientSecret: undefined, groupsClaim: 'groups', scopes: 'openid' },
  });
});
afterEach(() => server.stop());

const api = () => createApiClient({ unix: server.unix });
const set = (cedar: string) => ({ policies: [{ name: 'roles', cedar }] });
const ISSUER = 'https://login.example.org';
const ROLES = `
@id("platform") permit(principal is Countersign::Person, action in Action::"countersign:operate", resource)
when { principal.issuer == "${ISSUER}" && principal.groups.contains("platform") };
@id("auditors") permit(principal is Countersign::Person, action in Action::"countersign:look", resource)
when { principal.issuer == "${ISSUER}" && principal.groups.contains("auditors") };
@id("team-shop") permit(principal is Countersign::Person, action in Action::"countersign:own-target", resource)
when { principal.groups.contains("team-shop") && resource has target && resource.target == "shop" };
@id("web") permit(principal == Identity::"spiffe://example.org/web", action == Action::"countersign:entry.list", resource);
`;

/** A request as somebody of those groups, with the token of a command line. */
async function asPerson(groups: readonly string[], subject = 'ada') {
  const person = { issuer: ISSUER, subject, email: undefined, groups: [...groups], byLink: false };
  const { signIns } = server.persons;
  const { signIn } = await signIns.begin({ person, kind: 'browser', address: '127.0.0.1' });
  const { secret } = await signIns.begin({ person, kind: 'cli', letInBy: signIn.id, address: '127.0.0.1' });
  const headers = { authorization: `Bearer ${secret}` };
  return {
    get: (path: string) => server.ask({ path, as: 'nobody', headers }),
    post: (path: string, body: unknown, more: Record<string, string> = {}) =>
      server.ask({ method: 'POST', path, as: 'nobody', headers: { ...headers, ...more }, body }),
  };
}

describe('policies of access', () => {
  it('are shown as they are in force, beside what is built in and what the default is', async () => {
    const { output, tag } = await api().call('access.get', {});
    expect(output).toMatchObject({ revision: 0, isDefault: true, problems: [], policies: [{ name: 'default' }] });
    expect(output.policies[0]?.cedar).toBe(output.default);
    expect(output.builtIn).toContain('built-in:operators');
    expect(tag).toBe('r0');
  });

  it('are checked without being changed', async () => {
    const { output } = await api().call('access.check', set(ROLES));
    expect(output).toMatchObject({ problems: [], locksOut: false, revision: 0 });
    expect(output.changes).toMatchObject([
      { name: 'default', action: 'delete' },
      { name: 'roles', action: 'create' },
    ]);
    const wrong = await api().call(
      'access.check',
      set('permit(principal, action == Action::"countersign:fly", resource);'),
    );
    expect(wrong.output.problems).toMatchObject([
      { path: 'Access/roles', message: expect.stringContaining('roles:1:') },
    ]);
    expect((await api().call('access.get', {})).output.revision).toBe(0);
    expect(server.ledger).toEqual([]);
  });

  it('let people do what their groups may, and nothing else', async () => {
    await api().call('access.apply', set(ROLES));
    const [platform, auditor, owner, nobody] = await Promise.all(
      [['platform'], ['auditors'], ['team-shop'], ['team-shopping']].map((groups, n) => asPerson(groups, `p${n}`)),
    );
    const statuses = (path: string) =>
      Promise.all([platform, auditor, owner, nobody].map(async (one) => (await one?.get(path))?.status));
    expect(await statuses('/v1/caller')).toEqual([200, 200, 200, 200]);
    expect(await statuses('/v1/records')).toEqual([200, 200, 403, 403]);
    expect(await statuses('/v1/records?target=shop')).toEqual([200, 200, 200, 403]);
    expect(await statuses('/v1/records?target=payroll')).toEqual([200, 200, 403, 403]);
    expect(await statuses('/v1/records?target=payroll&target=shop')).toEqual([400, 400, 400, 400]);
    expect(await statuses('/v1/sessions?target=shop')).toEqual([200, 200, 200, 403]);
    expect(await statuses('/v1/sessions?target=')).toEqual([200, 200, 403, 403]);
    expect(await statuses('/v1/records/1/0')).toEqual([404, 404, 403, 403]);
    expect((await owner?.get('/v1/records'))?.json['detail']).toContain('narrow it by those');
    expect((await auditor?.post('/v1/apply', {}))?.status).toBe(403);
    expect((await platform?.post('/v1/apply', {}))?.status).toBe(200);
  });

  it('hold for gRPC as for REST', async () => {
    const web = server.client(await server.identify('/web'));
    const options = { signal: new AbortController().signal };
    const list = () => web.unary(Entry.method.listEntries, {}, options);
    await expect(list()).rejects.toMatchObject({ code: Code.PERMISSION_DENIED });
    await api().call('access.apply', set(ROLES));
    await list();
    await expect(web.unary(Control.method.listResources, {}, options)).rejects.toMatchObject({
      code: Code.PERMISSION_DENIED,
    });
    // As by REST: what is counted is listed.
    await web.unary(Entry.method.countEntries, {}, options);
    for (const [more, may] of [
      ['"countersign:target.list"', false],
      ['"countersign:target.list", Action::"countersign:policy.list"', true],
    ] as const) {
      const permit = `permit(principal == Identity::"spiffe://example.org/web", action in [Action::${more}], resource);`;
      await api().call('access.apply', set(`${ROLES}\n${permit}`));
      const asked = web.unary(Control.method.listResources, {}, options);
      await (may ? asked : expect(asked).rejects.toMatchObject({ code: Code.PERMISSION_DENIED }));
    }
    await api().call('access.apply', set(ROLES));
    expect((await server.ask({ path: '/v1/entries', as: await server.identify('/web') })).status).toBe(200);
    expect((await server.ask({ path: '/v1/targets', as: await server.identify('/web') })).status).toBe(403);
  });

  it('take an admin’s rights by gRPC too, as soon as they say so', async () => {
    await server.makeAdmin('/ops/eve');
    const eve = server.client(await server.identify('/ops/eve'));
    const options = { signal: new AbortController().signal };
    await eve.unary(Entry.method.countEntries, {}, options);
    await api().call('access.apply', set(ROLES));
    await expect(eve.unary(Entry.method.countEntries, {}, options)).rejects.toMatchObject({
      code: Code.PERMISSION_DENIED,
    });
    await server.operator().unary(Entry.method.countEntries, {}, options);
  });
});

describe('changing them', () => {
  it('is recorded: who, what they asked for, and line by line what became of it', async () => {
    await api().call('access.apply', set(ROLES));
    const ada = await asPerson(['platform']);
    const text = ROLES.replace('@id("auditors")', '@id("audit")');
    expect((await ada.post('/v1/access', set(text))).status).toBe(200);
    expect(server.ledger.slice(-2)).toMatchObject([
      {
        ...{ kind: 'admin', actor: `${ISSUER}#ada`, target: 'access', action: 'ApplyAccess' },
        detail: {
          step: 'request',
          person: { subject: 'ada' },
          policies: [{ name: 'roles', digest: expect.any(String) }],
        },
      },
      {
        detail: {
          ...{ step: 'done', revision: 2, locksOut: false, changes: ['update roles'] },
          digest: expect.stringMatching(/^[0-9a-f]{64}$/),
          differences: expect.arrayContaining([expect.stringContaining('+4: @id("audit")')]),
        },
      },
    ]);
    expect(server.ledger[0]).toMatchObject({ actor: 'unix:uid:1000' });
  });

  it('that can not be recorded is not done', async () => {
    server.write.fails = true;
    await expect(api().call('access.apply', set(ROLES))).rejects.toBeInstanceOf(ApiProblem);
    server.write.fails = false;
    expect((await api().call('access.get', {})).output.revision).toBe(0);
  });

  it('goes by what was seen, and is done once', async () => {
    await api().call('access.apply', set(ROLES), { ifMatch: 'r0', idempotencyKey: 'one' });
    await api().call('access.apply', set(ROLES), { ifMatch: 'r0', idempotencyKey: 'one' });
    await expect(api().call('access.apply', { useDefault: true }, { ifMatch: 'r0' })).rejects.toMatchObject({
      status: 412,
    });
    expect((await api().call('access.get', {})).output.revision).toBe(1);
  });

  it('that would leave nobody but the socket has to be said', async () => {
    await expect(api().call('access.apply', set(''))).rejects.toMatchObject({ status: 422 });
    await api().call('access.apply', { ...set(''), allowLockOut: true });
    const ada = await asPerson(['platform']);
    expect((await ada.post('/v1/access', { useDefault: true })).status).toBe(403);
    await api().call('access.apply', { useDefault: true });
  });

  it('is for who may, and refuses what is no question', async () => {
    const ada = await asPerson(['platform']);
    expect((await ada.get('/v1/access')).status).toBe(403);
    expect((await ada.post('/v1/access', { ...set('permit(principal, action, resource);') })).status).toBe(403);
    await expect(api().call('access.apply', {})).rejects.toMatchObject({ status: 400 });
    await expect(api().call('access.apply', { ...set(ROLES), useDefault: true })).rejects.toMatchObject({
      status: 400,
    });
    const twice = { policies: [...set(ROLES).policies, ...set('').policies] };
    await expect(api().call('access.check', twice)).rejects.toMatchObject({ status: 400 });
  });
});

describe('explaining them', () => {
  beforeEach(async () => {
    await api().call('access.apply', set(ROLES));
  });

  it('says what somebody may, and by which policies', async () => {
    const person = { issuer: ISSUER, groups: ['auditors'] };
    const { output } = await api().call('access.explain', { who: { person } });
    const search = output.actions.find(({ action }) => action === 'countersign:record.search');
    expect(search).toMatchObject({ verdict: 'always', policies: [{ policy: 'auditors', effect: 'permit', when: [] }] });
    expect(output.actions.map(({ action }) => action)).not.toContain('countersign:session.end');
  });

  it('says who may do something', async () => {
    const { output } = await api().call('access.explain', { action: 'countersign:session.end' });
    expect(output.holders).toMatchObject([
      { principal: 'principal is Countersign::Operator', verdict: 'always' },
      { principal: 'principal is Countersign::Person', verdict: 'sometimes', policies: [{ policy: 'platform' }] },
    ]);
  });

  it('says whether somebody may, of what', async () => {
    const who = { person: { issuer: ISSUER, groups: ['team-shop'] } };
    const asked = { who, action: 'countersign:record.search' };
    const of = async (more: object) => (await api().call('access.explain', { ...asked, ...more })).output.decision;
    expect(await of({ target: 'shop' })).toEqual({ allow: true, policies: ['team-shop'] });
    expect(await of({ target: 'payroll' })).toMatchObject({ allow: false, reason: 'no-permit' });
    expect(await of({})).toMatchObject({ allow: false, reason: 'policy-error', policies: ['team-shop'] });
    const web = { who: { identity: '/web' }, action: 'countersign:entry.list' };
    expect((await api().call('access.explain', web)).output.decision).toEqual({ allow: true, policies: ['web'] });
  });

  it('refuses what there is not', async () => {
    for (const wrong of [
      { action: 'countersign:fly' },
      { action: 'countersign:look' },
      { who: {} },
      { who: { identity: 'web' } },
    ])
      await expect(api().call('access.explain', wrong)).rejects.toMatchObject({ status: 400 });
  });
});
