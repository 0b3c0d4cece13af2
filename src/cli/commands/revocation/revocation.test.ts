import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectVerifier } from '../../../api/testing/revocation-verifier.ts';
import { connectGateway, holding, session } from '../../../api/testing/session-gateway.ts';
import { startTestRest, type TestRest } from '../../../api/testing/test-rest.ts';
import { type CliCommand, exitCodes, UsageError } from '../../command.ts';
import { askCommand } from '../../testing/ask-command.ts';
import { command as quarantine } from '../quarantine.ts';
import { command as add } from './add.ts';
import { command as lift } from './lift.ts';
import { command as list } from './list.ts';
import { command as restart } from './restart.ts';
import { command as show } from './show.ts';

// Goal: whoever revokes sees first what will end, and afterwards where it has; nobody takes a verifier that said nothing for one that has.

let server: TestRest;
let ends: AbortController;
beforeEach(async () => {
  server = await startTestRest();
  ends = new AbortController();
});
afterEach(async () => {
  ends.abort();
  await server.stop();
});

const ask = async (command: CliCommand, options: object, ...args: readonly string[]) => {
  const seen = await askCommand({ apiSocket: server.unix, ...options }, command, ...args);
  return { ...seen, value: seen.value as { revocation: { id: string } } & Record<string, unknown> };
};
const verifier = async (name: string, take = () => true) =>
  connectVerifier(server, {
    ...{ identity: await server.identify(`/countersign/gateway/${name}`), gateway: name, take, signal: ends.signal },
  });

describe('revocation add', () => {
  it('shows the sessions that will end, and tells how long it took at each', async () => {
    await connectGateway(server, { name: 'one', answer: holding(session()), signal: ends.signal });
    await verifier('one');
    const { said, text, value, code, warned } = await ask(add, { who: '/web', reason: 'leaked key', yes: true });
    expect(said.join('\n')).toContain('abc1');
    expect(said.at(-1)).toContain('identity spiffe://example.org/web will be revoked. 1 session will end.');
    expect(text).toMatch(/gateway one:7443 [^:]*:\/\/[^:]*: in effect after\s+\d+ ms/);
    expect(text).toContain('in effect at 1 of 1');
    expect(value).toMatchObject({ inEffect: 1, open: 0, revocation: { reason: 'leaked key', mode: 'revoked' } });
    expect([code, warned]).toEqual([exitCodes.ok, []]);
    expect(server.ledger.map(({ action }) => action)).toContain('Revoke');
  });

  it('names a verifier that says nothing, and its exit code says so', async () => {
    await verifier('one', () => false);
    const { code, warned, text } = await ask(add, { who: '/web', yes: true, wait: '0' });
    expect(code).toBe(exitCodes.unavailable);
    expect(warned).toEqual([
      expect.stringMatching(/^warning: gateway one:7443 .* has not answered; ends there by itself at 20/),
    ]);
    expect(text).toContain('in effect at 0 of 1');
  });

  it('asks first, and revokes nothing where nobody is there to say yes', async () => {
    await expect(ask(add, { who: '/web' })).rejects.toThrow('give --yes');
    expect(await server.revocations.list()).toEqual([]);
  });

  it.each<readonly [string, object]>([
    ['nothing that is named', {}],
    ['two that are named', { who: '/web', label: 'team=red' }],
    ['a process without its node', { who: '/web', process: '1:2' }],
    ['a process without its start', { node: '/spire/agent/x', process: '1' }],
    ['a label without a value', { label: 'team' }],
    ['a wait without end', { who: '/web', wait: '1h' }],
  ])('refuses %s', async (_, options) => {
    await expect(ask(add, { yes: true, ...options })).rejects.toThrow(UsageError);
    expect(await server.revocations.list()).toEqual([]);
  });

  it.each<readonly [object, object]>([
    [{ node: '/spire/agent/x' }, { kind: 'node', nodeId: 'spiffe://example.org/spire/agent/x' }],
    [
      { node: '/spire/agent/x', process: '7:99' },
      { kind: 'instance', pid: 7, startTime: '99' },
    ],
    [{ key: 'AB:'.repeat(31).concat('CD') }, { kind: 'key', thumbprint: `${'ab'.repeat(31)}cd` }],
    [{ label: 'team=a=b' }, { kind: 'label', name: 'team', value: 'a=b' }],
  ])('of %j', async (options, subject) => {
    await ask(add, { yes: true, ...options });
    expect(await server.revocations.list()).toMatchObject([{ subject }]);
  });
});

describe('a quarantine', () => {
  it('lets named actions pass, is listed, shown and taken back by the first digits of its id', async () => {
    const { value } = await ask(quarantine, { who: '/web', allow: ['postgres:select'], keepRunning: true, yes: true });
    expect(value.revocation).toMatchObject({ mode: 'quarantined', allow: ['postgres:select'], running: 'keep' });
    const short = value.revocation.id.slice(0, 8);
    expect((await ask(list, {})).text).toContain(short);
    expect((await ask(show, {}, short)).text).toMatch(/^quarantined: identity spiffe:\/\/example.org\/web/);
    expect((await ask(lift, {}, short)).text).toBe('identity spiffe://example.org/web is quarantined no more');
    expect((await ask(list, {})).text).toBe('Nothing is revoked or quarantined.');
    await expect(ask(show, {}, short)).rejects.toThrow('no revocation');
  });
});

describe('revocation lift', () => {
  it('says from when on what was revoked may be lifted', async () => {
    const { value } = await ask(add, { who: '/web', yes: true });
    await expect(ask(lift, {}, value.revocation.id)).rejects.toMatchObject({ code: 'ERR_REVOCATION_LIVES' });
  });
});

describe('revocation restart', () => {
  it('asks first, and is in the ledger', async () => {
    await expect(ask(restart, {})).rejects.toThrow('give --yes');
    await ask(restart, { yes: true });
    expect(server.ledger.map(({ action }) => action)).toContain('RestartRevocations');
  });
});
