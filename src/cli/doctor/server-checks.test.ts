import { Control, Entry } from '@countersign/sdk/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '../../api/testing/test-server.ts';
import { memberSchemas } from '../../app/members.ts';
import { parseConfig } from '../../config/index.ts';
import { createManualClock } from '../../std/index.ts';
import { idMessage } from '../entries/entry-text.ts';
import type { Check } from './check.ts';
import { checkServer } from './server-checks.ts';

// Goal: what nobody would look for is found: a clock, a server that has lost what it had, an entry that holds for nobody, a gateway that is away.

let server: TestServer;
const { signal } = new AbortController();
const options = { signal };

beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => server.stop());

function look({ aheadMs = 0, socket = server.operatorSocket, before = [] as readonly Check[] } = {}) {
  const section = { listen: '127.0.0.1:1', socket, dataDir: '/nowhere' };
  const text = JSON.stringify({ trustDomain: 'example.org', server: section });
  const config = parseConfig({ file: 'countersign.yaml', text, members: memberSchemas, env: {} });
  return checkServer({ clock: createManualClock(server.clock.now() - aheadMs), signal }, config, before);
}

async function found(what: string, how?: Parameters<typeof look>[0]) {
  return (await look(how)).filter((check) => check.what === what);
}

async function connectGateway(findings: { found: string; what: string }[] = []) {
  const gateway = server.client(await server.identify('/countersign/gateway'));
  const updates = gateway
    .serverStream(Control.method.watchGateway, { advertise: 'gw:7443' }, options)
    [Symbol.asyncIterator]();
  await updates.next();
  const told = findings.map((one) => ({ ...one, condition: 'masks', severity: 'degraded', remedy: 'Mend it.' }));
  await gateway.unary(Control.method.reportGateway, { advertise: 'gw:7443', revision: 1n, findings: told }, options);
}

const target = { kind: 'Target', name: 'shop', specJson: '{"protocol":"postgres"}' };

describe('the clock of the server', () => {
  it.each([3 * 3_600_000, -3 * 3_600_000])('that is %i ms ahead is wrong', async (aheadMs) => {
    const side = aheadMs > 0 ? 'ahead of' : 'behind';
    const [check] = await found('server clock', { aheadMs });
    expect(check).toMatchObject({ state: 'wrong', found: expect.stringContaining(`3h ${side} that of this machine`) });
    expect(check?.remedy).toMatch(/NTP/);
  });

  it('that agrees is not worth a line', async () => {
    expect(await found('server clock', { aheadMs: 5000 })).toEqual([]);
  });
});

describe('a server that holds nothing', () => {
  it('is new, or has lost its data, and both is said, with the time its authority was made', async () => {
    const [check] = await found('server contents');
    expect(check).toMatchObject({ state: 'odd', found: expect.stringContaining('2027-01-15T') });
    expect(check?.remedy).toMatch(/node token.*lost its data.*backup/);
  });

  it('is not told of once it holds something', async () => {
    await server.operator().unary(Control.method.apply, { resources: [target] }, options);
    expect(await found('server contents')).toEqual([]);
  });
});

describe('gateways', () => {
  it('that are none, while there is a target, are wrong', async () => {
    await server.operator().unary(Control.method.apply, { resources: [target] }, options);
    expect(await found('gateways')).toMatchObject([{ state: 'wrong', found: 'none has ever connected' }]);
  });

  it('that are connected are named, and what they find is shown though they run elsewhere', async () => {
    const finding = { what: 'target shop', found: 'policy "x" masks a column that is not there' };
    await connectGateway([finding]);
    expect(await found('gateways')).toMatchObject([{ state: 'good', found: 'connected: gw:7443' }]);
    expect(await found('target shop')).toEqual([{ ...finding, state: 'wrong', remedy: 'Mend it.' }]);
  });

  it('are not quoted where the gateway of this machine has said it already', async () => {
    await connectGateway([{ what: 'target shop', found: 'it is away' }]);
    const before: Check[] = [{ what: 'target shop', state: 'wrong', found: 'it is away (since 2026-12-01T05:00:00Z)' }];
    expect(await found('target shop', { before })).toEqual([]);
  });
});

describe('entries', () => {
  it('that hold for no process are odd', async () => {
    const [spiffeId, parentId] = ['/web', '/countersign/nodes'].map((path) => idMessage(`spiffe://example.org${path}`));
    const selectors = [{ type: 'unix', value: 'usr:a' }];
    const entry = { id: 'typo', ...(spiffeId && { spiffeId }), ...(parentId && { parentId }), selectors };
    await server.operator().unary(Entry.method.batchCreateEntry, { entries: [entry] }, options);
    const [check, ...more] = await found('entries');
    expect(more).toEqual([]);
    expect(check).toMatchObject({
      state: 'odd',
      found: expect.stringMatching(/^unix:usr:a: there is no unix:usr.*entry typo/),
    });
  });
});

it('a server whose socket is not there is wrong, with how to start it', async () => {
  const [check, ...more] = await look({ socket: '/nowhere/server.sock' });
  expect(more).toEqual([]);
  expect(check).toMatchObject({
    what: 'operator socket',
    state: 'wrong',
    remedy: expect.stringContaining('countersign server'),
  });
});
