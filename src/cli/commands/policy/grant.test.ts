import { Control } from '@countersign/sdk/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '../../../api/testing/test-server.ts';
import type { RpcClient } from '../../../rpc/index.ts';
import { exitCodes } from '../../command.ts';
import { editPolicies } from '../../policy/edit-policies.ts';
import { grantName, parseGranted } from '../../policy/grants.ts';
import { askCommand } from '../../testing/ask-command.ts';
import { command as remove } from './delete.ts';
import { command as grant } from './grant.ts';
import { command as whatCan } from './what-can.ts';

// Goal: access for a while and its end are one command each; nothing is opened by it that the others on the table have masked, and whoever works
// at the same time loses nothing.

const WEB = 'spiffe://example.org/web';
const SHOP = `@id("connects") permit(principal, action == Action::"postgres:connect", resource in Target::"shop");

// Everybody reads, masked.
@id("reads")
@mask("card:last4")
@limit("rows=10")
permit(principal == Identity::"spiffe://example.org/reports", action == Action::"postgres:select", resource == Postgres::Table::"shop/shop/public/customers");

@id("stop") forbid(principal, action == Action::"postgres:truncate", resource in Target::"shop");
`;

const TARGET = {
  protocol: 'postgres',
  host: 'db.example.org',
  database: 'shop',
  user: 'app',
  password: 'env:PASSWORD',
};

let server: TestServer;
let operator: RpcClient;
const options = { signal: new AbortController().signal };
const here = () => ({ socket: server.operatorSocket });

beforeEach(async () => {
  server = await startTestServer();
  operator = server.operator();
  await apply(['Policy', 'shop', { cedar: SHOP }], ['Target', 'shop', TARGET]);
});
afterEach(() => server.stop());

async function apply(...resources: readonly (readonly [kind: string, name: string, spec: object])[]) {
  const declared = resources.map(([kind, name, spec]) => ({ kind, name, specJson: JSON.stringify(spec) }));
  await operator.unary(Control.method.apply, { resources: declared }, options);
}
async function policies(): Promise<Readonly<Record<string, string>>> {
  const { resources } = await operator.unary(Control.method.listResources, { kind: 'Policy' }, options);
  return Object.fromEntries(resources.map(({ name, specJson }) => [name, String(JSON.parse(specJson).cedar)]));
}
const grants = async () => Object.keys(await policies()).filter((name) => name !== 'shop');
const give = (more: object, ...words: readonly string[]) => askCommand({ ...here(), ...more }, grant, ...words);
const HOUR = { for: '1h' };

describe('a grant', () => {
  it('of what needs an approval needs it too, and says so', async () => {
    await apply(['Policy', 'shop', { cedar: SHOP.replace('@id("reads")', '@id("reads")\n@approval("dba")') }]);
    const { text, value } = await give(HOUR, WEB, 'select', 'shop/public.customers');
    expect(value).toMatchObject({ policy: expect.stringContaining('@approval("dba")') });
    expect(text.replaceAll(/\s+/g, ' ')).toContain('note: postgres:select needs an approval by rule "dba"');
  });

  it('is a policy of its own with its end and its reason, and the masks that stand on the table', async () => {
    const { text, code } = await give({ ...HOUR, reason: 'ticket 7' }, WEB, 'read', 'shop/public.customers');
    expect(code).toBe(exitCodes.ok);
    const [name = ''] = await grants();
    expect((await policies())[name]).toBe(`@id("${name}")
@reason("ticket 7")
@expires("2026-12-01T01:00:00Z")
@mask("card:last4")
@limit("rows=10")
permit(
  principal == Identity::"spiffe://example.org/web",
  action == Action::"postgres:select",
  resource == Postgres::Table::"shop/shop/public/customers"
);
`);
    expect(name).toMatch(/^grant-web-select-customers-[0-9a-f]{8}$/);
    expect(text).toContain('Its masks, limit and recording are those of reads.');
    expect(text).toContain(`    countersign policy delete ${name}`);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect((await askCommand(here(), whatCan, WEB)).text).toContain(
      '; until 2026-12-01T01:00:00Z;\n    masks card:last4; at most 10 rows',
    );
    expect(server.ledger.at(-1)).toMatchObject({
      action: 'Apply',
      detail: { step: 'done', changes: [`create Policy/${name}`] },
    });
  });

  it('is the same one when it is made again, with its new end', async () => {
    await give(HOUR, WEB, 'select', 'shop/public.customers');
    const again = await give(HOUR, WEB, 'read', 'shop/shop/public.customers');
    expect(again.value).toMatchObject({ action: 'unchanged', applied: false });
    expect(again.text).toContain('is there already');
    const longer = await give({ for: '2h' }, WEB, 'select', 'shop/public.customers');
    expect(longer.value).toMatchObject({ action: 'update', expires: '2026-12-01T02:00:00Z' });
    // Its own mask is none of others: once these are without, so is it.
    await apply(['Policy', 'shop', { cedar: SHOP.replace('@mask("card:last4")', '') }]);
    const unmasked = await give(HOUR, WEB, 'select', 'shop/public.customers');
    expect(unmasked.value).toMatchObject({ policy: expect.not.stringContaining('@mask') });
    expect(await grants()).toHaveLength(1);
  });

  it('is only shown by a dry run', async () => {
    const { text, value } = await give({ ...HOUR, dryRun: true }, WEB, 'select', 'shop/public.customers');
    expect(text).toContain('would be made');
    expect(value).toMatchObject({ action: 'create', applied: false });
    expect(await grants()).toEqual([]);
  });

  it('says that it has no effect where a forbid refuses it, or where there can be no session', async () => {
    const stopped = await give(HOUR, WEB, 'truncate', 'shop/public.customers');
    expect(stopped.text).toContain('note: it has no effect for postgres:truncate: forbid stop refuses it');
    await apply(['Policy', 'shop', { cedar: SHOP.slice(SHOP.indexOf('//')) }]);
    const apart = await give(HOUR, WEB, 'select', 'shop/public.customers');
    expect(apart.text.replaceAll('\n', ' ')).toContain(
      `note: it has no effect until ${WEB} can connect: no permit for`,
    );
    expect(apart.text).toContain(`    countersign policy grant ${WEB} postgres:connect \\\n      shop/shop --for 1h`);
    const both = await give(HOUR, WEB, 'connect', 'select', 'shop');
    expect(both.text).not.toContain('note:');
    expect(both.value).toMatchObject({ policy: expect.stringContaining('@mask("public.customers.card:last4")') });
  });

  it('says of a table that no policy names what that may mean', async () => {
    const { text } = await give({ ...HOUR, dryRun: true }, WEB, 'select', 'shop/public.custmers');
    expect(text.replaceAll('\n', ' ')).toContain(
      'note: no policy names table shop/shop/public/custmers (did you mean "customers"?); whether it is there only the target knows. Of a view, masks on the tables that it reads do not go along',
    );
  });

  it('warns of an identity of a trust domain that nobody knows', async () => {
    const foreign = await give(HOUR, 'spiffe://other.test/web', 'select', 'shop/public.customers');
    expect(foreign.warned).toEqual(['warning: the trust domain "other.test" is neither our own nor a federated one']);
  });

  it.each([
    [{ for: '0s' }, [WEB, 'select', 'shop/public.a'], '--for "0s" is no duration'],
    [{ for: '-1h' }, [WEB, 'select', 'shop/public.a'], '--for "-1h" is no duration'],
    [{ for: '9999d' }, [WEB, 'select', 'shop/public.a'], 'a grant ends within 366 days'],
    [{ until: '2026-11-30T00:00:00Z' }, [WEB, 'select', 'shop/public.a'], 'is over already'],
    [{ until: 'tomorrow' }, [WEB, 'select', 'shop/public.a'], '--until: "tomorrow" is no time'],
    [{}, [WEB, 'select', 'shop/public.a'], 'say how long'],
    [{ for: '1h', until: '2027-01-01' }, [WEB, 'select', 'shop/public.a'], 'say how long'],
    [HOUR, [WEB, 'shop/public.a'], 'the resource, such as shop/public.orders, is missing'],
    [HOUR, [WEB], 'the action, such as select, is missing'],
    [HOUR, [WEB, 'slect', 'shop/public.a'], 'did you mean "select"?'],
    [HOUR, [WEB, 'select', 'shpo/public.a'], 'no target "shpo" is declared (did you mean "shop"?)'],
    [HOUR, [WEB, 'select', 'shop/public.a.ssn'], 'a permit is of a whole table'],
    [HOUR, [WEB, 'select', 'connect', 'shop/public.a'], 'postgres:connect is about a database'],
    [HOUR, [WEB, 'select', 'call', 'shop/public.a'], 'are about different things'],
    [HOUR, [`${WEB}"); permit(principal, action, resource); //`, 'select', 'shop/public.a'], 'is no identity'],
    [HOUR, [`${WEB}\nx`, 'select', 'shop/public.a'], 'is no identity'],
    [{ ...HOUR, reason: ' ' }, [WEB, 'select', 'shop/public.a'], '--reason has 1 to 500 characters'],
    [{ ...HOUR, reason: 'x'.repeat(501) }, [WEB, 'select', 'shop/public.a'], '--reason has 1 to 500 characters'],
  ])('is refused, and then nothing is made: %j %j', async (more, words, message) => {
    await expect(give(more, ...words)).rejects.toThrow(message);
    expect(await grants()).toEqual([]);
  });

  it('is what was meant whatever stands in names and reasons', async () => {
    const reason = '"); permit(principal, action, resource); // \u202e\u0007';
    const table = 'shop/public."a""); permit(principal, action, resource); //\n"';
    const { value, text } = await give({ ...HOUR, reason }, WEB, 'select', table);
    const can = await askCommand(here(), whatCan, 'spiffe://example.org/stranger');
    expect(can.text).not.toContain('select');
    expect(value).toMatchObject({ policy: expect.stringContaining('\\u{202e}') });
    expect(text).not.toMatch(/[\u202e\u0007]/);
    expect(await grants()).toEqual([expect.stringMatching(/^grant-web-select-a-permit-princ-[0-9a-f]{8}$/)]);
  });

  it('takes no name that is taken by something else', async () => {
    const words = { identity: { uri: WEB } as never, actions: ['select'], resource: 'shop/public.a' };
    const name = grantName(parseGranted(words, { targets: new Map([['shop', ['shop']]]), specs: new Map() }));
    const other = `@id("${name}") permit(principal, action, resource);`;
    for (const source of [name, 'elsewhere']) {
      await apply(['Policy', source, { cedar: other }]);
      await expect(give(HOUR, WEB, 'select', 'shop/public.a')).rejects.toThrow('is taken by something else');
      await operator.unary(Control.method.apply, { remove: [{ kind: 'Policy', name: source }] }, options);
    }
    await give(HOUR, WEB, 'select', 'shop/public.a');
    expect(await grants()).toEqual([name]);
  });
});

describe('two operators at once', () => {
  it('lose nothing of one another: what one makes of an older state is made anew', async () => {
    let seen = 0;
    const { context } = contextOf();
    await editPolicies(operator, { context, dryRun: false }, async ({ sources }) => {
      const shop = sources.find(({ name }) => name === 'shop')?.text ?? '';
      if (seen++ === 0) await apply(['Policy', 'shop', { cedar: `${SHOP}// theirs\n` }]);
      return { put: [{ name: 'shop', text: `${shop}// mine\n` }], remove: [] };
    });
    expect([seen, (await policies())['shop']]).toEqual([2, `${SHOP}// theirs\n// mine\n`]);
  });

  it('end with a refusal where somebody never stops changing', async () => {
    let seen = 0;
    const { context } = contextOf();
    const edit = editPolicies(operator, { context, dryRun: false }, async () => {
      await apply(['Policy', 'other', { cedar: `// ${seen++}` }]);
      return { put: [], remove: ['shop'] };
    });
    await expect(edit).rejects.toThrow('changed meanwhile; nothing was done');
    expect(Object.keys(await policies())).toContain('shop');
  });

  it('may make the same grant, and take it back once', async () => {
    const made = await Promise.all([1, 2].map(() => give(HOUR, WEB, 'select', 'shop/public.a')));
    expect(made.map(({ value }) => (value as { action: string }).action).toSorted()).toEqual(['create', 'unchanged']);
    const [name = ''] = await grants();
    const ended = await Promise.allSettled([1, 2].map(() => askCommand(here(), remove, name)));
    expect(ended.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect(await grants()).toEqual([]);
  });
});

describe('deleting', () => {
  it('takes a grant back, and says what is no longer permitted', async () => {
    await give(HOUR, WEB, 'select', 'shop/public.orders');
    const [name = ''] = await grants();
    const shown = await askCommand({ ...here(), dryRun: true }, remove, name);
    expect(shown.text).toContain(`would delete permit ${name}`);
    expect(await grants()).toEqual([name]);
    const { text, value } = await askCommand(here(), remove, name);
    expect(text.split('\n')).toEqual([
      `deleted permit ${name}`,
      '  no longer permitted: postgres:select on table shop/shop/public/orders, to',
      `  ${WEB}`,
    ]);
    expect(value).toMatchObject({ applied: true, deleted: [{ id: name }], fromFiles: [] });
    expect(await grants()).toEqual([]);
  });

  it('cuts one policy out of many, and says that its files bring it back', async () => {
    const { text } = await askCommand(here(), remove, 'reads');
    expect(text).toContain('Policy shop was applied from files: the next apply of them brings it back.');
    const { shop = '' } = await policies();
    expect(shop).not.toMatch(/reads|masked/);
    expect(shop).toContain('@id("connects")');
    expect(shop).toContain('@id("stop")');
    await askCommand(here(), remove, 'connects', 'stop');
    expect(await policies()).toEqual({});
  });

  it('says what else still permits it, and shows then without a mask', async () => {
    const all = '@id("all") permit(principal, action == Action::"postgres:select", resource in Target::"shop");';
    await apply(['Policy', 'all', { cedar: all }]);
    const { text } = await askCommand({ ...here(), dryRun: true }, remove, 'reads');
    expect(text).toContain('  still permitted: postgres:select on table');
    expect(text).toContain('    allowed by all\n    WITHOUT a mask then: card');
  });

  it('of a forbid says which permits it held back', async () => {
    await give(HOUR, WEB, 'truncate', 'shop/public.orders');
    const [name = ''] = await grants();
    const { text } = await askCommand({ ...here(), dryRun: true }, remove, 'stop');
    expect(text.replaceAll('\n ', '')).toContain(`it no longer holds back what these permit: ${name}`);
  });

  it('of an id that none has deletes nothing, and says which it may have been', async () => {
    await expect(askCommand(here(), remove, 'reads', 'stpo')).rejects.toThrow(
      'there is no policy "stpo" in force (did you mean "stop"?); nothing was deleted',
    );
    expect(await policies()).toEqual({ shop: SHOP });
  });
});

function contextOf() {
  const context = { signal: options.signal } as Parameters<typeof editPolicies>[1]['context']; // All that is asked of it.
  return { context };
}
