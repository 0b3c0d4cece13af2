// Does every step with one of Node's clients and prints one JSON object for each: node client.mjs fetch|undici|axios
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import { Readable } from 'node:stream';

const [, , flavour] = process.argv;
const { HTTP_SOCKET: socketPath, TLS_DIR: dir } = process.env;
const base = process.env.COUNTERSIGN_URL ?? process.env.BASE;
const tls =
  dir === undefined
    ? {}
    : {
        ca: readFileSync(`${dir}/bundle.pem`),
        cert: readFileSync(`${dir}/svid.pem`),
        key: readFileSync(`${dir}/key.pem`),
        servername: 'gateway.test',
      };
const ask = await { fetch: nodeFetch, undici: viaUndici, axios: viaAxios }[flavour]();

/** Each resolves to { status, fields, body: Buffer }; `onChunk` sees the body as it comes. */
async function nodeFetch() {
  return (path, options = {}) => fetched(fetch, path, options, {});
}

async function viaUndici() {
  const undici = await import('undici');
  const dispatcher = new undici.Agent({ connections: 20, connect: { ...(socketPath ? { socketPath } : {}), ...tls } });
  return (path, options = {}) => fetched(undici.fetch, path, options, { dispatcher });
}

async function fetched(fetch, path, { method = 'GET', headers = {}, body, follow = true, signal, onChunk }, more) {
  const redirect = follow ? 'follow' : 'manual';
  const duplex = body instanceof ReadableStream ? { duplex: 'half' } : {};
  const response = await fetch(base + path, { method, headers, body, redirect, signal, ...duplex, ...more });
  const chunks = [];
  if (response.body !== null)
    for await (const chunk of response.body) {
      onChunk?.(Buffer.from(chunk));
      chunks.push(chunk);
    }
  return { status: response.status, fields: Object.fromEntries(response.headers), body: Buffer.concat(chunks) };
}

async function viaAxios() {
  const { default: axios } = await import('axios');
  const keep = { keepAlive: true, maxSockets: 20, ...tls };
  const client = axios.create({
    ...{ baseURL: base, validateStatus: () => true, responseType: 'stream', proxy: false },
    ...{ httpAgent: new http.Agent(keep), httpsAgent: new https.Agent(keep), ...(socketPath ? { socketPath } : {}) },
  });
  return async (path, { method = 'GET', headers = {}, body, follow = true, signal, onChunk } = {}) => {
    const data = body instanceof ReadableStream ? Readable.fromWeb(body) : body;
    const response = await client.request({
      ...{ url: path, method, headers, data, signal, maxRedirects: follow && !(data instanceof Readable) ? 5 : 0 },
    });
    const chunks = [];
    for await (const chunk of response.data) {
      onChunk?.(chunk);
      chunks.push(chunk);
    }
    return { status: response.status, fields: { ...response.headers }, body: Buffer.concat(chunks) };
  };
}

const sha = (bytes) => createHash('sha256').update(bytes).digest('hex').slice(0, 16);
const seen = ({ status, fields, body }, names = ['content-type', 'content-length', 'etag', 'x-own']) => [
  status,
  ...names.map((name) => fields[name] ?? null),
  body.length > 200 ? sha(body) : body.toString(),
];
const big = Buffer.alloc(3_000_000, 'countersign ');
const json = { 'content-type': 'application/json' };
const STEPS = {
  get: async () => seen(await ask('/v1/item')),
  head: async () => seen(await ask('/v1/item', { method: 'HEAD' })),
  post: async () => seen(await ask('/v1/echo', { method: 'POST', headers: json, body: '{"name":"ünï","n":[1,2]}' })),
  upload: async () => seen(await ask('/v1/echo', { method: 'PUT', body: big })),
  chunked: async () => seen(await ask('/v1/echo', { method: 'POST', body: streamOf(big) })),
  download: async () => seen(await ask('/v1/files/big.bin')),
  gzip: async () => seen(await ask('/v1/zipped', { headers: { 'accept-encoding': 'gzip' } }), ['content-type']),
  redirect: async () => seen(await ask('/v1/moved')),
  moved: async () => seen(await ask('/v1/moved', { follow: false }), ['location']),
  cookies: async () => {
    const { fields } = await ask('/v1/cookie');
    const cookie = [fields['set-cookie']].flat().join().split(';')[0];
    return [cookie, ...seen(await ask('/v1/cookie', { headers: { cookie } }))];
  },
  range: async () => seen(await ask('/v1/files/big.bin', { headers: { range: 'bytes=10-19' } }), ['content-range']),
  conditional: async () => {
    const { fields } = await ask('/v1/files/small.txt');
    const again = await ask('/v1/files/small.txt', {
      headers: { 'if-none-match': fields.etag ?? '"none"', 'if-modified-since': fields['last-modified'] },
    });
    return [again.status, again.body.length];
  },
  reuse: async () => {
    const bodies = new Set();
    for (let count = 0; count < 200; count++) bodies.add((await ask('/v1/item')).body.toString());
    return [...bodies];
  },
  concurrent: async () => {
    const all = Array.from({ length: 20 }, (_, at) => ask(`/v1/number/${at}`));
    return (await Promise.all(all)).map(({ body }) => body.toString());
  },
  cancel: async () => {
    const stop = new AbortController();
    const heard = [];
    const onChunk = (chunk) => {
      heard.push(chunk.toString());
      stop.abort();
    };
    const end = await ask('/v1/hang', { signal: stop.signal, onChunk }).then(
      () => 'whole',
      () => 'cancelled',
    );
    return [heard.join(''), end, ...seen(await ask('/v1/item'))];
  },
  timeout: async () => [
    await ask('/v1/silent', { signal: AbortSignal.timeout(300) }).then(
      () => 'answered',
      () => 'timed out',
    ),
  ],
  cut: async () => [
    await ask('/v1/cut').then(
      () => 'whole',
      () => 'broken',
    ),
  ],
  sse: async () => seen(await ask('/v1/events'), ['content-type']),
  failure: async () => seen(await ask('/v1/failure')),
  websocket: async () => {
    const socket = new WebSocket(`${base.replace('http', 'ws')}/v1/chat`);
    return new Promise((resolve, reject) => {
      socket.onopen = () => socket.send('hello');
      socket.onmessage = ({ data }) => {
        socket.close();
        resolve([String(data)]);
      };
      socket.onerror = () => reject(new Error('the WebSocket failed'));
    });
  },
  denied: async () => {
    const { status, fields, body } = await ask('/v1/item', { method: 'DELETE' });
    return [status, fields['content-type'], JSON.parse(body).reason];
  },
  masked: async () => seen(await ask('/v1/person'), ['content-type']),
};

function streamOf(bytes) {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(new Uint8Array(bytes.subarray(at, at + 100_000)));
      at += 100_000;
    },
  });
}

for (const step of process.env.STEPS.split(',')) {
  try {
    console.log(JSON.stringify({ step, value: await STEPS[step]() }));
  } catch (error) {
    console.log(JSON.stringify({ step, value: [`failed: ${error} ${error.cause ?? ''}`] }));
  }
}
process.exit();
