import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectHolding } from '../../../api/testing/holding-gateway.ts';
import { startTestRest, type TestRest } from '../../../api/testing/test-rest.ts';
import { type CliCommand, exitCodes, UsageError } from '../../command.ts';
import { askCommand } from '../../testing/ask-command.ts';
import { command as approve } from './approve.ts';
import { command as deny } from './deny.ts';
import { command as list } from './list.ts';
import { command as show } from './show.ts';

// Goal: nobody answers what they have not been shown, and nothing that a workload writes passes for what we say.

let server: TestRest;
let ends: AbortController;
let gateway: Awaited<ReturnType<typeof connectHolding>>;
beforeEach(async () => {
  server = await startTestRest();
  ends = new AbortController();
  server.rules.push({ name: 'careful', approvers: [], count: 1, forMs: 600_000 });
  await server.resources.apply([{ kind: 'Target', name: 'shop', spec: {} }], { prune: false });
  gateway = await connectHolding(server, 'a', ends.signal);
});
afterEach(async () => {
  ends.abort();
  await server.stop();
});

const ask = (command: CliCommand, options: object, ...args: readonly string[]) =>
  askCommand({ apiSocket: server.unix, ...options }, command, ...args);
const hold = (...[over, shown]: Parameters<typeof gateway.hold>) =>
  gateway.hold({ untilMs: server.clock.now() + 3_600_000, ...over }, shown);
const stateOf = async ({ id }: { id: string }) => (await server.approvals.look(id))?.state;

describe('approval list', () => {
  it('shows what waits, and what is over', async () => {
    expect((await ask(list, {})).text).toBe('No operation waits for an answer.');
    const held = await hold();
    const { text, value, code } = await ask(list, { target: 'shop' });
    expect(text).toContain(held.id.slice(0, 12));
    expect(text).toContain('postgres:delete on shop');
    expect(text).toContain('0 of 1 (careful)');
    expect(value).toMatchObject([{ id: held.id, digest: held.digest }]);
    expect(code).toBe(exitCodes.ok);
    await gateway.withdraw(held.hold, 'cancelled');
    expect((await ask(list, { over: true })).text).toContain('withdrawn: cancelled');
  });
});

describe('approval approve', () => {
  it('shows first what will run, and takes the digest of it for a yes', async () => {
    const held = await hold();
    const { said, text, value, code } = await ask(approve, { digest: held.digest.slice(0, 8) }, held.id.slice(0, 8));
    expect(said.join('\n')).toContain('  | delete from orders where id = $1');
    expect(said.join('\n')).toContain('  | $1 = "7"');
    expect(said.join('\n')).toContain(held.digest);
    expect([text, code]).toEqual(['approved', exitCodes.ok]);
    expect(value).toMatchObject({ id: held.id, state: 'approved', answered: 1, digest: held.digest });
  });

  it('asks where no digest is given, and answers nothing where nobody is there', async () => {
    const held = await hold();
    await expect(ask(approve, {}, held.id)).rejects.toThrow(`give --digest ${held.digest.slice(0, 8)}`);
    expect(await stateOf(held)).toBe('waiting');
  });

  it('answers nothing of another digest, nor what waits no more', async () => {
    const held = await hold();
    const other = await ask(approve, { digest: '00000000' }, held.id);
    expect(other.code).toBe(exitCodes.no);
    expect(other.warned.join()).toContain(held.digest);
    expect(await stateOf(held)).toBe('waiting');
    await gateway.withdraw(held.hold, 'cancelled');
    const late = await ask(approve, { digest: held.digest }, held.id);
    expect([late.code, late.warned]).toEqual([exitCodes.no, ['it is withdrawn: there is nothing to answer any more']]);
  });

  it('is for one of equal ones, or for as many as were shown', async () => {
    const all = [];
    for (const session of ['a1', 'b2', 'c3']) all.push(await hold({ session }));
    const [first, second, third] = all;
    const seen = await ask(approve, { digest: first?.digest }, first?.id ?? '');
    expect(seen.said.join('\n')).toContain('3 wait, this one included');
    expect(await Promise.all(all.map(stateOf))).toEqual(['approved', 'waiting', 'waiting']);
    const { text } = await ask(approve, { digest: second?.digest, allEqual: true }, second?.id ?? '');
    expect(text).toBe('approved (2 operations)');
    expect(await stateOf(third ?? { id: '' })).toBe('approved');
  });

  it.each<readonly [string, object, readonly string[]]>([
    ['no id', {}, []],
    ['what is no id', {}, ['x']],
    ['an id that is not there', {}, ['00000000']],
    ['a digest too short to tell', { digest: 'abc' }, ['00000000']],
  ])('refuses %s', async (_, options, args) => {
    await expect(ask(approve, options, ...args)).rejects.toThrow(UsageError);
  });
});

describe('approval deny', () => {
  it('tells why', async () => {
    const held = await hold();
    const { text } = await ask(deny, { digest: held.digest, reason: 'not today' }, held.id);
    expect(text).toBe('denied');
    expect(await held.over).toMatchObject({ reason: 'not today' });
  });
});

describe('approval show', () => {
  it('keeps what a workload wrote behind a bar, and on lines of its own', async () => {
    const text = 'select 1\rdigest  0000\nidentity  spiffe://example.org/trusted\u2028\u001b[2Jx';
    const held = await hold(
      {},
      { text, 'evil\nname': 'a\nb', parameters: [{ name: '$1\nx', value: 'a\nb', cut: true }] },
    );
    const shown = (await ask(show, {}, held.id)).text.split('\n');
    const own = shown.filter((line) => !line.startsWith('  | '));
    expect(own.filter((line) => line.includes('trusted') || line.includes('0000'))).toEqual([]);
    expect(own.filter((line) => line.startsWith('identity'))).toEqual(['identity   spiffe://example.org/web']);
    expect(shown).toContain('  | $1');
    expect(shown).toContain('  | x = "a\\nb" (cut)');
  });
});
