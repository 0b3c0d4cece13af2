/** The APIs of the clients' steps: Node's own server, and nginx and Go's net/http, which serve files themselves and hand the rest on to it. */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import * as path from 'node:path';
import { gzipSync } from 'node:zlib';
import { createDaemon, type Daemon, freePorts } from '../../support/processes.ts';
import { startLineProcess } from '../line-process.ts';
import { commandIn } from '../toolchain.ts';

export interface Upstreams extends AsyncDisposable {
  readonly ports: Readonly<Record<UpstreamName, number>>;
}

export type UpstreamName = 'node' | 'nginx' | 'go';
export const NGINX = commandIn(['/usr/sbin'], 'nginx');
export const SSN = '123-45-6789';

/** `folder` is empty, of this test alone; `goServer` is the program in `go/`. */
export async function startUpstreams(folder: string, goServer: string): Promise<Upstreams> {
  const files = path.join(folder, 'files');
  fs.mkdirSync(files);
  fs.writeFileSync(path.join(files, 'big.bin'), BIG);
  fs.writeFileSync(path.join(files, 'small.txt'), 'small');
  const server = http.createServer((request, response) => answer(request, response, files));
  server.on('upgrade', (request, socket) => {
    const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}${WEBSOCKET}`).digest('base64');
    socket.on('error', () => {}).on('end', () => socket.end());
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
    );
    socket.once('data', () => socket.write(Buffer.concat([Buffer.from([0x81, 5]), Buffer.from('world')])));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const node = (server.address() as AddressInfo).port;
  const nginx = await startNginx(folder, { files, node });
  const go = startLineProcess(goServer, ['serve', files, `http://127.0.0.1:${node}`]);
  const { port } = await go.next();
  return {
    ports: { node, nginx: nginx.port, go: Number(port) },
    async [Symbol.asyncDispose]() {
      await go[Symbol.asyncDispose]();
      await nginx.daemon.end('SIGTERM');
      server.closeAllConnections();
      server.close();
    },
  };
}

async function startNginx(folder: string, { files, node }: { files: string; node: number }) {
  if (NGINX === undefined) throw new Error('there is no nginx: install nginx-light');
  const [port = 0] = await freePorts(1);
  const config = path.join(folder, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (what) => `${what}_temp_path ${folder}/${what};`,
  );
  fs.writeFileSync(
    config,
    `daemon off; ${process.getuid?.() === 0 ? 'user root;' : ''} worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/nginx.log;
     events { worker_connections 256; }
     http { access_log off; client_max_body_size 0; ${temporary.join(' ')}
       types { text/plain txt; } default_type application/octet-stream;
       server { listen 127.0.0.1:${port};
         location /v1/files/ { alias ${files}/; }
         location / { proxy_pass http://127.0.0.1:${node}; proxy_http_version 1.1; proxy_buffering off;
           proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection; proxy_pass_header Date; } } }`,
  );
  const daemon: Daemon = createDaemon({
    ...{ name: 'nginx', file: NGINX, args: ['-p', folder, '-c', config], user: undefined, env: {} },
    ...{ logFile: path.join(folder, 'nginx-out.log'), pidFile: path.join(folder, 'nginx-guard.pid') },
  });
  daemon.start();
  return { port, daemon };
}

function answer(request: http.IncomingMessage, response: http.ServerResponse, files: string): void {
  const hash = createHash('sha256');
  let received = 0;
  request.on('data', (bytes: Buffer) => {
    received += bytes.length;
    hash.update(bytes);
  });
  request.on('end', () => {
    const json = (body: unknown, fields: http.OutgoingHttpHeaders = {}, status = 200) => {
      const text = JSON.stringify(body);
      response.writeHead(status, {
        ...{ 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...fields },
      });
      response.end(text);
    };
    const [, , noun = '', id = ''] = (request.url ?? '').split('/');
    if (noun === 'files') return serveFile(request, response, path.join(files, path.basename(id)));
    if (noun === 'number') return json({ number: id });
    if (noun === 'echo')
      return json({
        method: request.method,
        type: request.headers['content-type'] ?? null,
        received,
        sha: hash.digest('hex'),
      });
    const plain = PLAIN[noun];
    if (plain !== undefined) return plain(response, request, json);
    return json({ error: 'there is no such thing' }, {}, 404);
  });
}

type Json = (body: unknown, fields?: http.OutgoingHttpHeaders, status?: number) => void;
type Plain = (response: http.ServerResponse, request: http.IncomingMessage, json: Json) => void;

const PLAIN: Readonly<Record<string, Plain | undefined>> = {
  item: (_, __, json) => json({ id: 7, name: 'anvil' }, { etag: '"seven"', 'x-own': 'ours' }),
  person: (_, __, json) => json({ name: 'Ada', ssn: SSN }),
  moved: (response) => void response.writeHead(302, { location: '/v1/item', 'content-length': 0 }).end(),
  cookie: (_, request, json) => json({ cookie: request.headers.cookie ?? null }, { 'set-cookie': 'visit=42; Path=/' }),
  failure: (_, __, json) => json({ error: 'out of anvils' }, {}, 500),
  silent: () => {}, // Until the client gives up.
  hang: (response) => void response.writeHead(200, { 'content-type': 'text/plain' }).write('first'),
  zipped: (response) => {
    const body = gzipSync('anvil '.repeat(2_000));
    response.writeHead(200, {
      ...{ 'content-type': 'text/plain', 'content-encoding': 'gzip', 'content-length': body.length },
    });
    response.end(body);
  },
  cut: (response) => {
    response.writeHead(200, { 'content-type': 'text/plain', 'content-length': 1000 });
    response.write('a part');
    setImmediate(() => response.socket?.destroy());
  },
  events: (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    let count = 0;
    const more = () => {
      response.write(`id: ${++count}\ndata: {"count":${count}}\n\n`);
      if (count < 3) setImmediate(more);
      else response.end();
    };
    more();
  },
};

/** As much as the steps need of what the two others do by themselves. */
function serveFile(request: http.IncomingMessage, response: http.ServerResponse, file: string): void {
  const body = fs.readFileSync(file);
  const type = { 'content-type': 'application/octet-stream', etag: '"file"', 'accept-ranges': 'bytes' };
  const fields = { ...type, 'last-modified': fs.statSync(file).mtime.toUTCString() };
  if (request.headers['if-none-match'] === '"file"') return void response.writeHead(304, fields).end();
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  if (first === undefined) return void response.writeHead(200, { ...fields, 'content-length': body.length }).end(body);
  const part = body.subarray(Number(first), Number(last) + 1);
  response.writeHead(206, {
    ...{ ...fields, 'content-length': part.length, 'content-range': `bytes ${first}-${last}/${body.length}` },
  });
  response.end(part);
}

const BIG = Buffer.alloc(4_000_000, 'a file of some length ');
/** @see RFC 6455 §1.3 */
const WEBSOCKET = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
