import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Control } from '@countersign/sdk/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ServerApiDeps } from '../../api/index.ts';
import { startTestServer, type TestServer } from '../../api/testing/test-server.ts';
import { openDeclaredKinds } from '../../app/declared-kinds.ts';
import { sha256 } from '../../std/index.ts';
import type { CliCommand } from '../command.ts';
import { command as remove } from '../commands/policy/delete.ts';
import { command as diff } from '../commands/policy/diff.ts';
import { command as explain } from '../commands/policy/explain.ts';
import { command as grant } from '../commands/policy/grant.ts';
import { command as list } from '../commands/policy/list.ts';
import { command as show } from '../commands/policy/show.ts';
import { command as whatCan } from '../commands/policy/what-can.ts';
import { command as whoCan } from '../commands/policy/who-can.ts';
import { checkExpired } from '../doctor/expired-check.ts';
import { askCommand } from '../testing/ask-command.ts';

// Goal: what commands say of the policies in force is the same whether the server tells how it has parsed them, does not, or tells nonsense.

const WEB = 'spiffe://example.org/web';
const SHOP = `@id("connects") permit(principal, action == Action::"postgres:connect", resource in Target::"shop");
@id("past") @expires("2026-11-01T00:00:00Z") permit(principal, action, resource);
@id("reads") @mask("card:last4")
permit(principal == Identity::"${WEB}", action == Action::"postgres:select", resource == Postgres::Table::"shop/shop/public/customers")
when { context.hasWhere };
@id("stop") forbid(principal, action == Action::"postgres:truncate", resource in Target::"shop");
`;
const TARGET = { ...{ protocol: 'postgres', host: 'db', database: 'shop' }, user: 'app', password: 'env:PASSWORD' };
const REQUEST = {
  ...{ principal: WEB, action: 'postgres:select', resource: 'table:customers/shop/shop/public' },
  context: '{"columns":["id"],"hasWhere":false}',
};

const { parsePolicies } = openDeclaredKinds();
const nonsense: ServerApiDeps['parsePolicies'] = (policies) => {
  const parsed = parsePolicies(policies);
  return parsed && { ...parsed, forms: parsed.forms.map((form) => ({ ...form, json: '{"effect":"permit"}' })) };
};
const foreign: ServerApiDeps['parsePolicies'] = (policies) => {
  const json =
    '{"effect":"permit","principal":{"op":"All"},"action":{"op":"All"},"resource":{"op":"All"},"conditions":[]}';
  const parsed = parsePolicies(policies);
  return parsed && { by: 'cedar 9.0.0', forms: parsed.forms.map((form) => ({ ...form, json })) };
};

let folder: string;
let server: TestServer | undefined;
const { signal } = new AbortController();
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'at-server-'));
  writeFileSync(join(folder, 'shop.cedar'), SHOP.replace('context.hasWhere', '!context.hasWhere'));
});
afterEach(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function answersWith(parse: ServerApiDeps['parsePolicies']) {
  server = await startTestServer({ parsePolicies: parse });
  const resources = [
    { kind: 'Policy', name: 'shop', specJson: JSON.stringify({ cedar: SHOP }) },
    { kind: 'Target', name: 'shop', specJson: JSON.stringify(TARGET) },
  ];
  await server.operator().unary(Control.method.apply, { resources }, { signal });
  const { parsed } = await server.operator().unary(Control.method.listResources, { parsed: true }, { signal });
  const socket = server.operatorSocket;
  const ask = (command: CliCommand, options: object, ...args: readonly string[]) =>
    askCommand({ socket, ...options }, command, ...args);
  const clock = { ...server.clock, now: () => Date.parse('2026-12-01T00:00:00Z') };
  const answers = {
    list: await ask(list, {}),
    show: await ask(show, {}, 'reads'),
    whoCan: await ask(whoCan, {}, 'select', 'shop/public.customers'),
    whatCan: await ask(whatCan, {}, WEB),
    request: await ask(explain, REQUEST),
    statement: await ask(explain, { as: WEB, sql: 'select card from customers' }, 'shop'),
    refused: await ask(explain, { as: WEB, sql: "select card from customers where card = '1'" }, 'shop'),
    diff: await ask(diff, { file: [folder] }),
    deletion: await ask(remove, { dryRun: true }, 'reads'),
    grant: await ask(grant, { dryRun: true, for: '1h' }, WEB, 'select', 'shop/public.customers'),
    doctor: await checkExpired({ clock, signal }, socket),
  };
  await server.stop();
  server = undefined;
  return { parsed: parsed?.policies.length, answers };
}

describe('policies in force', () => {
  it('are answered about alike with parsed forms and without', async () => {
    const older = await answersWith(() => undefined);
    expect(older.parsed).toBeUndefined();
    const { answers } = older;
    expect(answers.list.text).toContain('EXPIRED');
    expect(answers.diff.text).toContain('~ permit reads');
    expect(answers.refused.text).toContain('and add\n');
    expect(answers.deletion.text).toContain('reads');
    expect(answers.grant.text).toContain('@mask("card:last4")');
    expect(answers.request.text).toContain('denied (no-permit)');
    expect(answers.doctor).toMatchObject([{ state: 'odd', found: '1 expired, so that they allow nothing: past' }]);
    expect(await answersWith(parsePolicies)).toEqual({ parsed: 4, answers });
    expect(await answersWith(nonsense)).toEqual({ parsed: 4, answers });
    expect(await answersWith(foreign)).toEqual({ parsed: 4, answers });
  });

  it('that this version can not read are refused, whatever form they have', async () => {
    const spec = { cedar: 'permit(principal, action == Action::"gopher:fetch", resource);' };
    const { by = '' } = parsePolicies([]) ?? {};
    const forms = [{ textDigest: sha256(Buffer.from(spec.cedar)), json: '{"effect":"permit"}' }];
    server = await startTestServer({ parsePolicies: () => ({ by, forms }) });
    const resources = [{ kind: 'Policy', name: 'new', specJson: JSON.stringify(spec) }];
    await server.operator().unary(Control.method.apply, { resources }, { signal });
    await expect(askCommand({ socket: server.operatorSocket }, list)).rejects.toThrow(
      /^the policies in force can't be read by this version of countersign; use that of the server\nnew:1:29: error: /,
    );
  });
});

it('files with an error are told of before a server that can not be reached', async () => {
  writeFileSync(join(folder, 'wrong.cedar'), 'permit(principal, action, resource) wehn { true };');
  const asked = { socket: join(folder, 'nobody.sock'), file: [folder] };
  await expect(askCommand(asked, diff)).rejects.toThrow(/wrong\.cedar:1:37: error: /);
  rmSync(join(folder, 'wrong.cedar'));
  await expect(askCommand(asked, diff)).rejects.toThrow(/nobody\.sock/);
});
