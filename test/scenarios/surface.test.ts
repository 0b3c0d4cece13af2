/**
 * Every command of the table, called on a stack whose names are long and hostile: what it prints fits 80 columns, is JSON with `--json`, and
 * moves no cursor. A command that is new must be called here, or say why not.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../src/cli/commands.generated.ts';
import { eventually } from '../support/eventually.ts';
import { mayLackPsql } from '../support/psql.ts';
import { openRawSession, type RawSession } from '../support/raw-session.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { stackUsers } from '../support/stack-folder.ts';
import { agentWay } from '../support/ways.ts';

const possible = (stackUsers().separate && !mayLackPsql()) || process.env['CI'] === 'true';

interface Call {
  readonly args: readonly string[];
  readonly user?: 'web' | 'gateway';
  readonly stdin?: string;
  /** Why its lines are as somebody else wrote them. */
  readonly verbatim?: string;
}

/** How each command is called, or why it is not. */
function callsOn(stack: Stack, folder: string): Readonly<Record<string, readonly Call[] | string>> {
  const role = 'goes on until it is stopped; says one line';
  const [alpha] = LONG_IDS;
  const gateway = (...args: string[]): Call => ({ args, user: 'gateway' });
  return {
    ...{ agent: role, dev: role, gateway: role, server: role },
    'access apply': [{ args: ['--default', '--dry-run'], verbatim: 'lines of policies' }],
    'access check': [{ args: ['--default'], verbatim: 'lines of policies' }],
    'access explain': [{ args: [] }, { args: ['--action', 'session.end'] }],
    'access show': [{ args: [], verbatim: 'policies as they were written' }],
    'approval approve': [{ args: ['00000000', '--digest', '00000000'] }],
    'approval deny': [{ args: ['00000000', '--digest', '00000000'] }],
    'approval follow': 'goes on until it is stopped; its lines are those of `approval list`',
    'approval list': [{ args: [] }, { args: ['--over'] }],
    'approval show': [{ args: ['00000000'] }],
    apply: [{ args: ['-f', folder, '--dry-run'] }, { args: ['-f', folder, '--yes'] }],
    'bundle show': [{ args: [] }],
    completion: [{ args: ['bash'], verbatim: 'a script for a shell' }],
    connect: [{ args: ['shop', '--print'], user: 'web', verbatim: 'lines for a shell' }],
    doctor: [gateway(), { args: [], user: 'web' }],
    'entry create': [
      { args: ['--spiffe-id', alpha, '--parent-id', PARENT, '--selector', 'unix:uid:4001', '--dns-name', LONG_HOST] },
    ],
    'entry delete': [{ args: ['long-0', 'long-none'] }],
    'entry list': [{ args: [] }, { args: ['--spiffe-id', 'spiffe://example.org/nobody'] }],
    'entry show': [{ args: ['long-1'] }],
    init: [{ args: ['--dir', path.join(folder, 'made')] }],
    'hold add': [{ args: ['surface', '--target', 'none', '--why', 'a test'] }, { args: ['surface'] }],
    'hold lift': [{ args: ['nothing'] }],
    'hold list': [{ args: [] }],
    'ledger backup': [gateway(path.join(stack.folder.path, 'home-surface', 'backup'))],
    'ledger prove': [{ ...gateway('1'), verbatim: 'the proof, which is JSON' }],
    'ledger search': [
      gateway(),
      gateway('--content', '/dev/null'),
      gateway('--kind', 'denial'),
      gateway('--until', '2000-01-01'),
    ],
    'ledger show': [gateway('0'), gateway(String(HOSTILE_ENTRY))],
    'ledger tail': [gateway('-n', '1000')],
    'ledger verify': [gateway()],
    ...{ login: 'waits for a browser', logout: [{ args: [] }] },
    'node ban': 'ends the only node',
    'node delete': 'ends the only node',
    'node list': [{ args: [] }],
    'node show': [{ args: ['%NODE%'] }],
    'node token': [{ args: ['--agent-id', 'spiffe://example.org/node/second'] }],
    'policy check': [{ args: [folder], verbatim: 'a line each, as compilers say it, for editors' }],
    'policy delete': [{ args: [LONG_POLICY, '--dry-run'] }],
    'policy diff': [{ args: ['-f', folder] }],
    'policy explain': [
      { args: ['--as', alpha, '--sql', 'select id from items', 'shop'], verbatim: 'the permit that would allow it' },
    ],
    'policy grant': [
      { args: [alpha, 'read', 'shop', '--for', '1h', '--dry-run'], verbatim: 'the permit as it is made' },
    ],
    'policy list': [{ args: [] }],
    'policy log': [{ args: [], verbatim: 'policies as they were written' }, { args: ['--since', '0s'] }],
    'policy replay': [gateway(folder)],
    'resource list': [{ args: [] }, { args: ['policy'] }],
    'resource show': [{ args: ['target', LONG_TARGET], verbatim: 'the resource as it was declared, in YAML' }],
    'policy show': [{ args: [LONG_POLICY], verbatim: 'the policy as it is written' }],
    'policy test': [{ args: [folder] }],
    'policy tighten': [{ ...gateway(), verbatim: 'permits as they are made' }],
    'policy what-can': [{ args: [alpha] }],
    'policy who-can': [{ args: ['select', 'shop'] }],
    quarantine: [{ args: ['--who', '/none', '--yes', '--wait', '0'] }],
    'record accept': 'closes the ledger of the only gateway',
    'record export': [{ args: [path.join(stack.folder.data.server, 'exported'), '--kind', 'denial'] }],
    'record follow': 'goes on until it is stopped; its lines are those of `record search`',
    'record logs': [{ args: [] }],
    'record prove': [{ args: ['1/0'], verbatim: 'the proof, which is JSON' }],
    'record search': [{ args: ['-n', '1000'] }, { args: ['--kind', 'denial'] }, { args: ['--until', '2000-01-01'] }],
    'record show': [{ args: ['1/0'] }, { args: [`2/${HOSTILE_ENTRY}`] }],
    'record verify-export': 'what it says is in its own test: it asks no server',
    'revocation add': [{ args: ['--key', '0'.repeat(64), '--yes', '--wait', '0'] }],
    'revocation lift': [{ args: ['00000000'] }],
    'revocation list': [{ args: [] }],
    'revocation restart': [{ args: ['--yes'] }],
    'revocation show': [{ args: ['00000000'] }],
    run: [{ args: ['shop', '--', 'true'], user: 'web' }],
    'session end': [{ args: ['--target', 'none'] }, { args: ['00000000', '--yes'] }, { args: ['--all'] }],
    'session follow': 'goes on until it is stopped; its lines are those of `session list`',
    'session list': [{ args: [] }, { args: ['--target', 'none'] }],
    'session show': [{ args: ['%SESSION%'] }, { args: ['00000000'] }],
    'sign-in end': 'there is none; its own test ends one',
    'sign-in link': [{ args: [], verbatim: 'a link' }],
    'sign-in list': [{ args: [] }],
    'svid fetch': [{ args: ['--dir', 'svid'], user: 'web' }],
    'svid show': [{ args: [], user: 'web' }],
    'svid token': [{ args: ['--audience', 'countersign:api'], user: 'web', verbatim: 'a token is one word' }],
    'target list': [{ args: [] }],
    'target routes': [
      { args: [path.join(folder, 'api.json')], verbatim: 'routes as a target has them, in YAML' },
      { args: [path.join(folder, 'api.json'), '--under', '/none'] },
    ],
    'target secret': [{ args: ['surface'], user: 'gateway', stdin: 'a secret' }],
    'target show': [{ args: [LONG_TARGET], verbatim: 'the target as it was declared, in YAML' }],
    whoami: [{ args: [] }],
  };
}

describe.skipIf(!possible)('what commands print (it needs psql, and root for users of their own)', () => {
  let stack: Stack;
  let session: RawSession | undefined;
  let calls: ReturnType<typeof callsOn>;

  beforeAll(async () => {
    stack = await startStack({ seed: `create table ${HOSTILE} (id int); grant all on ${HOSTILE} to shop_app;` });
    const folder = path.join(stack.folder.path, 'surface');
    fs.mkdirSync(folder);
    for (const [name, text] of Object.entries(declared())) fs.writeFileSync(path.join(folder, name), text);
    fs.writeFileSync(path.join(folder, 'api.json'), JSON.stringify(hostileDocument()));
    expect((await stack.apply(declared())).stderr).not.toContain('error');
    // It is there by its name in two kinds of entries: as what is read, and as what is refused.
    await stack.psql(`select * from ${HOSTILE}`);
    await stack.psql(`truncate ${HOSTILE}`);
    await eventually('the hostile name is on record', async () => (await stack.ledger()).some(({ seq }) => seq >= 4));
    session = await openRawSession(agentWay(stack).door, { database: 'shop', application_name: HOSTILE });
    calls = callsOn(stack, folder);
  });
  afterAll(async () => {
    session?.close();
    await stack?.stop();
  });

  it('all of them are called, or say why not', () => {
    expect(Object.keys(calls).toSorted()).toEqual(commands.map(({ name }) => name).toSorted());
  });

  describe.each(commands.map((row) => [row.name, row] as const))('%s', (name, row) => {
    const callsOf = () => {
      const found = calls[name];
      return typeof found === 'string' ? [] : (found ?? []);
    };
    const call = async ({ args, user, stdin }: Call, more: readonly string[]) => {
      const node = args.includes('%NODE%') ? await nodeOf(stack) : '';
      const session = args.includes('%SESSION%') ? await sessionOf(stack) : '';
      const own = args.map((arg) => arg.replace('%NODE%', node).replace('%SESSION%', session));
      const words = [...name.split(' '), ...more, ...own];
      const as = user === undefined ? {} : { user: stack.users[user] };
      return stack.cli(words, { ...as, ...(stdin === undefined ? {} : { stdin }), env: { COLUMNS: '80' } });
    };

    it('fits 80 columns, and shows no control character', async () => {
      for (const one of callsOf()) {
        const { stdout, stderr } = await call(one, []);
        const text = one.verbatim === undefined ? stdout + stderr : stderr;
        expect(tooWide(text), `${name} ${one.args.join(' ')}`).toEqual([]);
        expect(stdout + stderr).not.toMatch(CONTROLS);
      }
    });

    it(`prints ${row.lines === undefined ? 'one line' : 'lines'} of JSON with --json`, async () => {
      for (const one of callsOf()) {
        const { stdout, stderr } = await call(one, ['--json']);
        const shown = `${name} ${one.args.join(' ')}\n${stdout}\n${stderr}`;
        for (const line of [...linesOf(stdout), ...linesOf(stderr)])
          expect(() => JSON.parse(line), shown).not.toThrow();
        expect(stdout + stderr).not.toMatch(CONTROLS);
        if (row.lines === undefined && row.passThrough === undefined && !stderr.startsWith('{"error"'))
          expect(linesOf(stdout), shown).toHaveLength(1);
      }
    });
  });
});

/** Lines that are longer, though there is a blank to break them at; what is one word is to be copied whole. */
function tooWide(text: string): readonly string[] {
  return text.split('\n').filter((line) => line.length > 80 && line.trim().includes(' '));
}

function linesOf(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '');
}

async function nodeOf(stack: Stack): Promise<string> {
  const [node]: { id: string }[] = JSON.parse((await stack.cli(['node', 'list', '--json'])).stdout);
  return node?.id ?? '';
}

async function sessionOf(stack: Stack): Promise<string> {
  const { stdout } = await stack.cli(['session', 'list', '-n', '1', '--json']);
  const { id }: { id: string } = JSON.parse(stdout);
  return id;
}

function declared(): Readonly<Record<string, string>> {
  const entries = LONG_IDS.map(
    (id, index) =>
      `kind: Entry\nname: long-${index}\nspec:\n  spiffeId: ${id}\n  selectors: ["unix:uid:${7000 + index}", "unix:gid:${7000 + index}"]\n`,
  );
  const target = `kind: Target\nname: ${LONG_TARGET}\nspec: { protocol: postgres, host: ${LONG_HOST}, port: 5432, database: orders, user: app, password: "keystore:surface" }\n`;
  return {
    'names.yaml': [...entries, target].join('---\n'),
    'names.cedar': `@id("${LONG_POLICY}")\npermit(principal == Identity::"${LONG_IDS[0]}", action == Action::"postgres:select", resource in Target::"shop");\n`,
    'names.test.yaml': `- name: ${'a case with a long name '.repeat(2)}\n  principal: ${LONG_IDS[0]}\n  action: postgres:select\n  resource: { kind: table, id: shop/shop/public/items }\n  expect: { allow: true }\n`,
  };
}

const LONG_IDS = [
  'spiffe://example.org/production/eu-central-1/payments/ledger',
  'spiffe://example.org/production/eu-central-1/payments/export',
] as const;
const PARENT = 'spiffe://example.org/countersign/nodes';
const LONG_HOST = 'orders-primary-0.orders-headless.payments-production.svc.cluster.local';
const LONG_TARGET = 'orders-primary-of-payments-production-eu-central-1';
/** Its paths are long, and hold what moves a cursor or turns a line. */
function hostileDocument() {
  const paths = ['/v1/\u001b[31mred', '/v1/\u202etxt.exe', `/v1/${'long-'.repeat(60)}{id}.json`, '/v1/{id}'];
  return { openapi: '3.1.0', paths: Object.fromEntries(paths.map((name) => [name, { get: { operationId: name } }])) };
}

const LONG_POLICY = 'payments-production-may-read-everything-but-the-names-of-customers';
/** Colour, a line feed that would begin an entry of its own, a C1 control, and a mark that turns the direction of text. */
const HOSTILE = '"all \u001b[32mwell\n     9  12:00:00  outcome  /web\u009b2J\u202e"';
const HOSTILE_ENTRY = 3;
/** All but line feeds. */
const CONTROLS = /(?!\n)[\p{Cc}\u2028\u2029\p{Bidi_Control}]/u;
