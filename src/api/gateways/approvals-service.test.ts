import { Approvals } from '@countersign/sdk/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import type { Answerer } from '../../approval/index.ts';
import { askedHold, attempt } from '../../approval/testing/asked.ts';
import { Code } from '../../rpc/index.ts';
import { verifyStatement } from '../../wire/jose/index.ts';
import { connectHolding, HoldState } from '../testing/holding-gateway.ts';
import { startTestServer, type TestServer } from '../testing/test-server.ts';

// Goal: a gateway hears what became of its operation, whatever breaks meanwhile, and what it is given proves the answer to it alone.

let server: TestServer;
let ends: AbortController;
beforeEach(async () => {
  server = await startTestServer();
  ends = new AbortController();
  server.rules.push({ name: 'careful', approvers: [], count: 1, forMs: 60_000 });
  await server.resources.apply([{ kind: 'Target', name: 'shop', spec: {} }], { prune: false });
});
afterEach(async () => {
  ends.abort();
  await server.stop();
});

const eva: Answerer = { name: 'https://login.test#eva', kind: 'person', groups: [], email: undefined, byLink: false };
const untilMs = () => server.clock.now() + 3_600_000;
const connect = (name = 'a') => connectHolding(server, name, ends.signal);
const answer = (of: { id: string; digest: string }, kind: 'approve' | 'deny' = 'approve', reason = '') =>
  server.approvals.answer({ ...of, target: 'shop', answer: kind, reason, equals: 1, by: eva });

describe('a gateway that holds an operation', () => {
  it('is told that it waits, then that it is approved, and takes a statement that the trust domain has signed', async () => {
    const gateway = await connect();
    const held = await gateway.hold({ untilMs: untilMs() });
    expect(held.told).toMatchObject([{ state: HoldState.WAITING, untilMs: BigInt(server.clock.now() + 60_000) }]);
    await answer(held);
    expect(await held.over).toMatchObject({ state: HoldState.APPROVED, approval: held.id });
    const own = attempt();
    const token = await gateway.spend(held, own);
    const { jwtAuthorities: authorities } = server.authority.bundle();
    const options = { token, authorities, nowMs: server.clock.now() };
    expect(verifyStatement({ ...options, type: 'countersign-approval+jwt' })).toMatchObject({
      ok: true,
      claims: { digest: held.digest, hold: held.hold, approval: held.id, gateway: gateway.gateway, by: [eva.name] },
    });
    expect(verifyStatement({ ...options, type: 'JWT' })).toEqual({ ok: false, reason: 'malformed' });
    // What was lost on its way is said again, under another signature of the same.
    const again = await gateway.spend(held, own);
    expect(verifyStatement({ ...options, token: again, type: 'countersign-approval+jwt' })).toEqual(
      verifyStatement({ ...options, type: 'countersign-approval+jwt' }),
    );
    await expect(gateway.spend(held)).rejects.toMatchObject({ code: Code.ABORTED });
  });

  it('is told why it is denied, and that nobody answered in time', async () => {
    const gateway = await connect();
    const [held, other] = [await gateway.hold({ untilMs: untilMs() }), await gateway.hold({ untilMs: untilMs() })];
    await answer(held, 'deny', 'not today');
    expect(await held.over).toMatchObject({ state: HoldState.DENIED, reason: 'not today' });
    await server.clock.advance(61_000);
    expect(await other.over).toMatchObject({ state: HoldState.EXPIRED });
    await expect(gateway.spend(other)).rejects.toMatchObject({ code: Code.ABORTED });
  });

  it('finds it again when its stream broke, also when it was answered meanwhile', async () => {
    const gateway = await connect();
    const broken = new AbortController();
    const asked = askedHold({ gateway: gateway.gateway, untilMs: untilMs() });
    const first = await gateway.ask(asked, broken.signal);
    broken.abort();
    await expect(first.over).rejects.toThrow();
    await answer(first);
    const second = await gateway.ask(asked);
    expect(second.id).toBe(first.id);
    expect(await second.over).toMatchObject({ state: HoldState.APPROVED });
    expect(second.told.map(({ state }) => state)).toEqual([HoldState.WAITING, HoldState.APPROVED]);
    await gateway.spend(asked);
    expect(await (await gateway.ask(asked)).over).toMatchObject({ state: HoldState.APPROVED });
  });

  it('takes it back, and is told so on the stream that it has', async () => {
    const gateway = await connect();
    const held = await gateway.hold({ untilMs: untilMs() });
    await gateway.withdraw(held.hold, 'cancelled');
    expect(await held.over).toMatchObject({ state: HoldState.WITHDRAWN, reason: 'cancelled' });
  });

  it('holds in its own name alone, and neither finds, takes back nor uses what is held by others', async () => {
    const [one, two] = [await connect('a'), await connect('b')];
    const held = await one.hold({ untilMs: untilMs() });
    await expect(two.hold({ gateway: one.gateway })).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    const other = { ...askedHold({ gateway: two.gateway, untilMs: untilMs() }), hold: held.hold };
    await expect(two.ask(other)).rejects.toMatchObject({ code: Code.ALREADY_EXISTS });
    await two.withdraw(held.hold, 'gone');
    await answer(held);
    await expect(two.spend(held)).rejects.toMatchObject({ code: Code.ABORTED });
    await one.spend(held);
  });

  it('is refused with what is wrong', async () => {
    const gateway = await connect();
    const refused = (over: Parameters<typeof askedHold>[0]) => gateway.hold({ untilMs: untilMs(), ...over });
    await expect(refused({ rules: ['unheard-of'] })).rejects.toMatchObject({
      ...{ code: Code.FAILED_PRECONDITION, message: expect.stringContaining('unheard-of') },
    });
    await expect(refused({ target: 'bank' })).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    const { hold, subject, shown } = askedHold({ gateway: gateway.gateway, untilMs: untilMs() });
    const nameless = gateway.client.serverStream(
      Approvals.method.holdOperation,
      { hold, subject, shown, advertise: 'a:7443' },
      { signal: ends.signal },
    );
    await expect(nameless[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
  });

  it('hears that its identity was revoked meanwhile, and is given nothing for it afterwards', async () => {
    const gateway = await connect();
    const [held, approved] = [await gateway.hold({ untilMs: untilMs() }), await gateway.hold({ untilMs: untilMs() })];
    await answer(approved);
    const subject = { kind: 'identity', spiffeId: 'spiffe://example.org/web' } as const;
    await server.revocations.add({ subject, mode: 'revoked', allow: [], running: 'end', reason: '' }, 'admin');
    expect(await held.over).toMatchObject({ state: HoldState.WITHDRAWN, reason: 'revoked' });
    await expect(gateway.spend(approved)).rejects.toThrow();
    await expect(gateway.hold({ untilMs: untilMs() })).rejects.toMatchObject({
      message: expect.stringContaining('revoked'),
    });
  });

  it('that is gone for a quarter of a minute has its question taken back', async () => {
    const gateway = await connect();
    const held = await gateway.hold({ untilMs: untilMs() });
    held.over.catch(() => {}); // It dies.
    await gateway.client.close();
    await eventually('it is seen gone', async () => {
      await server.clock.advance(2_000);
      return (await server.approvals.look(held.id))?.state === 'withdrawn';
    });
    expect(await server.approvals.look(held.id)).toMatchObject({ reason: 'gateway-gone' });
  });

  it('may, and nobody else', async () => {
    const [agent, workload] = [await server.identify('/spire/agent/x/1'), await server.identify('/web')];
    for (const client of [server.operator(), server.client(agent), server.client(workload)])
      await expect(
        client.unary(Approvals.method.withdrawHold, { hold: 'a', why: 'x' }, { signal: ends.signal }),
      ).rejects.toMatchObject({ code: Code.PERMISSION_DENIED });
  });
});
