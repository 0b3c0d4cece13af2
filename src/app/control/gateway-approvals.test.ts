// Goal: nothing is taken for approved but what is proven of this very question, and one answer is used once, whatever happens to servers meanwhile.
import { generateKeyPairSync } from 'node:crypto';
import { HoldUpdate_State as State } from '@countersign/sdk/contract/gen/countersign/control/v1/approvals_pb.ts';
import { describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { HoldEnd } from '../../gateway/index.ts';
import { Code, RpcError } from '../../rpc/index.ts';
import { createManualClock, createSeededRandom, createSilentLog } from '../../std/index.ts';
import { signJwt } from '../../wire/jose/index.ts';
import { createGatewayApprovals, type GatewayApprovalsDeps } from './gateway-approvals.ts';

const GATEWAY = 'spiffe://example.org/countersign/gateway';
const NOW_MS = 1_800_000_000_000;
const QUESTION = {
  ...{ hold: 'a'.repeat(32), subject: Buffer.from('{}'), digest: 'd'.repeat(64), shown: Buffer.from('{}') },
  ...{ untilMs: NOW_MS + 3_600_000, waiting: () => {} },
};
const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const CLAIMS = {
  ...{ iss: 'spiffe://example.org', approval: 'a1', hold: QUESTION.hold, digest: QUESTION.digest, gateway: GATEWAY },
  ...{ by: ['ann'], answeredAt: NOW_MS, iat: NOW_MS / 1000, exp: NOW_MS / 1000 + 60 },
};

function statement(claims: object = {}, { key = keys.privateKey, type = 'countersign-approval+jwt' } = {}): string {
  return signJwt({ algorithm: 'ES256', keyId: 'k1', key, type, claims: { ...CLAIMS, ...claims } });
}

type Call = { readonly method: string; readonly request: Readonly<Record<string, unknown>> };
const told = (state: number, reason = '') => ({ approval: 'a1', state, reason });

/** Servers that say, stream by stream, and call by call, what they are given; what is thrown breaks. */
function start(streams: readonly (readonly unknown[])[], spends: readonly unknown[] = [{ statement: statement() }]) {
  const clock = createManualClock(NOW_MS);
  const calls: Call[] = [];
  let stream = 0;
  let spend = 0;
  const client = {
    async *serverStream(_: unknown, request: Call['request'], { signal }: { signal: AbortSignal }) {
      calls.push({ method: 'hold', request });
      for (const one of streams[stream++] ?? []) {
        if (one instanceof Error) throw one;
        yield one;
      }
      if (stream < streams.length) return;
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
    async unary(method: { readonly name: string }, request: Call['request']) {
      calls.push({ method: method.name, request });
      if (method.name !== 'SpendApproval') return {};
      const answer = spends[spend++] ?? spends.at(-1);
      if (answer instanceof Error) throw answer;
      return answer;
    },
    reconnect() {},
  };
  const approvals = createGatewayApprovals({
    ...{ clock, random: createSeededRandom('a'), log: createSilentLog(), trustDomain: 'example.org' },
    client: () => client as unknown as ReturnType<GatewayApprovalsDeps['client']>, // It stands for what is called of one.
    own: () => ({ advertise: 'gw:1', instance: 'i' }),
    gateway: () => GATEWAY,
    authorities: () => [
      {
        ...{ keyId: 'k1', expiresAtS: 0, tainted: false },
        publicKeyDer: keys.publicKey.export({ format: 'der', type: 'spki' }),
      },
    ],
  });
  const end = new AbortController();
  const answer = approvals.hold(QUESTION, end.signal);
  answer.catch(() => {});
  let isOver = false;
  answer.finally(() => (isOver = true)).catch(() => {});
  const outcome = async () => {
    for (let turn = 0; turn < 400 && !isOver; turn++) await clock.advance(1_000);
    return answer;
  };
  return { calls, answer, outcome, end, of: (method: string) => calls.filter((one) => one.method === method) };
}

describe('an answer', () => {
  it('counts when it was taken and proven', async () => {
    const { outcome, of } = start([[told(State.WAITING), told(State.APPROVED)]]);
    expect(await outcome()).toMatchObject({
      state: 'approved',
      approval: { id: 'a1', by: ['ann'], statement: expect.stringMatching(/^[0-9a-f]{64}$/) },
    });
    expect(of('SpendApproval').length).toBe(1);
  });

  it.each([
    ['another question', { digest: 'e'.repeat(64) }],
    ['another hold', { hold: 'b'.repeat(32) }],
    ['another gateway', { gateway: `${GATEWAY}-2` }],
    ['another approval', { approval: 'a2' }],
    ['another trust domain', { iss: 'spiffe://example.com' }],
    ['a time that is over', { exp: NOW_MS / 1000 - 60 }],
    ['nobody', { by: [] }],
    ['no time', { exp: 'soon' }],
  ])('of %s proves nothing', async (_, claims) => {
    const { outcome } = start([[told(State.APPROVED)]], [{ statement: statement(claims) }]);
    expect(await outcome()).toMatchObject({ state: 'refused', why: 'unproven' });
  });

  it.each([
    [
      'that is signed by somebody else',
      statement({}, { key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }),
    ],
    ['of another kind', statement({}, { type: 'JWT' })],
    ['that is none', ''],
  ])('%s proves nothing', async (_, text) => {
    const { outcome } = start([[told(State.APPROVED)]], [{ statement: text }]);
    expect(await outcome()).toMatchObject({ state: 'refused', why: 'unproven' });
  });

  it('that was lost on its way is asked for again by the same try', async () => {
    const lost = new RpcError(Code.UNAVAILABLE, 'gone');
    const { outcome, of } = start([[told(State.APPROVED)]], [lost, { statement: statement() }]);
    expect(await outcome()).toMatchObject({ state: 'approved' });
    const tries = of('SpendApproval').map(({ request }) => request['try']);
    expect([tries.length, new Set(tries).size]).toEqual([2, 1]);
  });

  it('that was used by another try is none', async () => {
    const { outcome } = start([[told(State.APPROVED)]], [new RpcError(Code.ABORTED, 'used')]);
    expect(await outcome()).toMatchObject({ state: 'withdrawn' });
  });
});

it('a stream that breaks is opened anew, with the same hold', async () => {
  const gone = new RpcError(Code.UNAVAILABLE, 'killed');
  const { outcome, of } = start([[told(State.WAITING), gone], [gone], [told(State.WAITING), told(State.DENIED, 'no')]]);
  expect(await outcome()).toEqual({ state: 'denied', approval: 'a1', reason: 'no' });
  expect(of('hold').map(({ request }) => request['hold'])).toEqual(Array(3).fill(QUESTION.hold));
});

it('without a server that answers, a client does not wait for long', async () => {
  const gone = new RpcError(Code.UNAVAILABLE, 'away');
  const { outcome } = start(Array(400).fill([gone]));
  expect(await outcome()).toMatchObject({ state: 'refused', why: 'unavailable' });
});

it.each([
  [Code.FAILED_PRECONDITION, 'no-rule'],
  [Code.RESOURCE_EXHAUSTED, 'too-many'],
  [Code.ALREADY_EXISTS, 'unavailable'],
  [Code.UNIMPLEMENTED, 'unavailable'],
])('a server that says %i refuses it at once', async (code, why) => {
  const { outcome, of } = start([[new RpcError(code, 'no')]]);
  expect(await outcome()).toMatchObject({ state: 'refused', why });
  expect(of('hold').length).toBe(1);
});

it('is taken back when nobody waits any more', async () => {
  const { answer, end, of } = start([[told(State.WAITING)]]);
  await eventually('it is put', () => of('hold').length === 1);
  end.abort(new HoldEnd('cancelled'));
  await expect(answer).rejects.toBe(end.signal.reason);
  await eventually('it is taken back', () => of('WithdrawHold').length === 1);
  expect(of('WithdrawHold')[0]?.request).toMatchObject({ hold: QUESTION.hold, why: 'cancelled', instance: 'i' });
});
