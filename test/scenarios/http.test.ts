/** An HTTP API and a database behind one gateway, by one policy, in one ledger: real clients, real processes. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { eventually } from '../support/eventually.ts';
import { freePorts, type RunOptions, run } from '../support/processes.ts';
import { mayLackPsql } from '../support/psql.ts';
import { GATEWAY_NAME, type Stack, startStack } from '../support/stack.ts';
import { startSvidFiles } from '../support/ways.ts';

const KEY = `canary-${randomBytes(15).toString('hex')}`;
const SSN = '123-45-6789';
/** At once; by hand a thousand. */
const SOCKETS = 150;
const POLICIES = `
@id("sql") permit(principal == Identity::"spiffe://example.org/web", action in Action::"postgres:any", resource in Target::"shop");
@id("connects") permit(principal == Identity::"spiffe://example.org/web", action == Action::"http:connect", resource in Target::"api");
@id("reads") @mask("body.ssn:redact, body.items.ssn:redact")
permit(principal == Identity::"spiffe://example.org/web", action in Action::"http:read", resource == Http::Route::"api/customers");
@id("one") @mask("body.ssn:redact")
permit(principal == Identity::"spiffe://example.org/web", action in Action::"http:read", resource == Http::Route::"api/customer")
when { resource.hasTag("path.id") && resource.getTag("path.id") != "13" };
@id("bulk") permit(principal == Identity::"spiffe://example.org/web", action, resource == Http::Route::"api/bulk");
@id("small-orders")
permit(principal == Identity::"spiffe://example.org/web", action == Action::"http:post", resource == Http::Route::"api/orders")
when { resource.hasTag("body.currency") && resource.getTag("body.currency") == "EUR" };
@id("chat") permit(principal == Identity::"spiffe://example.org/web", action == Action::"http:upgrade", resource == Http::Route::"api/chat");
`;
const ROUTES = [
  { name: 'customers', methods: ['GET'], path: '/v1/customers' },
  { name: 'customer', path: '/v1/customers/{id}' },
  { name: 'orders', methods: ['POST'], path: '/v1/orders', reads: ['body.currency'] },
  { name: 'bulk', path: '/v1/bulk/{rest*}' },
  { name: 'chat', methods: ['GET'], path: '/v1/chat' },
];

const seen: { method: string; url: string; body: number; authorization: string | undefined }[] = [];
let api: http.Server;
let stack: Stack;
let directPort: number;
let svid: Awaited<ReturnType<typeof startSvidFiles>>;

/** In CI they have to be there. */
const mayLack =
  ['curl', 'python3'].some((name) => spawnSync(name, ['--version']).error !== undefined) &&
  process.env['CI'] !== 'true';

beforeAll(async () => {
  if (mayLack) return;
  api = createApi();
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  [directPort = 0] = await freePorts(1);
  stack = await startStack({ policies: { mine: POLICIES } });
  stack.canaries.add({ name: 'key of the API', value: KEY, may: [] });
  const { code, stderr } = await stack.cli(['target', 'secret', 'api-key'], {
    user: stack.users.gateway,
    stdin: `${KEY}\n`,
  });
  expect(code, stderr).toBe(0);
  const target = apiTarget();
  const applied = await stack.apply({ 'api.yaml': stringify(target) }, { prune: false });
  expect(applied.code, applied.stderr).toBe(0);
  svid = await startSvidFiles(stack);
  await eventually('the socket of the API', () => fs.existsSync(socket()));
});
afterAll(async () => {
  await svid?.daemon.end('SIGTERM');
  await stack?.stop();
  api?.closeAllConnections();
  api?.close();
});

const apiTarget = () => ({
  ...{ kind: 'Target', name: 'api' },
  spec: {
    ...{ protocol: 'http', url: `http://127.0.0.1:${(api.address() as AddressInfo).port}`, routes: ROUTES },
    ...{ credential: { bearer: 'keystore:api-key' }, listen: { host: '127.0.0.1', port: directPort } },
  },
});
const socket = () => path.join(stack.folder.targets, 'api/http.sock');
const curl = (args: readonly string[], options: RunOptions = {}) =>
  run('curl', ['-sS', '--unix-socket', socket(), ...args], { user: stack.users.web, ...options });
/** How curl comes to the target's own door, but for what it shows. */
const atDoor = () => {
  const file = (name: string) => path.join(svid.folder, name);
  const args = ['-sS', '--resolve', `${GATEWAY_NAME}:${directPort}:127.0.0.1`, '--cacert', file('bundle.pem')];
  return { args, file, url: `https://${GATEWAY_NAME}:${directPort}/v1/customers/1` };
};
const entriesOf = async (kind: string) =>
  (await stack.ledger()).filter((entry) => entry.kind === kind && entry.target === 'api');

describe.skipIf(mayLack)('curl at the agent’s socket, without a key', () => {
  it('reads what policy permits, a field masked in each element', async () => {
    const { stdout, stderr } = await curl(['http://api/v1/customers']);
    expect(JSON.parse(stdout), stderr).toEqual({ items: [{ id: 1, name: 'Ada', ssn: '[redacted]' }] });
    expect(seen.at(-1)).toMatchObject({ url: '/v1/customers', authorization: `Bearer ${KEY}` });
  });

  it('never hands its own authorization on', async () => {
    await curl(['-H', 'Authorization: Bearer mine', '-H', 'X-Forwarded-User: root', 'http://api/v1/customers/1']);
    expect(seen.at(-1)).toMatchObject({ url: '/v1/customers/1', authorization: `Bearer ${KEY}` });
  });

  it('is refused what policy does not permit, with a word on what would, and goes on', async () => {
    const before = seen.length;
    const { stdout } = await curl([
      '-X',
      'DELETE',
      'http://api/v1/customers/1',
      '--next',
      '-sS',
      '--unix-socket',
      socket(),
      'http://api/v1/customers/1',
    ]);
    expect(stdout).toContain('"reason":"no-permit"');
    expect(stdout).toContain('http:delete');
    expect(stdout).toContain('[redacted]');
    expect(seen.slice(before).map(({ method }) => method)).toEqual(['GET']);
  });

  it('is decided by the value of a path’s parameter', async () => {
    expect((await curl(['-o', '/dev/null', '-w', '%{http_code}', 'http://api/v1/customers/13'])).stdout).toBe('403');
    expect((await curl(['-o', '/dev/null', '-w', '%{http_code}', 'http://api/v1/customers/12'])).stdout).toBe('200');
  });

  it('is decided by a field of its body', async () => {
    const order = (currency: string) =>
      curl([
        '-o',
        '/dev/null',
        '-w',
        '%{http_code}',
        '-H',
        'content-type: application/json',
        '-d',
        JSON.stringify({ currency, amount: 3 }),
        'http://api/v1/orders',
      ]);
    expect((await order('EUR')).stdout).toBe('200');
    expect((await order('USD')).stdout).toBe('403');
    expect((await curl(['--json', '{"currency":"USD","Currency":"EUR"}', 'http://api/v1/orders'])).stdout).toContain(
      '"status":400',
    );
    // JSON to policy, and a form to a server that believes its type.
    expect((await curl(['-d', '{"currency":"EUR","x":"&currency=USD"}', 'http://api/v1/orders'])).stdout).toContain(
      '"status":415',
    );
  });

  it('sees no header of the API that says more than it should', async () => {
    const { stdout } = await curl(['-i', 'http://api/v1/customers/1']);
    expect(stdout).not.toMatch(/set-cookie|etag|x-ssn/i);
  });

  it.each([
    ['a path with dots', ['--path-as-is', 'http://api/v1/customers/../../admin']],
    ['a path with an encoded slash', ['http://api/v1/customers%2f1']],
    [
      'chunks and a length',
      ['-H', 'Transfer-Encoding: chunked', '-H', 'Content-Length: 3', '-d', 'abc', 'http://api/v1/bulk/x'],
    ],
    ['a field with an underscore', ['-H', 'X_Forwarded_For: 1', 'http://api/v1/customers/1']],
  ])('is refused %s', async (_, args) => {
    const before = seen.length;
    expect((await curl(['-o', '/dev/null', '-w', '%{http_code}', ...args])).stdout).toBe('400');
    expect(seen).toHaveLength(before);
  });

  it('moves much either way without the gateway growing', async () => {
    const bytes = 300 * 1024 * 1024;
    const rss = () =>
      Number(/VmHWM:\s+(\d+)/.exec(fs.readFileSync(`/proc/${stack.roles.gateway.pid}/status`, 'utf8'))?.[1]) * 1024;
    await curl(['-o', '/dev/null', 'http://api/v1/bulk/1000000']);
    const before = rss();
    const down = await curl(['-o', '/dev/null', '-w', '%{size_download}', `http://api/v1/bulk/${bytes}`]);
    expect(down.stdout).toBe(String(bytes));
    const file = path.join(stack.folder.privateFolder('upload', stack.users.web), 'zeros');
    fs.writeFileSync(file, '');
    fs.truncateSync(file, bytes);
    const up = await curl(['-T', file, 'http://api/v1/bulk/up']);
    expect(JSON.parse(up.stdout)).toEqual({ received: bytes });
    expect(rss() - before).toBeLessThan(120 * 1024 * 1024);
  });
});

describe.skipIf(mayLack)('HTTP/2', () => {
  const version = ['-o', '/dev/null', '-w', '%{http_version} %{http_code}'];

  it('at the agent’s socket, with prior knowledge, is decided and masked like HTTP/1.1', async () => {
    const two = ['--http2-prior-knowledge'];
    const { stdout, stderr } = await curl([...two, 'http://api/v1/customers']);
    expect(JSON.parse(stdout), stderr).toEqual({ items: [{ id: 1, name: 'Ada', ssn: '[redacted]' }] });
    expect((await curl([...two, ...version, 'http://api/v1/customers/1'])).stdout).toBe('2 200');
    expect((await curl([...two, ...version, 'http://api/v1/customers/13'])).stdout).toBe('2 403');
    expect((await curl([...two, ...version, '--path-as-is', 'http://api/v1/customers/../x'])).stdout).toBe('2 400');
  });

  it('runs many requests at once, of one session', async () => {
    const opened = (await entriesOf('session-open')).length;
    const script = `
      const session = require('node:http2').connect('http://api', { createConnection: () => require('node:net').connect(process.argv[1]) });
      const get = (at) => new Promise((resolve) => {
        let text = '';
        const stream = session.request({ ':path': '/v1/customers/' + at }).setEncoding('utf8');
        stream.on('data', (more) => { text += more; }).on('error', () => {}).on('close', () => resolve(JSON.parse(text).ssn));
      });
      Promise.all(Array.from({ length: 100 }, (_, at) => get(100 + at))).then((all) => { console.log(new Set(all)); session.close(); });`;
    const { stdout, stderr } = await run(process.execPath, ['-e', script, socket()], { user: stack.users.web });
    expect(stdout, stderr).toBe("Set(1) { '[redacted]' }\n");
    expect((await entriesOf('session-open')).length).toBe(opened + 1);
  });

  it('moves much either way', async () => {
    const bytes = 100 * 1024 * 1024;
    const two = ['--http2-prior-knowledge'];
    const down = await curl([...two, '-o', '/dev/null', '-w', '%{size_download}', `http://api/v1/bulk/${bytes}`]);
    expect(down.stdout, down.stderr).toBe(String(bytes));
    const file = path.join(stack.folder.privateFolder('upload2', stack.users.web), 'zeros');
    fs.writeFileSync(file, '');
    fs.truncateSync(file, bytes);
    const up = await curl([...two, '-T', file, 'http://api/v1/bulk/up']);
    expect(JSON.parse(up.stdout), up.stderr).toEqual({ received: bytes });
  });

  it('at the target’s own door comes by ALPN', async () => {
    const { args, url, file } = atDoor();
    const key = ['--cert', file('svid.pem'), '--key', file('key.pem')];
    const ask = (more: readonly string[]) =>
      run('curl', [...args, ...more, ...version, url], { user: stack.users.web });
    expect((await ask([...key, '--http2'])).stdout).toBe('2 200');
    expect((await ask([...key, '--http1.1'])).stdout).toBe('1.1 200');
    expect((await ask(['--http2'])).stdout).toBe('2 401');
  });
});

describe.skipIf(mayLack)('other ways in', () => {
  it('curl reaches the target’s own door by its SVID, and nobody without one', async () => {
    const { args, url, file } = atDoor();
    const known = await run('curl', [...args, '--cert', file('svid.pem'), '--key', file('key.pem'), url], {
      user: stack.users.web,
    });
    expect(known.stdout, known.stderr).toContain('[redacted]');
    const stranger = await run('curl', [...args, url], { user: stack.users.web });
    expect(stranger.stdout).not.toContain('Ada');
  });

  it('Node’s own client keeps its connection over many requests', async () => {
    const script = `
      const http = require('node:http');
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      const get = () => new Promise((resolve, reject) => http.get({ agent, socketPath: process.argv[1], path: '/v1/customers/1' }, (response) => {
        response.setEncoding('utf8'); let text = ''; response.on('data', (more) => { text += more; }).on('end', () => resolve(text));
      }).on('error', reject));
      (async () => { let last; for (let i = 0; i < 50; i++) last = await get(); console.log(last); process.exit(); })();`;
    const opened = (await entriesOf('session-open')).length;
    const { stdout, stderr } = await run(process.execPath, ['-e', script, socket()], { user: stack.users.web });
    expect(stdout, stderr).toContain('[redacted]');
    expect((await entriesOf('session-open')).length).toBe(opened + 1);
  });

  it('a client without Unix sockets has an address of its own by `countersign run`', async () => {
    const script =
      'import os, urllib.request as web; print(web.urlopen(os.environ["COUNTERSIGN_URL"] + "/v1/customers/1").read().decode())';
    const args = ['run', 'api', '--targets-dir', stack.folder.targets, '--', 'python3', '-c', script];
    const { stdout, stderr } = await stack.cli(args, { user: stack.users.web });
    expect(stdout, stderr).toContain('[redacted]');
  });

  it('a WebSocket goes through once policy permits it', async () => {
    const request = [
      'GET /v1/chat HTTP/1.1',
      'host: api',
      'connection: Upgrade',
      'upgrade: websocket',
      'sec-websocket-version: 13',
      'sec-websocket-key: x3JJHMbDL1EzLkh9GBhXDw==',
    ];
    const script = `
      const net = require('node:net');
      const socket = net.connect(process.argv[1], () => socket.write(process.argv[2]));
      let text = '';
      socket.on('data', (more) => { text += more; if (text.includes('ready')) socket.write('hello'); if (text.includes('you said hello')) { console.log(text); process.exit(); } });`;
    const { stdout, stderr } = await run(
      process.execPath,
      ['-e', script, socket(), `${request.join('\r\n')}\r\n\r\n`],
      { user: stack.users.web },
    );
    expect(stdout, stderr).toContain('101');
    expect(stdout).toContain('you said hello');
  });
});

describe.skipIf(mayLack)('many WebSockets at once', () => {
  it('echo, each its own words, and each has its outcome when they are gone', async () => {
    const script = `
      const net = require('node:net');
      const request = 'GET /v1/chat HTTP/1.1\\r\\nhost: api\\r\\nconnection: Upgrade\\r\\nupgrade: websocket\\r\\nsec-websocket-version: 13\\r\\nsec-websocket-key: x3JJHMbDL1EzLkh9GBhXDw==\\r\\n\\r\\n';
      const one = (at) => new Promise((resolve, reject) => {
        const socket = net.connect(process.argv[1], () => socket.write(request));
        let text = '', said = 0;
        socket.on('error', reject).on('data', (more) => {
          text += more;
          if (said === 0 && text.includes('ready')) socket.write('word ' + ++said + ' of ' + at + '.');
          else if (text.endsWith('word ' + said + ' of ' + at + '.')) said === 5 ? resolve(text.split('you said').length - 1) : socket.write('word ' + ++said + ' of ' + at + '.');
        });
      });
      Promise.all(Array.from({ length: ${SOCKETS} }, (_, at) => one(at))).then((all) => { console.log(all.length, new Set(all)); process.exit(); });`;
    const upgrades = async () => (await entriesOf('intent')).filter(({ action }) => action === 'http:upgrade').length;
    const before = await upgrades();
    const { stdout, stderr } = await run(process.execPath, ['-e', script, socket()], { user: stack.users.web });
    expect(stdout, stderr).toBe(`${SOCKETS} Set(1) { 5 }\n`);
    expect(await upgrades()).toBe(before + SOCKETS);
    const open = async () => (await entriesOf('intent')).length - (await entriesOf('outcome')).length;
    await eventually('each has an outcome', async () => (await open()) === 0);
  });
});

describe.skipIf(mayLack)('curl without an agent’s socket and without a certificate', () => {
  const ask = async (bearer: string | undefined, more: readonly string[] = []) => {
    const { args, url } = atDoor();
    const stdin = bearer === undefined ? '' : `authorization: Bearer ${bearer}\n`;
    return run('curl', [...args, '-i', '-H', '@-', ...more, url], { user: stack.users.web, stdin });
  };
  const tokenFor = async (audience: string, user = stack.users.web) => {
    const args = ['svid', 'token', '--audience', audience, '--workload-api', stack.folder.workloadApi];
    const { stdout, stderr } = await stack.cli(args, { user });
    const token = stdout.trim();
    expect(token.split('.'), stderr).toHaveLength(3);
    stack.canaries.add({ name: `a token for ${audience}`, value: token.split('.')[2] ?? '', may: [] });
    return token;
  };

  it('is told how to prove who it is, and is served by a token for this target alone', async () => {
    const door = { host: '127.0.0.1', port: directPort, tokens: true };
    const target = { ...apiTarget(), spec: { ...apiTarget().spec, listen: door } };
    const applied = await stack.apply({ 'api.yaml': stringify(target) }, { prune: false });
    expect(applied.code, applied.stderr).toBe(0);
    await eventually('the door takes tokens', async () => (await ask(undefined)).stdout.includes('www-authenticate'));
    expect((await ask(undefined)).stdout).toContain('countersign svid token --audience countersign:api');
    const before = seen.length;
    expect((await ask(await tokenFor('countersign:other'))).stdout).toContain('the token is for another audience');
    expect((await ask('a.b.c')).stdout).toContain('error="invalid_token"');
    expect(seen).toHaveLength(before);
    const { stdout, stderr } = await ask(await tokenFor('countersign:api'));
    expect(stdout, stderr).toContain('[redacted]');
    expect(seen.at(-1)).toMatchObject({ url: '/v1/customers/1', authorization: `Bearer ${KEY}` });
    const opened = (await entriesOf('session-open')).at(-1);
    expect(opened).toMatchObject({ actor: 'spiffe://example.org/web', detail: { token: {} } });
  });

  it('takes a certificate as ever', async () => {
    const { file } = atDoor();
    const { stdout } = await ask(undefined, ['--cert', file('svid.pem'), '--key', file('key.pem')]);
    expect(stdout).toContain('[redacted]');
  });
});

describe.skipIf(mayLack)('the same ledger', () => {
  it('has requests beside statements, each with an outcome', async () => {
    if (!mayLackPsql()) expect((await stack.psql('select 1')).stdout).toBe('1\n');
    await curl(['http://api/v1/customers/1']);
    const { stdout } = await stack.cli(
      ['ledger', 'search', '--identity', '/web', '--object', 'api', '-n', '3', '--json'],
      { user: stack.users.gateway },
    );
    expect(stdout).toContain('http:get');
    const keysOf = async (kind: string) =>
      (await entriesOf(kind)).map(({ operation, session }) => `${session} ${operation}`).toSorted();
    const isBalanced = async () => JSON.stringify(await keysOf('outcome')) === JSON.stringify(await keysOf('intent'));
    await eventually('each has an outcome', isBalanced);
    expect(JSON.stringify(await stack.ledger())).not.toContain(SSN);
  });

  it('is judged again by replay, both protocols by one policy', async () => {
    const file = path.join(stack.folder.privateFolder('candidate', stack.users.gateway), 'mine.cedar');
    fs.writeFileSync(file, POLICIES.replace('!= "13"', '!= "1"'));
    const { stdout, stderr } = await stack.cli(['policy', 'replay', path.dirname(file), '--json'], {
      user: stack.users.gateway,
    });
    expect(stdout, stderr).toContain('/v1/customers/{id}');
  });

  it('is read by people: route, status and masks within 80 columns, found by route, request and body', async () => {
    await curl(['-o', '/dev/null', '--json', '{"currency":"EUR","amount":7}', 'http://api/v1/orders']);
    const search = async (args: readonly string[], stdin = '') => {
      const user = stack.users.gateway;
      const options = { user, stdin, env: { COLUMNS: '80' } };
      const { stdout, stderr } = await stack.cli(['ledger', 'search', '--target', 'api', ...args], options);
      expect(stdout, stderr).not.toBe('');
      return stdout;
    };
    const lines = await search(['--object', 'api', '-n', '100']);
    expect(await search(['--object', 'api/orders'])).not.toContain('api/customer');
    expect(lines).toMatch(/intent {3}\/web {2}get api\/customer \(by one; masked\n +body\.ssn:redact\)/);
    expect(lines.replace(/\n +/g, ' ')).toMatch(
      /outcome {2}\/web {2}get api\/customer \(\d items?; status 200; done\)/,
    );
    expect(lines.split('\n').every((line) => line.length <= 80)).toBe(true);
    expect(await search(['--content', '-', '-n', '1'], 'GET /v1/customers/1\n')).toContain('get api/customer');
    const values = path.join(stack.folder.privateFolder('values', stack.users.gateway), 'values.json');
    fs.writeFileSync(values, JSON.stringify(['{"currency":"EUR","amount":7}']));
    expect(await search(['--content', '-', '--values', values], 'POST /v1/orders')).toContain('post api/orders');
  });

  it('is tightened to permits that allow what was done, by its values, and replay without a difference', async () => {
    const folder = stack.folder.privateFolder('tight', stack.users.gateway);
    const options = { user: stack.users.gateway };
    const { stdout: tight } = await stack.cli(['policy', 'tighten', '--target', 'api'], options);
    expect(tight).toContain('resource.hasTag("body.currency") && resource.getTag("body.currency") == "EUR"');
    expect(tight).not.toMatch(/context\.(?:path|method)/); // Every request here is of a route, which tells them.
    fs.writeFileSync(path.join(folder, 'tight.cedar'), tight);
    const checked = await stack.cli(['policy', 'check', path.join(folder, 'tight.cedar')], options);
    expect(checked.code, checked.stdout).toBe(0);
    const { stdout } = await stack.cli(['policy', 'replay', folder, '--target', 'api'], options);
    expect(stdout).toContain('Nothing would be answered otherwise.');
  });

  it.each(['SIGKILL'] as const)('knows of each request after %s that its end is not known', async (signal) => {
    const running = curl(['-m', '20', 'http://api/v1/bulk/hang']);
    await eventually('it runs', () => seen.at(-1)?.url === '/v1/bulk/hang');
    await stack.roles.gateway.end(signal);
    await running;
    stack.roles.gateway.start();
    await stack.roles.gateway.ready();
    await eventually('its outcome', async () =>
      (await entriesOf('outcome')).some(({ detail }) => detail['status'] === 'unknown'),
    );
    await eventually('it serves again', async () =>
      (await curl(['http://api/v1/customers/1'])).stdout.includes('[redacted]'),
    );
  });
});

describe('an operator', () => {
  const doctor = async () => (await stack.cli(['doctor'])).stdout.replace(/\s+/g, ' ');

  it('sees the address of the API among the targets', async () => {
    const { stdout } = await stack.cli(['target', 'list']);
    expect(stdout).toMatch(/api +http +http:\/\/127\.0\.0\.1:\d+/);
  });

  it('asks how a request would be answered', async () => {
    const asking = ['policy', 'explain', '--as', 'spiffe://example.org/web', 'api', '--request'];
    const allowed = await stack.cli([...asking, 'GET /v1/customers/1']);
    expect(allowed.stdout, allowed.stderr).toContain('path.id "1"');
    expect(allowed.stdout).toContain('masks body.ssn:redact');
    expect((await stack.cli([...asking, 'GET /v1/customers/13'])).code).toBe(1);
  });

  it('is told of routes and values that a policy names in vain', async () => {
    const slips = `@id("slip") permit(principal, action == Action::"http:get", resource == Http::Route::"api/custmer");
@id("unread") permit(principal, action == Action::"http:get", resource == Http::Route::"api/customer")
when { resource.hasTag("query.x") && resource.getTag("query.x") == "1" };`;
    const applied = await stack.apply({ 'slips.cedar': slips }, { prune: false });
    expect(applied.stdout.replaceAll('\\"', '"')).toMatch(
      /target "api" has no route "custmer".*did you mean "customer"\?/,
    );
    await eventually('the doctor says so', async () => {
      const said = await doctor();
      return said.includes('names route "custmer", which is not there') && said.includes('decides by query.x, which');
    });
    const mended = await stack.apply(
      { 'slips.cedar': '@id("slip") forbid(principal == Identity::"spiffe://example.org/none", action, resource);' },
      { prune: false },
    );
    expect(mended.code, mended.stderr).toBe(0);
  });

  it('is told that the API is away, or does not take the key', async () => {
    api.removeAllListeners('request');
    api.on('request', (_, response) => response.writeHead(401).end());
    const says = (pattern: RegExp) => async () => {
      await curl(['http://api/v1/customers/1']);
      return pattern.test(await doctor());
    };
    await eventually('the doctor says so of the key', says(/refuses the gateway’s credential \(401\)/));
    api.close(); // It listens no more, whoever still has a WebSocket open.
    api.closeAllConnections();
    await eventually('the doctor says so of its address', says(/nothing listens there \(ECONNREFUSED\)/));
  });
});

/** Wants its key with each request. */
function createApi(): http.Server {
  const server = http.createServer((request, response) => {
    const { method = '', url = '' } = request;
    const { authorization } = request.headers;
    const one = { method, url, body: 0, authorization };
    if (url !== '*') seen.push(one);
    const answer = (status: number, body: unknown) => {
      response.writeHead(status, {
        'content-type': 'application/json',
        'set-cookie': 'a=b',
        etag: `"${SSN}"`,
        'x-ssn': SSN,
      });
      response.end(JSON.stringify(body));
    };
    request.on('data', (more: Buffer) => {
      one.body += more.length;
    });
    request.on('end', () => {
      if (authorization !== `Bearer ${KEY}`) return answer(401, { error: 'no' });
      const [, , noun, id] = url.split('/');
      if (noun === 'customers' && id === undefined) return answer(200, { items: [{ id: 1, name: 'Ada', ssn: SSN }] });
      if (noun === 'customers') return answer(200, { id, name: 'Ada', ssn: SSN });
      if (noun === 'orders') return answer(200, { ordered: true });
      if (id === 'up') return answer(200, { received: one.body });
      if (id === 'hang') return;
      stream(response, Number(id));
    });
  });
  server.on('upgrade', (_, connection) => {
    connection.on('error', () => {}).on('end', () => connection.end());
    connection.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\nready');
    connection.on('data', (text: Buffer) => void connection.write(`you said ${text.toString()}`));
  });
  return server;
}

function stream(response: http.ServerResponse, bytes: number): void {
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes });
  const piece = Buffer.alloc(64 * 1024);
  let left = bytes;
  const more = () => {
    while (left > 0) {
      const next = piece.subarray(0, Math.min(left, piece.length));
      left -= next.length;
      if (!response.write(next)) return void response.once('drain', more);
    }
    response.end();
  };
  more();
}
