import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectGateway, holding, type SessionAnswer, session } from '../../../api/testing/session-gateway.ts';
import { startTestServer, type TestServer } from '../../../api/testing/test-server.ts';
import { type CliCommand, exitCodes, UsageError } from '../../command.ts';
import { failureOf } from '../../program/exit-code.ts';
import { askCommand } from '../../testing/ask-command.ts';
import { command as list } from './list.ts';
import { command as show } from './show.ts';

// Goal: what is shown is what gateways say, in lines that fit and move no cursor, and nobody takes a part of it for all.

let server: TestServer;
let ends: AbortController;
beforeEach(async () => {
  server = await startTestServer();
  ends = new AbortController();
});
afterEach(async () => {
  ends.abort();
  await server.stop();
});

const connect = (name: string, answer: SessionAnswer) => connectGateway(server, { name, answer, signal: ends.signal });
const ask = (command: CliCommand, options: object, ...args: readonly string[]) =>
  askCommand({ socket: server.operatorSocket, ...options }, command, ...args);
const idsOf = (values: readonly unknown[]) => values.map((value) => (value as { id: string }).id);

const FULL = {
  ...{ id: '1f2e3d4c5b6a798801020304', peer: '10.0.0.7:40312', node: 'spiffe://example.org/node/a' },
  ...{ pid: 4711, uid: 33, executable: '/usr/bin/node', application: 'checkout', driver: 'node-postgres 8' },
  current: { action: 'postgres:select', shape: 'select id from orders where id = $1', durationMs: 61_400n },
  last: { action: 'postgres:insert', shape: '', durationMs: 12n },
  ...{ operations: 12n, denials: 1n, items: 40n, bytesIn: 900n, bytesOut: 31_000n },
  ...{ masks: ['shop.public.customers.card last4', 'shop.public.customers.ssn null'], masksLeftOut: 3 },
};
const BROKEN: SessionAnswer = () => Buffer.from('no answer at all');

describe('session list', () => {
  it('shows whose each session is and what it does, in 80 columns', async () => {
    await connect('one', holding(session(FULL)));
    const { text, code, warned } = await ask(list, {});
    expect(text).toBe(
      [
        '1f2e3d4c shop since 2026-11-30T23:59:55Z (5s) spiffe://example.org/web',
        '    at one:7443, by its agent: process 4711 of uid 33, /usr/bin/node, on',
        '      spiffe://example.org/node/a',
        '    application checkout, driver node-postgres 8',
        '    now postgres:select, 1m1s: select id from orders where id = $1',
        '    last postgres:insert, 12ms',
        '    12 operations, 1 refused, 40 items, 900 bytes in, 31000 bytes out',
        '    masks shop.public.customers.card last4, shop.public.customers.ssn null, and',
        '      3 more',
      ].join('\n'),
    );
    expect([code, warned]).toEqual([exitCodes.ok, []]);
  });

  it('has each as a value of its own, newest first, and leaves out what nobody told', async () => {
    await connect('one', holding(session(FULL), session({ ageMs: 1n })));
    const { values } = await ask(list, {});
    expect(values[0]).toEqual({
      ...{ id: 'abc1', gatewaySpiffeId: 'spiffe://example.org/countersign/gateway/one', gatewayAddress: 'one:7443' },
      ...{ identity: 'spiffe://example.org/web', target: 'shop', door: 'agent', ageMs: 1 },
      sinceMs: Date.parse('2026-11-30T23:59:59.999Z'),
      ...{ operations: 0, denials: 0, items: 0, bytesIn: 0, bytesOut: 0, masks: [], masksLeftOut: 0 },
    });
    expect(values[1]).toMatchObject({ id: FULL.id, process: { pid: 4711, uid: 33 }, current: { durationMs: 61_400 } });
  });

  it.each([
    ['a SPIFFE ID', { who: 'spiffe://example.org/web' }],
    ['its path', { who: '/web' }],
    ['what is below a path', { who: '/*' }],
    ['a node', { node: 'spiffe://example.org/node/a' }],
    ['a target', { target: 'shop' }],
    ['a gateway', { gateway: 'one:7443' }],
    ['an age', { olderThan: '5s' }],
  ])('asks for %s', async (_, options) => {
    const { asked } = await connect('one', holding(session(FULL)));
    const { values, code } = await ask(list, options);
    expect([idsOf(values), code]).toEqual([[FULL.id], exitCodes.ok]);
    expect(asked).toHaveLength(1);
  });

  it('says so when there is none, and that nobody was asked when no gateway is there', async () => {
    const nobody = await ask(list, {});
    expect([nobody.values, nobody.said, nobody.code]).toEqual([[], [], exitCodes.unavailable]);
    expect(nobody.warned.join()).toContain('no gateway is connected');
    await connect('one', holding());
    const none = await ask(list, {});
    expect([none.values, none.said, none.code]).toEqual([[], ['No session runs.'], exitCodes.ok]);
    expect((await ask(list, { target: 'shop' })).said).toEqual(['No such session runs.']);
  });

  it('names a gateway that did not answer, and ends with another code', async () => {
    await connect('one', holding(session()));
    await connect('two', BROKEN);
    const { values, warned, code } = await ask(list, {});
    expect(idsOf(values)).toEqual(['abc1']);
    expect(warned).toHaveLength(1);
    expect(warned[0]).toMatch(
      /^warning: gateway two:7443 \(spiffe:.*\/two\) did not answer: .*; what runs there is not/,
    );
    expect(code).toBe(exitCodes.unavailable);
  });

  it('says how many it leaves out', async () => {
    await connect('one', holding(session(), session({ id: 'abc2', ageMs: 1n })));
    const { values, warned, code } = await ask(list, { lines: '1' });
    expect(idsOf(values)).toEqual(['abc2']);
    expect([warned, code]).toEqual([['warning: 1 more match, which have run for longer than those'], exitCodes.ok]);
  });

  it.each([
    ['an age that is none', { olderThan: 'soon' }],
    ['an empty filter, which would find all', { who: '' }],
    ['more lines than there are', { lines: '10001' }],
  ])('refuses %s', async (_, options) => {
    await expect(ask(list, options)).rejects.toThrow(UsageError);
  });

  it('shows a session that has run for longer than time is counted', async () => {
    await connect('one', holding(session({ ageMs: 2n ** 64n - 1n })));
    expect((await ask(list, {})).text).toContain('since 1970-01-01T00:00:00Z');
  });
});

describe('session show', () => {
  it('shows all of one session, by the beginning of its id', async () => {
    await connect('one', holding(session(FULL), session()));
    const { text, value, code } = await ask(show, {}, '1f2e');
    expect(text.replaceAll(/\s+/g, ' ')).toBe(
      [
        'session 1f2e3d4c5b6a798801020304 identity spiffe://example.org/web target shop',
        'gateway one:7443 (spiffe://example.org/countersign/gateway/one) door agent peer 10.0.0.7:40312',
        'node spiffe://example.org/node/a process 4711 of uid 33 executable /usr/bin/node',
        'application checkout driver node-postgres 8 since 2026-11-30T23:59:55Z (5s)',
        'now postgres:select, 1m1s: select id from orders where id = $1 last postgres:insert, 12ms',
        'counts 12 operations, 1 refused, 40 items, 900 bytes in, 31000 bytes out',
        'masks shop.public.customers.card last4, shop.public.customers.ssn null, and 3 more',
      ].join(' '),
    );
    expect([code, value]).toEqual([exitCodes.ok, expect.objectContaining({ id: FULL.id, driver: 'node-postgres 8' })]);
  });

  it('takes a whole id, also where another begins with it', async () => {
    await connect('one', holding(session(), session({ id: 'abc12' })));
    expect((await ask(show, {}, 'abc1')).value).toMatchObject({ id: 'abc1' });
  });

  it('says which begin so where there are several, and takes the one of a gateway', async () => {
    await connect('one', holding(session()));
    await connect('two', holding(session()));
    await expect(ask(show, {}, 'abc1')).rejects.toThrow(
      /2 sessions are called abc1: abc1 at \w+:7443, abc1 at \w+:7443;/,
    );
    expect((await ask(show, { gateway: 'two:7443' }, 'abc1')).value).toMatchObject({ gatewayAddress: 'two:7443' });
  });

  it('says no where there is none, and that it is not known where a gateway did not answer', async () => {
    await connect('one', holding());
    const failureIn = async () => failureOf(await ask(show, {}, 'abc1').catch((error: unknown) => error));
    await expect(ask(show, {}, 'abc1')).rejects.toThrow('no session abc1 is found');
    expect(await failureIn()).toEqual({ code: 'NOT_FOUND', exitCode: exitCodes.no });
    await connect('two', BROKEN);
    expect(await failureIn()).toEqual({ code: 'UNAVAILABLE', exitCode: exitCodes.unavailable });
  });

  it.each(['abc', 'ABC1', '../abc', 'g000'])('takes %s for no id', async (id) => {
    await expect(ask(show, {}, id)).rejects.toThrow(UsageError);
  });
});
