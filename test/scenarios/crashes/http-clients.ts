/** The clients of the load that speak HTTP: Node's own, each on one connection that it keeps. */
import * as http from 'node:http';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type ApiWay, BULK } from './api.ts';
import type { LoadRecord } from './attempts.ts';
import { POSTS_PATH } from './checks.ts';
import { CANARY, type Client, createClient, type Step } from './clients.ts';

/** Over both ways to the API. */
export function createHttpClients(record: LoadRecord, ways: { agent: ApiWay; direct: ApiWay }): Client[] {
  const keeping = (name: string, way: ApiWay, step: (step: Step<Asking>) => Promise<void>) =>
    createClient<Asking>(record, {
      ...{ name, step },
      open: async () => askBy(way),
      close: ({ agent }) => agent.destroy(),
    });
  return [
    keeping('http-post', ways.agent, post),
    keeping('http-read', ways.agent, read),
    keeping('http-direct', ways.direct, post),
    createClient<Duplex>(record, {
      ...{ name: 'http-socket', step: chat },
      open: () => openTunnel(ways.agent),
      close: (tunnel) => tunnel.destroy(),
    }),
  ];
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

interface Asking {
  readonly agent: http.Agent;
  ask(method: string, path: string, body?: readonly Buffer[]): Promise<Answer>;
}

function askBy(way: ApiWay): Asking {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  agent.createConnection = () => way.connect();
  const ask: Asking['ask'] = (method, path, body = []) =>
    new Promise((resolve, reject) => {
      const request = http.request({ agent, method, path, host: 'api' }, (response) => {
        // Rejects where it breaks off: none of that is taken for an answer.
        text(response).then((said) => resolve({ status: response.statusCode ?? 0, body: said }), reject);
      });
      request.on('error', reject);
      const [first] = body;
      if (body.length === 1 && first !== undefined) return void request.end(first);
      for (const piece of body) request.write(piece); // In chunks.
      request.end();
    });
  return { agent, ask };
}

/** With a length or in chunks in turn; each once at most, however often anything dies. */
async function post({ session, book }: Step<Asking>): Promise<void> {
  const { ids, settle } = book.group('posts', 1);
  const [id = ''] = ids;
  const isLong = id.charCodeAt(id.length - 3) % 2 === 0;
  const body = isLong ? [BULK.subarray(0, 100_000), BULK.subarray(0, 50_000)] : [Buffer.from('{"amount":1}')];
  const answer = await session.ask('POST', `${POSTS_PATH}${id}`, body);
  if (answer.status === 503) settle('refused'); // It says that nothing was done.
  expectServed(answer);
  book.expect('the answer to what was posted', JSON.parse(answer.body), {
    ...{ id, received: isLong ? 150_000 : 12 },
  });
  settle('kept');
}

/** A masked field, a request that policy refuses, and a long answer: whole or none. */
async function read({ session, book }: Step<Asking>): Promise<void> {
  const person = await session.ask('GET', '/v1/person');
  expectServed(person);
  book.expect('the masked field is shown', person.body.includes(CANARY), false);
  book.expect('the name', JSON.parse(person.body).name, 'ada');
  const refused = await session.ask('DELETE', '/v1/person');
  if (refused.status !== 403) expectServed(refused);
  book.expect('the refused request', refused.status, 403);
  const bulk = await session.ask('GET', '/v1/bulk');
  expectServed(bulk);
  book.expect('the long answer', bulk.body === BULK.toString(), true);
}

let said = 0;
async function chat({ session, book }: Step<Duplex>): Promise<void> {
  const word = `word ${++said}.`;
  session.write(word);
  book.expect('the echo', await untilDot(session), word);
}

function openTunnel(way: ApiWay): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const request = http.request({
      ...{ path: '/v1/chat', host: 'api', createConnection: () => way.connect() },
      headers: { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': KEY },
    });
    request.on('upgrade', (_, socket) => {
      socket.on('error', () => {}); // Whoever waits hears of it by 'close'.
      resolve(socket);
    });
    request.on('response', (response) => {
      response.resume();
      reject(failureOf(response.statusCode ?? 0, ''));
    });
    request.on('error', reject).end();
  });
}

function untilDot(socket: Duplex): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = '';
    const done = (act: () => void) => {
      socket.off('data', onData).off('close', onClose);
      act();
    };
    const onData = (bytes: Buffer) => {
      heard += bytes.toString();
      if (heard.endsWith('.')) done(() => resolve(heard));
    };
    const onClose = () => done(() => reject(new Error('the connection was lost')));
    if (socket.destroyed || socket.readableEnded) return onClose();
    socket.on('data', onData).on('close', onClose);
  });
}

/** Throws what a client is told that has to try again. */
function expectServed({ status, body }: Answer): void {
  if (status >= 500) throw failureOf(status, body);
}

function failureOf(status: number, body: string): Error {
  return Object.assign(new Error(body || `status ${status}`), { code: `HTTP ${status}` });
}

const KEY = 'x3JJHMbDL1EzLkh9GBhXDw==';
