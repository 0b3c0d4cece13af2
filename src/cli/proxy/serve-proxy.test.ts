import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import * as http2 from 'node:http2';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { type Clock, createManualClock, createSystemClock, createSystemRandom } from '../../std/index.ts';
import { encodePem } from '../../wire/x509/index.ts';
import { createRunAuthority } from './run-authority.ts';
import { createProxy, type ProxyDeps } from './serve-proxy.ts';

// Goal: whatever a client or a far end says, an answer is that of the host that was asked, and nobody waits for what never comes.

const HOST = 'api.example.org';
const systemClock = createSystemClock();
const authority = createRunAuthority({ hosts: [HOST], clock: systemClock, random: createSystemRandom() });
let folder: string;
let proxy: Server;
let opened: Server[];
let sockets: Socket[];
let told: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'serve-proxy-'));
  [opened, sockets, told] = [[], [], []];
});
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of opened) server.close();
  rmSync(folder, { recursive: true });
});

async function listen(server: Server, place: string | number): Promise<number> {
  opened.push(server);
  server.on('connection', (socket) => sockets.push(socket.on('error', () => {})));
  server.listen(place);
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

/** The proxy, with an agent and a place elsewhere that do as they are told. */
async function open(wanted: {
  readonly agent?: (socket: Socket) => void;
  readonly elsewhere?: (socket: Socket) => void;
  readonly hosts?: readonly string[];
  readonly late?: ProxyDeps['lateTarget'];
  readonly clock?: Clock;
}): Promise<void> {
  const socket = join(folder, 'http.sock');
  await listen(createServer({ allowHalfOpen: true }, wanted.agent ?? answering('agent')), socket);
  const away = await listen(createServer({ allowHalfOpen: true }, wanted.elsewhere ?? answering('elsewhere')), 0);
  const target = { name: 'api', socket };
  const serve = createProxy({
    hosts: { byHost: new Map((wanted.hosts ?? [HOST]).map((host) => [host, target])), shared: new Map() },
    ...{ authority, clock: wanted.clock ?? systemClock, lateTarget: wanted.late },
    reach: () => connect({ port: away, host: '127.0.0.1', allowHalfOpen: true }),
    tell: (_, line) => told.push(line),
  });
  proxy = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => serve(client, () => {}));
  await listen(proxy, 0);
}

const answering = (name: string) => (socket: Socket) =>
  void socket.once('data', () => socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${name.length}\r\n\r\n${name}`));

function client(): { readonly socket: Socket; said(): string; readonly ended: Promise<unknown> } {
  const address = proxy.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  sockets.push(socket.on('error', () => {}));
  let said = '';
  socket.on('data', (text) => {
    said += text.toString('latin1');
  });
  const ended = new Promise((resolve) => socket.once('end', resolve).once('close', resolve));
  return { socket, said: () => said, ended };
}

async function answerTo(request: string): Promise<string> {
  const { socket, said, ended } = client();
  socket.write(request, 'latin1');
  await ended;
  return said();
}

const get = (url: string, host: string, version = '1.1') => `GET ${url} HTTP/${version}\r\nHost: ${host}\r\n\r\n`;

describe('the answer to a request without a tunnel', () => {
  it('is one, and says that it is the last, whatever its sender says behind it, and though that stays', async () => {
    await open({
      elsewhere(socket) {
        socket.once('data', () =>
          socket.write(
            'HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 3\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\r\none' +
              'HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged',
          ),
        );
      },
    });
    expect(await answerTo(get('http://evil.test/', 'evil.test'))).toBe(
      'HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nconnection: close\r\ncontent-length: 3\r\n\r\none',
    );
  });

  it.each([
    [
      'in chunks',
      'transfer-encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n',
      '1.1',
      /chunked\r\n\r\n3\r\none\r\n0\r\n\r\n$/,
    ],
    [
      'in chunks, to a client of HTTP/1.0',
      'transfer-encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n',
      '1.0',
      /close\r\n\r\none$/,
    ],
    ['to the end of the connection', '\r\none', '1.1', /connection: close\r\n\r\none$/],
    [
      'with an early hint',
      'x: y\r\ncontent-length: 0\r\n\r\n',
      '1.1',
      /^HTTP\/1\.1 103 .*\r\n\r\nHTTP\/1\.1 200 OK\r\nx: y/s,
    ],
  ])('comes whole: %s', async (name, answer, version, wanted) => {
    const early = name.includes('hint') ? 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n' : '';
    await open({
      elsewhere: (socket) => void socket.once('data', () => socket.end(`${early}HTTP/1.1 200 OK\r\n${answer}`)),
    });
    expect(await answerTo(get('http://away.test/', 'away.test', version))).toMatch(wanted);
  });

  it('to HEAD has the length of what is not sent', async () => {
    await open({
      elsewhere: (socket) =>
        void socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n')),
    });
    const answer = await answerTo(get('http://away.test/', 'away.test').replace('GET', 'HEAD'));
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\nconnection: close\r\ncontent-length: 9\r\n\r\n$/);
  });

  it('that can not be read in one way is not passed on, and that is said', async () => {
    await open({
      elsewhere: (socket) =>
        void socket.once('data', () =>
          socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'),
        ),
    });
    const answer = await answerTo(get('http://away.test/', 'away.test'));
    expect(answer).toMatch(/^HTTP\/1\.1 502 .*"reason":"answer"/s);
    expect(told.join()).toContain('away.test');
  });

  it('that breaks off is seen to be no whole one', async () => {
    await open({
      elsewhere: (socket) =>
        void socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf')),
    });
    const { socket, said } = client();
    const broken = once(socket, 'error').then(() => 'broken');
    socket.write(get('http://away.test/', 'away.test'));
    expect(await broken).toBe('broken');
    expect(said()).toMatch(/half$/);
  });

  it('that comes before the body has, reaches a client that still sends', async () => {
    await open({
      elsewhere: (socket) =>
        void socket.once('data', () => socket.write('HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n')),
    });
    const { socket, said, ended } = client();
    socket.write('POST http://away.test/ HTTP/1.1\r\nHost: away.test\r\nContent-Length: 900000\r\n\r\n');
    for (let sent = 0; sent < 8; sent++) socket.write(Buffer.alloc(100_000));
    await ended;
    expect(said()).toMatch(/^HTTP\/1\.1 413 /);
  });
});

it('an answer goes no faster than its reader takes it, and comes whole', async () => {
  const size = 24 * 1024 * 1024;
  let sent: Socket | undefined;
  await open({
    elsewhere: (socket) =>
      void socket.once('data', () => {
        sent = socket;
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`);
        socket.write(Buffer.alloc(size));
      }),
  });
  const { socket, ended } = client();
  socket.removeAllListeners('data').pause();
  socket.write(get('http://away.test/', 'away.test'));
  await eventually('it has begun', () => sent !== undefined);
  // It waits at its sender, as long as nobody reads.
  let turns = 0;
  await eventually('it is looked at some times', () => ++turns > 10);
  expect(sent?.writableLength).toBeGreaterThan(size / 2);
  let got = 0;
  socket.on('data', (bytes) => {
    got += bytes.length;
  });
  socket.resume();
  await ended;
  expect(got).toBeGreaterThan(size);
});

it('a head that does not come whole within ten seconds is answered, of a tunnel as of a request', async () => {
  for (const text of [`CONNECT ${HOST}:443 HTTP/1.1\r\n`, 'GET http://', '']) {
    const clock = createManualClock(0);
    await open({ clock });
    const { socket, said } = client();
    socket.write(text);
    await eventually('it is waited for', () => clock.pending() > 0);
    await clock.advance(9_999);
    expect(said()).toBe('');
    await clock.advance(1);
    await eventually('it is answered', () => said().startsWith('HTTP/1.1 408 '));
    for (const server of opened.splice(0)) server.close();
  }
});

describe('a request without a tunnel', () => {
  it('whose client leaves amid the body ends the other end too', async () => {
    const gone = Promise.withResolvers<string>();
    await open({ agent: (socket) => void socket.on('end', () => gone.resolve('gone')).resume() });
    const { socket } = client();
    socket.end(`POST http://${HOST}/ HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 5\r\n\r\nab`);
    expect(await gone.promise).toBe('gone');
  });

  it.each([
    ['CONNECT', `CONNECT ${HOST}:80 HTTP/1.1\r\nHost: ${HOST}:80\r\n\r\n`, 'malformed'],
    ['an https address', get(`https://${HOST}/`, HOST), 'scheme'],
    ['an https address by a long method', get(`https://${HOST}/`, HOST).replace('GET', 'G'.repeat(300)), 'scheme'],
  ])('behind an empty line is refused as without one: %s', async (_, text, reason) => {
    await open({});
    expect(await answerTo(`\r\n${text}`)).toMatch(new RegExp(`^HTTP/1\\.1 400 .*"reason":"${reason}"`, 's'));
  });
});

describe('an address that a target lists', () => {
  it.each([
    ['[FD00:0::5]', 'fd00::5'],
    ['[fd00::0.0.0.5]', 'fd00::5'],
    ['10.1', '10.0.0.1'],
    ['0xa.0.0.1', '10.0.0.1'],
    ['167772161', '10.0.0.1'],
    ['[::ffff:10.0.0.1]', '10.0.0.1'],
  ])('is that target’s in another spelling: %s', async (written, listed) => {
    await open({ hosts: [listed] });
    expect(await answerTo(get(`http://${written}/`, written))).toMatch(/agent$/);
    const { socket, said } = client();
    socket.write(`CONNECT ${written}:80 HTTP/1.1\r\n\r\n${get('/', listed)}`);
    await eventually('the agent answers', () => said().endsWith('agent'));
  });
});

describe('a tunnel', () => {
  it('carries what was said before it was opened, and the end behind that', async () => {
    await open({
      agent(socket) {
        let all = '';
        socket.on('data', (text) => {
          all += text;
        });
        socket.on('end', () => socket.end(all));
      },
    });
    const { socket, said, ended } = client();
    socket.end(`CONNECT ${HOST}:80 HTTP/1.1\r\n\r\nearly`);
    await ended;
    expect(said()).toBe('HTTP/1.1 200 Connection established\r\n\r\nearly');
  });

  it('to a target speaks HTTP/2 with clients that speak nothing else, and HTTP/1.1 with all others', async () => {
    const server = http2.createServer();
    server.on('stream', (stream) => stream.end('by h2'));
    await open({ agent: (socket) => void server.emit('connection', socket) });
    const ca = encodePem('CERTIFICATE', authority?.rootDer ?? Buffer.alloc(0));
    const secured = async (protocols: string[]) => {
      const { socket, said } = client();
      socket.write(`CONNECT ${HOST}:443 HTTP/1.1\r\n\r\n`);
      await eventually('the tunnel is open', () => said().includes('\r\n\r\n'));
      socket.removeAllListeners('data');
      const secure = connectTls({ socket, servername: HOST, ca, ALPNProtocols: protocols });
      await once(secure, 'secureConnect');
      return secure;
    };
    expect((await secured(['h2', 'http/1.1'])).alpnProtocol).toBe('http/1.1');
    const secure = await secured(['h2']);
    const session = http2.connect(`https://${HOST}`, { createConnection: () => secure });
    const stream = session.request({ ':path': '/' });
    let said = '';
    stream.on('data', (text) => {
      said += text;
    });
    await once(stream, 'end');
    expect([secure.alpnProtocol, said]).toEqual(['h2', 'by h2']);
    session.destroy();
  });

  it('by TLS without a protocol in common is ended, and the client told apart from one that distrusts', async () => {
    await open({});
    const { socket, said } = client();
    socket.write(`CONNECT ${HOST}:443 HTTP/1.1\r\n\r\n`);
    await eventually('the tunnel is open', () => said().includes('\r\n\r\n'));
    socket.removeAllListeners('data');
    const secure = connectTls({ socket, servername: HOST, rejectUnauthorized: false, ALPNProtocols: ['spdy/3'] });
    await once(secure, 'error').catch(() => {});
    await eventually('it is told', () => told.length > 0);
    expect(told).toEqual([expect.stringMatching(/speaks neither HTTP\/1\.1 nor HTTP\/2 \(spdy\/3\)/)]);
  });
});

describe('a host that a target lists only since the start', () => {
  it('is reached as before, and that is told', async () => {
    await open({ late: (host) => (host === 'new.test' ? 'fresh' : undefined) });
    expect(await answerTo(get('http://new.test/', 'new.test'))).toMatch(/elsewhere$/);
    expect(told).toEqual([expect.stringMatching(/target fresh lists the host new\.test now.*start the command anew/)]);
    expect(await answerTo(get('http://away.test/', 'away.test'))).toMatch(/elsewhere$/);
    expect(told).toHaveLength(1);
  });
});
