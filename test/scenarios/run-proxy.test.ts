/**
 * `countersign run --proxy`: programs with an address built in, by real clients, a real command and what the kernel says of it. The agent's socket is a
 * server that answers with what it was asked.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import * as http from 'node:http';
import type * as net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { own } from '../support/owned.ts';
import { run } from '../support/processes.ts';

const executable = join(import.meta.dirname, '../../bin/countersign.js');
const HOST = 'api.example.org';
const mayLack =
  ['curl', 'python3'].some((name) => spawnSync(name, ['--version']).error !== undefined) &&
  process.env['CI'] !== 'true';

let folder: string;
let temporary: string;
let agent: http.Server;
/** Somewhere that is no target's. */
let elsewhere: http.Server;
const children: ChildProcess[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'proxy-'));
  temporary = join(folder, 'temporary');
  for (const name of ['api', 'other', 'temporary']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'api', 'hosts'), `${HOST}\nshared.example.org\n`);
  writeFileSync(join(folder, 'other', 'hosts'), 'other.example.org\nshared.example.org\n');
  agent = echoServer('api');
  await listenAt(agent, join(folder, 'api/http.sock'));
  elsewhere = echoServer('elsewhere');
  await listenAt(elsewhere, 0);
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
  await eventually('nothing of a run is left among the temporary files', () => readdirSync(temporary).length === 0);
});
afterAll(() => {
  for (const server of [agent, elsewhere]) {
    server?.closeAllConnections();
    server?.close();
  }
  rmSync(folder, { recursive: true, force: true });
});

/** Answers with what it was asked, and who it is; WebSockets, and whatever is put in their place, are echoed. */
function echoServer(name: string): http.Server {
  const server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (text) => {
      body += text;
    });
    request.on('end', () => {
      const { method, url, headers } = request;
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({ name, method, url, host: headers.host, body, proxy: headers['proxy-authorization'] }),
      );
    });
  });
  return server.on('upgrade', (_request, socket, head) => {
    socket.on('error', () => {});
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    socket.write(head);
    socket.pipe(socket);
  });
}

async function listenAt(server: http.Server, place: string | number): Promise<void> {
  server.listen(place);
  await once(server, 'listening');
}

const words = (options: readonly string[], command: readonly string[]) =>
  [executable, 'run', '--targets-dir', folder, '--proxy', ...options, '--', ...command] as const;
interface Wanted {
  readonly options?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}
const runCommand = (command: readonly string[], { options = ['api'], env = {} }: Wanted = {}) =>
  run(process.execPath, words(options, command), { env: { TMPDIR: temporary, ...env } });
const curl = (args: readonly string[], wanted?: Wanted) => runCommand(['curl', '-sS', ...args], wanted);
/** Runs a script of Node's that has `say`, and a raw connection to the proxy in `open`. */
const runScript = (script: string, wanted?: Wanted) =>
  runCommand([process.execPath, '-e', `${SCRIPT_HEAD}\n${script}`], wanted);
const SCRIPT_HEAD = `
  const net = require('node:net'), tls = require('node:tls'), fs = require('node:fs');
  const { hostname, port } = new URL(process.env.HTTPS_PROXY);
  const open = () => net.connect({ host: hostname, port, allowHalfOpen: true }).on('error', (error) => say(error.code));
  const say = (text) => fs.writeSync(1, String(text) + '\\n');
  const reply = (socket) => new Promise((resolve) => {
    let all = '';
    socket.on('data', (text) => { all += text; if (all.includes('\\r\\n\\r\\n')) resolve(all); });
    socket.on('close', () => resolve(all));
  });
`;

describe.skipIf(mayLack)('a program with the address of a target built in', () => {
  it.each([
    ['https', `https://${HOST}/v1/customers?a=b`],
    ['https with its port', `https://${HOST}:443/v1/customers?a=b`],
    ['http', `http://${HOST}/v1/customers?a=b`],
    ['another spelling', `http://API.example.org./v1/customers?a=b`],
  ])('comes by it: curl, by %s', async (_, url) => {
    const { code, stdout, stderr } = await curl([url]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { name, url: asked, host } = JSON.parse(stdout);
    expect({ name, url: asked, host: host.replace(/^API(.*)\.$/, 'api$1') }).toEqual({
      ...{ name: 'api', url: '/v1/customers?a=b', host: HOST },
    });
  });

  it('comes by it: fetch of Node', async () => {
    const script = `fetch('https://${HOST}/x', { method: 'POST', body: 'hello' }).then((a) => a.text()).then(say);`;
    const { stdout, stderr } = await runScript(script);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({ name: 'api', method: 'POST', host: HOST, body: 'hello' });
  });

  it('comes by it: urllib of Python', async () => {
    const script = `import urllib.request as web; print(web.urlopen("https://${HOST}/x").read().decode())`;
    const { stdout, stderr } = await runCommand(['python3', '-c', script]);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({ name: 'api', url: '/x', host: HOST });
  });

  it.each([
    ['git', ['ls-remote', `https://${HOST}/repo.git`], '/repo.git/info/refs?service=git-upload-pack'],
    [
      'pip3',
      ['download', '--no-deps', '--index-url', `https://${HOST}/simple`, 'countersign-none'],
      '/simple/countersign-none/',
    ],
    ['npm', ['view', 'countersign-none', '--registry', `https://${HOST}/npm/`], '/npm/countersign-none'],
  ])('comes by it: %s, which finds what it looks for at the target', async (program, args, url) => {
    if (spawnSync(program, ['--version']).error !== undefined) return;
    const seen: (string | undefined)[] = [];
    const look = (request: http.IncomingMessage) => seen.push(request.url);
    agent.on('request', look);
    // What they leave there is theirs.
    const { stderr } = await runCommand(['env', `TMPDIR=${folder}`, program, ...args], {
      env: { HOME: folder, npm_config_cache: folder, PIP_NO_CACHE_DIR: '1' },
    });
    agent.off('request', look);
    expect(stderr).not.toContain('has not begun TLS');
    expect(seen).toContain(url);
  });

  it('keeps its connection, sends bodies in chunks, and waits for a 100', async () => {
    const { stdout } = await curl([
      ...['-H', 'transfer-encoding: chunked', '-H', 'expect: 100-continue', '-d', 'one', `https://${HOST}/1`],
      ...['--next', '-sS', '-w', '%{num_connects}', `https://${HOST}/2`],
    ]);
    expect(stdout).toMatch(/"body":"one".*"url":"\/2".*\}0$/);
    const plain = await curl([
      ...['-H', 'transfer-encoding: chunked', '-H', 'expect: 100-continue', '-d', 'one', `http://${HOST}/1`],
      ...['--next', '-sS', '--proxy-user', 'a:secret', `http://${HOST}/2`],
    ]);
    expect(plain.stdout).toMatch(/"body":"one".*"url":"\/2"/);
    expect(plain.stdout).not.toContain('secret');
    expect(plain.stdout).not.toContain('Basic');
  });

  it('opens WebSockets: wss, and ws by a tunnel or a request to the proxy', async () => {
    const asked = `Host: ${HOST}\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n`;
    const script = `
      const shake = (socket, path) => { socket.write('GET ' + path + ' HTTP/1.1\\r\\n${asked}'); return reply(socket); };
      const echo = async (socket, path) => {
        say((await shake(socket, path)).slice(0, 12));
        socket.removeAllListeners('data');
        socket.once('data', (text) => { say(text); socket.destroy(); });
        socket.write('hello');
      };
      const tunnel = async (port) => {
        const socket = open();
        socket.write('CONNECT ${HOST}:' + port + ' HTTP/1.1\\r\\n\\r\\n');
        await reply(socket);
        socket.removeAllListeners('data');
        return socket;
      };
      (async () => {
        const socket = await tunnel(443);
        const ca = fs.readFileSync(process.env.SSL_CERT_FILE);
        await echo(tls.connect({ socket, servername: '${HOST}', ca }), '/');
        await echo(await tunnel(80), '/');
        await echo(open(), 'http://${HOST}/');
      })();
    `;
    const { stdout, stderr } = await runScript(script);
    expect(stderr).toBe('');
    expect(stdout.trim().split('\n').sort()).toEqual([...Array(3).fill('HTTP/1.1 101'), ...Array(3).fill('hello')]);
  });

  it('has both ends of a tunnel half open', async () => {
    const script = `
      const socket = open();
      socket.write('CONNECT ${HOST}:80 HTTP/1.1\\r\\n\\r\\n');
      reply(socket).then(() => {
        socket.removeAllListeners('data');
        socket.on('data', (text) => say(String(text).split('\\r\\n')[0]));
        socket.end('GET / HTTP/1.1\\r\\nHost: ${HOST}\\r\\n\\r\\n');
      });
    `;
    expect(await runScript(script)).toMatchObject({ stdout: 'HTTP/1.1 200 OK\n', stderr: '' });
  });

  it('has a thousand tunnels at once', async () => {
    const script = `
      let left = 1000;
      const all = Array.from({ length: 1000 }, () => {
        const socket = open();
        socket.write('CONNECT ${HOST}:80 HTTP/1.1\\r\\n\\r\\n');
        reply(socket).then((text) => {
          if (!text.startsWith('HTTP/1.1 200')) say(text);
          if (--left > 0) return;
          say('all');
          for (const one of all) one.destroy();
        });
        return socket;
      });
    `;
    expect(await runScript(script)).toMatchObject({ stdout: 'all\n', stderr: '' });
  });
});

describe.skipIf(mayLack)('what a command is told', () => {
  const settings = async (wanted: Wanted) => {
    const script = `say(JSON.stringify(process.env)); for (const name of ['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS'])
      say(JSON.stringify({ text: fs.readFileSync(process.env[name], 'latin1'), mode: fs.statSync(process.env[name]).mode & 0o777 }));`;
    const { stdout, stderr } = await runScript(script, wanted);
    const [env, bundle, extra] = stdout
      .split('\n')
      .slice(0, 3)
      .map((line) => JSON.parse(line || '{}'));
    return { env, bundle, extra, stderr };
  };

  it('is the proxy in all spellings, and roots that this user alone can read', async () => {
    const { env, bundle, extra, stderr } = await settings({});
    expect(stderr).toBe('');
    expect(env.https_proxy).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    for (const name of ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'ALL_PROXY', 'all_proxy'])
      expect(env[name]).toBe(env.https_proxy);
    expect(env.NO_PROXY).toContain('127.0.0.1');
    expect([bundle.mode, extra.mode]).toEqual([0o600, 0o600]);
    expect(extra.text.match(/BEGIN CERTIFICATE/g)).toHaveLength(1);
    expect(bundle.text.endsWith(extra.text)).toBe(true);
    expect(`${bundle.text}${extra.text}`).not.toContain('PRIVATE KEY');
    expect(existsSync(dirname(env.SSL_CERT_FILE))).toBe(false);
  });

  it('keeps the roots and exceptions that the user has set, but for those of targets', async () => {
    const file = join(folder, 'roots.pem');
    writeFileSync(file, '# mine');
    const { env, bundle, stderr } = await settings({
      env: { SSL_CERT_FILE: file, NO_PROXY: 'near.test,.example.org', JAVA_TOOL_OPTIONS: '-Xmx64m' },
    });
    expect(bundle.text).toMatch(/^# mine\n-----BEGIN/);
    expect(env.NO_PROXY).toMatch(/^near\.test,localhost,/);
    expect(stderr).toMatch(/NO_PROXY has lost \.example\.org/);
    expect(env.JAVA_TOOL_OPTIONS).toMatch(/^-Xmx64m -Dhttp\.proxyHost=127\.0\.0\.1 .*-Djavax\.net\.ssl\.trustStore=/);
  });

  it.each([
    ['what it can not be', { options: ['--proxy-others', 'maybe', 'api'] }, 'pass or refuse'],
    [
      'another proxy, which others need',
      { env: { https_proxy: 'http://u:secret@p.test' } },
      'https_proxy names a proxy',
    ],
    ['no folder for its certificates', { env: { TMPDIR: '/nowhere' } }, 'set TMPDIR to a folder that does'],
  ])('and it is refused: %s', async (_, wanted, said) => {
    const { code, stderr } = await curl([`https://${HOST}/`], wanted);
    expect({ code, stderr }).toEqual({ code: 64, stderr: expect.stringContaining(said) });
    expect(stderr).not.toContain('secret');
  });
});

describe.skipIf(mayLack)('what is no target’s', () => {
  const port = () => (elsewhere.address() as net.AddressInfo).port; // It listens to a port.

  it('goes where it went, unless it is to be refused', async () => {
    // A name of this machine, which is near: it is refused by its address.
    const near = await curl([`http://localhost:${port()}/`, '--noproxy', '']);
    expect(near.stdout).toContain('"reason":"near"');
    const direct = await curl([`http://127.0.0.1:${port()}/`]);
    expect(JSON.parse(direct.stdout)).toMatchObject({ name: 'elsewhere' });
    const refused = await curl(['-o', '/dev/null', 'https://away.test/'], {
      options: ['--proxy-others', 'refuse', 'api'],
    });
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/403[\s\S]*|no target lists the host away\.test/);
    expect(refused.stderr).toContain('--proxy-others pass');
  });

  it.each([
    ['a port that is not a target’s', `CONNECT ${HOST}:22 HTTP/1.1`, '403', 'port'],
    ['a port that is none', `CONNECT ${HOST}:0 HTTP/1.1`, '400', 'malformed'],
    ['this machine by its name', 'CONNECT localhost:22 HTTP/1.1', '403', 'near'],
    ['this machine by its address', 'CONNECT 127.0.0.1:22 HTTP/1.1', '403', 'near'],
    ['this machine in another spelling', 'CONNECT 127.1:22 HTTP/1.1', '403', 'near'],
    ['this machine in the other family', 'CONNECT [::ffff:127.0.0.1]:22 HTTP/1.1', '403', 'near'],
    ['the metadata of a cloud', 'CONNECT 169.254.169.254:80 HTTP/1.1', '403', 'near'],
    [
      'the metadata of a cloud without a tunnel',
      'GET http://169.254.169.254/ HTTP/1.1\\r\\nHost: 169.254.169.254',
      '403',
      'near',
    ],
    ['the proxy itself', "GET / HTTP/1.1\\r\\nHost: ' + hostname + ':' + port + '", '403', 'near'],
    ['a host that two targets list', 'CONNECT shared.example.org:443 HTTP/1.1', '200', ''],
    ['another host beside the first', `CONNECT ${HOST}:443 HTTP/1.1\\r\\nHost: other.test:443`, '400', 'malformed'],
    ['two hosts', `CONNECT ${HOST}:443 HTTP/1.1\\r\\nHost: ${HOST}\\r\\nHost: ${HOST}`, '400', 'malformed'],
    ['a body', `CONNECT ${HOST}:443 HTTP/1.1\\r\\nContent-Length: 5`, '400', 'malformed'],
    ['a folded line', `CONNECT ${HOST}:443 HTTP/1.1\\r\\n x: y`, '400', 'malformed'],
    ['user info', `GET http://me@${HOST}/ HTTP/1.1\\r\\nHost: ${HOST}`, '400', 'malformed'],
    [
      'one host in the address, another in Host',
      `GET http://${HOST}/ HTTP/1.1\\r\\nHost: other.test`,
      '400',
      'malformed',
    ],
    ['https without a tunnel', `GET https://${HOST}/ HTTP/1.1\\r\\nHost: ${HOST}`, '400', 'scheme'],
    [
      'two lengths',
      `POST http://${HOST}/ HTTP/1.1\\r\\nHost: ${HOST}\\r\\nContent-Length: 1\\r\\nContent-Length: 2`,
      '400',
      'malformed',
    ],
    ['TLS to the proxy', '\\x16\\x03\\x01\\x02', '400', 'malformed'],
    ['a giant head', "CONNECT a.test:443 HTTP/1.1\\r\\nX: ' + 'x'.repeat(20000) + '", '431', 'malformed'],
  ])('is refused or not, with a word: %s', async (_, head, status, reason) => {
    const script = `const socket = open(); socket.write('${head}\\r\\n\\r\\n', 'latin1');
      reply(socket).then((text) => { say(text.slice(9, 12)); say(text.split('\\r\\n\\r\\n')[1]); socket.destroy(); });`;
    const { stdout } = await runScript(script);
    expect(stdout.slice(0, 3)).toBe(status);
    if (reason !== '') expect(stdout).toContain(`"reason":"${reason}"`);
  });

  it('is no second request behind a refused tunnel, nor behind a request to another place', async () => {
    const second = `GET http://${HOST}/smuggled HTTP/1.1\\r\\nHost: ${HOST}\\r\\n\\r\\n`;
    const seen: (string | undefined)[] = [];
    const look = (request: http.IncomingMessage) => seen.push(request.url);
    agent.on('request', look);
    const all = (first: string) =>
      runScript(`const socket = open(); let all = ''; socket.on('data', (text) => { all += text; }); socket.on('close', () => say(all));
        socket.end('${first}${second}');`);
    const refused = await all(`CONNECT ${HOST}:22 HTTP/1.1\\r\\n\\r\\n`);
    const plain = await all(`GET http://${HOST}/first HTTP/1.1\\r\\nHost: ${HOST}\\r\\n\\r\\n`);
    agent.off('request', look);
    expect(refused.stdout.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(plain.stdout.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(seen).toEqual(['/first']);
  });

  it('is not reached under the name of a target by TLS', async () => {
    const script = `
      const socket = open();
      socket.write('CONNECT ${HOST}:443 HTTP/1.1\\r\\n\\r\\n');
      reply(socket).then(() => {
        socket.removeAllListeners('data');
        const secure = tls.connect({ socket, servername: 'other.test', rejectUnauthorized: false }, () => say('open'));
        secure.on('error', () => {}).on('close', () => say('closed'));
      });
    `;
    const { stdout, stderr } = await runScript(script);
    expect(stdout).toBe('closed\n');
    expect(stderr).toContain('asks by TLS for another host');
  });

  it('is not vouched for by the root of a run, though its client trusts it', async () => {
    const { stdout, stderr } = await curl(['-k', '-v', `https://${HOST}/`]);
    expect(stdout).toContain('"name":"api"');
    expect(stderr).toContain('Countersign');
    const distrust = await curl(['--cacert', '/dev/null', `https://${HOST}/`]);
    expect(distrust.code).not.toBe(0);
    expect(distrust.stderr).toContain('has not begun TLS with the certificate of this run');
  });
});

describe.skipIf(mayLack)('whoever the command did not start', () => {
  it('is reset, and what a killed run leaves can go nowhere', async () => {
    const idle = spawn(
      process.execPath,
      words(['api'], ['sh', '-c', 'echo $HTTPS_PROXY $SSL_CERT_FILE; exec sleep 600']),
      {
        ...{ stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, TMPDIR: temporary } },
      },
    );
    own(idle);
    children.push(idle);
    let said = '';
    idle.stdout?.on('data', (text) => {
      said += text;
    });
    const [, url = '', file = ''] = await eventually('it says where', () => /^(\S+) (\S+)\n/.exec(said) ?? undefined);
    expect(statSync(dirname(file)).mode & 0o777).toBe(0o700);
    const stranger = () => run('curl', ['-sS', '-x', url, `http://${HOST}/`]);
    expect((await stranger()).stderr).toMatch(/reset|Empty reply/i);
    const orphan = spawnSync('ps', ['--ppid', String(idle.pid), '-o', 'pid='], { encoding: 'utf8' }).stdout.trim();
    idle.kill('SIGKILL');
    await once(idle, 'exit');
    expect((await stranger()).stderr).toMatch(/connect/i);
    // What is left are certificates.
    for (const name of readdirSync(dirname(file)))
      expect(readFileSync(join(dirname(file), name), 'latin1')).not.toContain('PRIVATE');
    rmSync(dirname(file), { recursive: true });
    process.kill(Number(orphan), 'SIGKILL');
  });

  it.skipIf(process.getuid?.() !== 0)('or is another user, is reset, also where the command started it', async () => {
    const { stdout, stderr } = await runCommand([
      ...['setpriv', '--reuid', '12345', '--clear-groups'],
      ...['curl', '-sS', '-o', '/dev/null', '-w', '%{http_code}', '--noproxy', '', `http://${HOST}/`],
    ]);
    expect(stdout).toBe('000');
    expect(stderr).toContain('by another user (uid 12345)');
  });

  it('and an agent that is away is told, and found again', async () => {
    const script = `
      const ask = () => fetch('http://${HOST}/').then((a) => a.text(), (error) => error.message).then(say);
      const socket = '${join(folder, 'api/http.sock')}';
      (async () => {
        fs.renameSync(socket, socket + '.away');
        const one = open(); one.write('CONNECT ${HOST}:443 HTTP/1.1\\r\\n\\r\\n');
        say((await reply(one)).slice(9, 12)); one.destroy();
        fs.renameSync(socket + '.away', socket);
        await ask();
      })();
    `;
    const { stdout, stderr } = await runScript(script);
    expect(stdout).toMatch(/^502\n\{"name":"api"/);
    expect(stderr).toContain('is an agent running on this machine?');
  });
});
