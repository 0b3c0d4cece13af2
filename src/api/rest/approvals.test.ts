import { createApiClient } from '@countersign/sdk/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { connectHolding, HoldState } from '../testing/holding-gateway.ts';
import { startTestRest, type TestRest } from '../testing/test-rest.ts';

// Goal: whoever may answers by what they saw, at the targets that are theirs; the ledger names them before anything comes of it.

let server: TestRest;
let ends: AbortController;
let gateway: Awaited<ReturnType<typeof connectHolding>>;
beforeEach(async () => {
  server = await startTestRest();
  ends = new AbortController();
  server.rules.push({ name: 'careful', approvers: [], count: 1, forMs: 600_000 });
  const targets = ['shop', 'bank'].map((name) => ({ kind: 'Target', name, spec: {} }) as const);
  await server.resources.apply(targets, { prune: false });
  gateway = await connectHolding(server, 'a', ends.signal);
});
afterEach(async () => {
  ends.abort();
  await server.stop();
});

const api = () => createApiClient({ unix: server.unix });
const hold = (over: Parameters<typeof gateway.hold>[0] = {}) =>
  gateway.hold({ untilMs: server.clock.now() + 3_600_000, ...over });
const answer = (of: { id: string; digest: string }, more: object = {}) =>
  api().call('approval.answer', { id: of.id, digest: of.digest, target: 'shop', answer: 'approve', ...more });
/** Somebody who has signed in, of those groups. */
const signIn = async (subject: string, groups: readonly string[]) => {
  const person = { issuer: 'spiffe://example.org/spire/server', subject, email: undefined, groups, byLink: false };
  const { signIns } = server.persons;
  const { signIn: browser } = await signIns.begin({ person, kind: 'browser', address: '127.0.0.1' });
  const { secret } = await signIns.begin({ person, kind: 'cli', letInBy: browser.id, address: '127.0.0.1' });
  return { authorization: `Bearer ${secret}` };
};

describe('approvals over REST', () => {
  it('are listed as they wait, shown whole, and answered by the digest that was shown', async () => {
    const held = await hold();
    const { output: listed } = await api().call('approval.list', {});
    expect(listed.items).toMatchObject([
      {
        ...{ id: held.id, digest: held.digest, state: 'waiting', target: 'shop', title: 'postgres:delete on shop' },
        ...{ identity: 'spiffe://example.org/web', equals: 1, answers: [] },
        rules: [{ name: 'careful', count: 1, approved: 0 }],
      },
    ]);
    const { output: shown } = await api().call('approval.get', { target: 'shop', id: held.id });
    expect(shown.shown).toMatchObject({ text: 'delete from orders where id = $1' });
    expect(shown.subject).toMatchObject({ v: 'countersign-approval/v1', shown: expect.any(String) });
    expect((await answer(held)).output).toEqual({ id: held.id, state: 'approved', answered: 1 });
    expect(await held.over).toMatchObject({ state: HoldState.APPROVED });
    expect((await api().call('approval.list', {})).output.items).toEqual([]);
    expect((await api().call('approval.list', { over: true })).output.items).toMatchObject([
      { id: held.id, state: 'approved', answers: [{ by: expect.any(String), answer: 'approve' }] },
    ]);
  });

  it('are in pages, of those that wait and of those that are over', async () => {
    const all = [];
    for (const operation of ['1', '2', '3']) all.push(await hold({ operation, parameters: operation.repeat(64) }));
    const pages = async (over: boolean) => {
      const first = (await api().call('approval.list', { over, limit: 2 })).output;
      const { output } = await api().call('approval.list', { over, limit: 2, cursor: first.next ?? '' });
      expect(output.next).toBeUndefined();
      return [...first.items, ...output.items].map(({ id }) => id);
    };
    const ids = all.map(({ id }) => id);
    expect(await pages(false)).toEqual(ids);
    for (const one of all) await answer(one, { answer: 'deny' });
    expect(await pages(true)).toEqual(ids.toReversed());
  });

  it('say what stands against an answer, and the remedy', async () => {
    const held = await hold();
    await expect(answer({ ...held, digest: '0'.repeat(64) })).rejects.toMatchObject({
      ...{ status: 409, code: 'ERR_APPROVAL_DIGEST' },
    });
    await expect(answer(held, { target: 'bank' })).rejects.toMatchObject({ status: 404, code: 'ERR_APPROVAL_UNKNOWN' });
    await expect(api().call('approval.get', { target: 'bank', id: held.id })).rejects.toMatchObject({ status: 404 });
    await gateway.withdraw(held.hold, 'cancelled');
    await expect(answer(held)).rejects.toMatchObject({ status: 409, code: 'ERR_APPROVAL_OVER' });
  });

  it('name who answers in the ledger before anything comes of it, and can not be given where that can not be written', async () => {
    const held = await hold();
    server.write.fails = true;
    await expect(answer(held)).rejects.toMatchObject({ status: 500 });
    expect(await server.approvals.look(held.id)).toMatchObject({ state: 'waiting' });
    server.write.fails = false;
    await answer(held, { reason: 'as agreed' });
    expect(server.ledger.filter(({ action }) => action === 'AnswerApproval').map(({ detail }) => detail)).toMatchObject(
      [
        { step: 'request', approval: held.id, digest: held.digest, answer: 'approve', reason: 'as agreed' },
        { step: 'done', state: 'approved', answered: 1 },
      ],
    );
  });

  it('are answered by people as the policies of access say, each at their own targets, and by no workload', async () => {
    const cedar = `permit(principal is Countersign::Person, action in Action::"countersign:own-target", resource)
      when { principal.groups.contains("team-shop") && resource has target && resource.target == "shop" };
      permit(principal is Identity, action in Action::"countersign:operate", resource) when { principal.admin };`;
    await api().call('access.apply', { policies: [{ name: 'owners', cedar }] });
    const [shop, bank] = [await hold(), await hold({ target: 'bank' })];
    const headers = await signIn('eva', ['team-shop']);
    const say = (target: string, { id, digest }: { id: string; digest: string }) => ({
      ...{ as: 'nobody' as const, method: 'POST', headers, path: `/v1/targets/${target}/approvals/${id}/answer` },
      body: { digest, answer: 'approve' },
    });
    expect((await server.ask(say('bank', bank))).status).toBe(403);
    // What is the bank's is not found among those of the shop.
    expect((await server.ask(say('shop', bank))).status).toBe(404);
    expect((await server.ask({ as: 'nobody', headers, path: '/v1/approvals' })).status).toBe(403);
    expect((await server.ask({ as: 'nobody', headers, path: '/v1/approvals?target=shop' })).json['items']).toHaveLength(
      1,
    );
    await server.makeAdmin('/bot');
    const bot = { ...say('shop', shop), headers: {}, as: await server.identify('/bot') };
    expect((await server.ask(bot)).json).toMatchObject({ status: 403, code: 'ERR_APPROVAL_APPROVER' });
    expect((await server.ask(say('shop', shop))).json).toMatchObject({ state: 'approved' });
    const { actor, detail } = server.ledger.findLast(({ action }) => action === 'AnswerApproval') ?? {};
    expect(actor).toBe('spiffe://example.org/spire/server#eva');
    expect(detail).toMatchObject({ person: { subject: 'eva' } });
  });

  it('are followed: all that waits, and again with each change', async () => {
    const answered = await server.open({ path: '/v1/approval-events' });
    let text = '';
    answered.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
    });
    const events = () =>
      Array.from(
        text.matchAll(/^data: (.*)$/gm),
        ([, data]) => JSON.parse(data ?? '') as { approvals: { id: string }[] },
      );
    await eventually('the first event', () => events().length === 1);
    const held = await hold();
    const passes = async (count: number) =>
      eventually(`${count} events`, async () => {
        await server.clock.advance(500);
        return events().length === count;
      });
    await passes(2);
    expect(
      events()
        .at(-1)
        ?.approvals.map(({ id }) => id),
    ).toEqual([held.id]);
    await answer(held);
    await passes(3);
    expect(events().at(-1)).toEqual({ approvals: [], more: false });
    answered.destroy();
  });
});
