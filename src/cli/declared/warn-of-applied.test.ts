import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Bundle, Control, Entry } from '@countersign/sdk/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GatewayFinding } from '../../model/index.ts';
import { formatProblem, type PolicyProblem } from '../../policy/index.ts';
import type { RpcClient } from '../../rpc/index.ts';
import { createManualClock, createSeededRandom } from '../../std/index.ts';
import type { CliContext } from '../command.ts';
import { command as check } from '../commands/policy/check.ts';
import { readDeclared } from './files.ts';
import { toldBefore, warnOfNames } from './warn-of-applied.ts';

// Goal: whoever checks or applies policies is told what they name in vain: by the files alone, or by what will be at the server.

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'countersign-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const TARGET = `kind: Target
name: shop
spec: { protocol: postgres, host: db.example.org, database: shop, databases: [archive], user: app, password: "env:PW" }
`;
const ENTRY = `kind: Entry
name: web
spec: { spiffeId: spiffe://example.org/shop/web, selectors: ["unix:uid:1"], federatesWith: [partner.test] }
`;
const policy = ({ who = 'spiffe://example.org/shop/web', table = 'shop/shop/public/orders', id = 'reads' } = {}) =>
  `@id("${id}")\npermit(\n  principal == Identity::"${who}",\n  action == Action::"postgres:select",\n  resource == Postgres::Table::"${table}"\n);`;

function files(texts: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(directory, name), text);
}

describe('policy check', () => {
  /** What it says of the folder, and how it ends. */
  async function checked(options: Record<string, unknown> = {}, config?: string) {
    if (config !== undefined) writeFileSync(join(directory, 'countersign.conf'), config, { mode: 0o600 });
    let value: unknown;
    let text = '';
    const context: CliContext = {
      say() {},
      emit(result, human) {
        value = result;
        text = human().replaceAll(`${directory}/`, '');
      },
      warn() {},
      json: false,
      columns: 80,
      env: {},
      configPath: join(directory, 'countersign.conf'),
      configNamed: false,
      commands: [],
      signal: new AbortController().signal,
      clock: createManualClock(0),
      random: createSeededRandom('check'),
      stdin: async () => Buffer.alloc(0),
    };
    const exit = await check.run(context, { options, args: [directory] });
    return { exit, text, value };
  }

  it('warns of what the files beside the policy do not declare, and does not fail', async () => {
    files({ 'p.cedar': policy({ table: 'shpo/shop/public/orders' }), 'all.yaml': `${TARGET}---\n${ENTRY}` });
    const { exit, text, value } = await checked();
    expect(exit).toBe(0);
    expect(text).toBe('p.cedar:5:15: warning: no target "shpo" is declared (did you mean "shop"?)\n1 policy is fine');
    expect(value).toMatchObject({
      ok: true,
      problems: [],
      warnings: [{ code: 'ERR_POLICY_NAME', policy: 'reads', position: { line: 5, column: 15 }, severity: 'warning' }],
    });
  });

  it('fails of a warning when it is strict, and of none it does not', async () => {
    files({ 'p.cedar': policy({ who: 'spiffe://example.org/shop/wbe' }), 'entries.yaml': ENTRY });
    const { exit, text, value } = await checked({ strict: true });
    expect(exit).toBe(1);
    expect(text).toBe(
      'p.cedar:3:16: warning: no entry gives the identity "spiffe://example.org/shop/wbe" (did you mean "spiffe://example.org/shop/web"?)\n--strict: warnings fail too',
    );
    expect(value).toMatchObject({ ok: false });
    files({ 'p.cedar': policy() });
    expect(await checked({ strict: true })).toMatchObject({ exit: 0, text: '1 policy is fine' });
  });

  it('knows the databases of a target, and the trust domains of entries', async () => {
    files({
      'target.yaml': TARGET,
      'entries.yml': ENTRY,
      'a.cedar': policy({ id: 'a', table: 'shop/archive/public/orders', who: 'spiffe://partner.test/x' }),
      'b.cedar': policy({ id: 'b', table: 'shop/archiv/public/orders', who: 'spiffe://other.test/x' }),
    });
    expect((await checked()).text.split('\n')).toEqual([
      expect.stringMatching(
        /^b\.cedar:3:16: warning: the trust domain "other\.test" is neither our own nor a federated/,
      ),
      expect.stringMatching(/^b\.cedar:5:15: warning: target "shop" does not serve "archiv".*did you mean "archive"/),
      '2 policies are fine',
    ]);
  });

  it('knows the trust domain of the configuration, and does without when it can not be read', async () => {
    files({ 'p.cedar': policy({ who: 'spiffe://exmaple.org/shop/web' }) });
    const { text } = await checked({}, 'trustDomain: example.org\n');
    expect(text).toContain('the trust domain "exmaple.org" is neither our own');
    expect(await checked({ strict: true }, 'trustDomain: [')).toMatchObject({ exit: 0 });
  });

  it('says nothing of names of which no file tells, whatever other YAML is there', async () => {
    files({
      'p.cedar': policy({ table: 'shpo/x/y/z' }),
      'other.yaml': 'services: [{{ broken }}',
      'x.test.yaml': TARGET,
    });
    expect(await checked({ strict: true })).toMatchObject({ exit: 0, text: '1 policy is fine' });
  });

  it('warns of a file of targets or entries that can not be read, and then of none of its names', async () => {
    files({ 'p.cedar': policy({ table: 'shpo/x/y/z' }), 'target.yaml': TARGET, 'entries.yaml': `${ENTRY}: [` });
    expect((await checked()).text.split('\n')).toEqual([
      expect.stringMatching(/^entries\.yaml:1:1: warning: names of targets and identities were not checked, because/),
      '1 policy is fine',
    ]);
  });

  it('warns of nothing while there are errors: names are those of policies that load', async () => {
    files({ 'p.cedar': `${policy({ table: 'shpo/x/y/z' })}\npermit(`, 'target.yaml': TARGET });
    const { exit, value } = await checked();
    expect(exit).toBe(1);
    expect(value).toMatchObject({ ok: false, warnings: [] });
  });
});

describe('apply', () => {
  interface AtServer {
    resources?: { kind: string; name: string; specJson: string }[];
    identities?: string[];
    federated?: string[];
  }

  /** A server that has these, and gives entries and bundles one a page. */
  function serverWith({ resources = [], identities = [], federated = [] }: AtServer): RpcClient {
    const page = <T>(all: readonly T[], token: string) => ({
      items: all.slice(Number(token), Number(token) + 1),
      nextPageToken: Number(token) + 1 < all.length ? String(Number(token) + 1) : '',
    });
    const unary = async (method: unknown, request: { pageToken?: string }) => {
      if (method === Control.method.listResources) return { resources };
      if (method === Bundle.method.listFederatedBundles) {
        const { items, nextPageToken } = page(federated, request.pageToken ?? '');
        return { bundles: items.map((trustDomain) => ({ trustDomain })), nextPageToken };
      }
      if (method !== Entry.method.listEntries) throw new Error('was not expected');
      const { items, nextPageToken } = page(identities, request.pageToken ?? '');
      return {
        entries: items.map((id) => ({ spiffeId: { trustDomain: 'example.org', path: id.slice(20) } })),
        nextPageToken,
      };
    };
    return { unary } as unknown as RpcClient; // Only this is called.
  }

  async function warnings(server: AtServer, { prune = false } = {}): Promise<string[]> {
    const { resources, policies } = readDeclared([directory]);
    const options = { prune, trustDomain: 'example.org', signal: new AbortController().signal, timeoutMs: 1000 };
    const found = await warnOfNames(serverWith(server), { declared: resources, policies }, options);
    return found.map((one) => formatProblem(one).replaceAll(`${directory}/`, ''));
  }
  const stored = (name: string, spec: object, kind = 'Target') => ({ kind, name, specJson: JSON.stringify(spec) });
  const shop = stored('shop', { protocol: 'postgres', host: 'db', database: 'shop', user: 'app' });
  const web = ['spiffe://example.org/ops', 'spiffe://example.org/shop/web'];

  it('is content with what the server has', async () => {
    files({ 'p.cedar': policy() });
    expect(await warnings({ resources: [shop], identities: web })).toEqual([]);
    files({ 'p.cedar': policy({ who: 'spiffe://partner.test/x' }) });
    expect(await warnings({ resources: [shop], identities: web, federated: ['a.test', 'partner.test'] })).toEqual([]);
  });

  it('is content with what is declared with the policy', async () => {
    files({ 'p.cedar': policy(), 'all.yaml': `${TARGET}---\n${ENTRY}` });
    expect(await warnings({})).toEqual([]);
  });

  it('warns of what neither has, by file and place', async () => {
    files({ 'p.cedar': policy({ who: 'spiffe://example.org/shop/wbe', table: 'shpo/shop/public/orders' }) });
    expect(await warnings({ resources: [shop], identities: web })).toEqual([
      'p.cedar:3:16: warning: no entry gives the identity "spiffe://example.org/shop/wbe" (did you mean "spiffe://example.org/shop/web"?)',
      'p.cedar:5:15: warning: no target "shpo" is declared (did you mean "shop"?)',
    ]);
    files({ 'p.cedar': policy({ who: 'spiffe://exmaple.org/shop/web' }) });
    expect(await warnings({ resources: [shop] })).toEqual([
      expect.stringContaining('the trust domain "exmaple.org" is neither our own nor a federated one'),
    ]);
  });

  it('warns of a target that is pruned, and of a database that its new definition leaves out', async () => {
    files({ 'p.cedar': policy() });
    expect(await warnings({ resources: [shop], identities: web }, { prune: true })).toEqual([
      'p.cedar:5:15: warning: no target "shop" is declared',
    ]);
    files({ 'target.yaml': TARGET.replace('database: shop,', 'database: orders,') });
    expect(await warnings({ resources: [shop], identities: web })).toEqual([
      expect.stringContaining('target "shop" does not serve "shop"'),
    ]);
  });

  it('gives the place within YAML for a policy that is written there', async () => {
    const within = JSON.stringify({ kind: 'Policy', name: 'within', spec: { cedar: policy({ table: 'shpo/a/b/c' }) } });
    files({ 'within.yaml': within });
    expect(await warnings({ resources: [shop], identities: web })).toEqual([
      'within.yaml:1:1: within:5:15: warning: no target "shpo" is declared (did you mean "shop"?)',
    ]);
  });

  it('asks the server nothing when no policy is declared', async () => {
    files({ 'target.yaml': TARGET });
    const { resources, policies } = readDeclared([directory]);
    const client = {} as RpcClient; // Any call would fail with a TypeError.
    const options = { prune: false, trustDomain: 'example.org', signal: new AbortController().signal, timeoutMs: 1000 };
    expect(await warnOfNames(client, { declared: resources, policies }, options)).toEqual([]);
  });

  it('refuses files in which two policies have one id', async () => {
    files({ 'p.cedar': policy(), 'q.cedar': policy() });
    await expect(warnings({})).rejects.toMatchObject({ code: 'ERR_POLICY_DUPLICATE_ID' });
  });
});

describe('what gateways find of what is applied', () => {
  const told: PolicyProblem = {
    severity: 'warning',
    code: 'ERR_POLICY_NAME',
    message: 'target "api" has no route "custmer"',
    help: 'did you mean "customer"?',
    policy: 'slip',
    position: { source: 'slip', line: 1, column: 1 },
  };
  const finding: GatewayFinding = {
    condition: 'names',
    severity: 'warning',
    what: 'target api',
    found: 'policy "slip" names route "custmer", which is not there (did you mean "customer"?)',
    remedy: 'Correct it.',
  };

  it.each<[string, GatewayFinding, boolean]>([
    ['the same of that target', finding, true],
    ['another route', { ...finding, found: finding.found.replace('custmer', 'ordres') }, false],
    ['the same of another target', { ...finding, what: 'target shop' }, false],
    ['what it decides by', { ...finding, found: 'policy "slip" decides by query.x, which is not read' }, false],
    ['a mask', { ...finding, condition: 'masks' }, false],
  ])('was told before, or not: %s', (_, one, isTold) => {
    expect(toldBefore([told])(one)).toBe(isTold);
    expect(toldBefore([])(one)).toBe(false);
  });
});
