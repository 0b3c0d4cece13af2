import { createServer, type IncomingMessage, METHODS, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFastRandom, type FastRandom } from '../../../test/fuzz/fast-random.ts';
import { mutate } from '../../../test/fuzz/mutate.ts';
import { seeds, tokens } from './request.fuzz.ts';
import { readRequests } from './testing/read.ts';

// The parser of Node's own server beside ours. What both take they read alike; what ours takes and Node's does not is listed here, each
// with its reason. `HTTP1_ORACLE_TIMES=200000` goes on for longer than CI does, and `HTTP1_ORACLE_SEED`
// elsewhere.

interface Seen {
  readonly method: string;
  readonly target: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly body: string;
}

interface NodeOutcome {
  readonly requests: readonly Seen[];
  readonly refused: boolean;
}

let server: Server;
/** Of the connection under way: there is one at a time. */
let seen: (Seen & { done: boolean })[] = [];
let isRefused = false;

beforeAll(async () => {
  server = createServer({ requireHostHeader: false, keepAliveTimeout: 0 }, (request, response) => {
    take(request, () => response.end());
  });
  const raw = (request: IncomingMessage, socket: { destroy(): void; end(): void }) => {
    take(request, () => {});
    const last = seen.at(-1);
    if (last !== undefined) last.done = true;
    socket.end();
  };
  server.on('connect', raw);
  server.on('checkContinue', (request, response) => take(request, () => response.end()));
  server.on('checkExpectation', (request, response) => take(request, () => response.end()));
  server.on('clientError', (_, socket) => {
    isRefused = true;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterAll(() => new Promise((resolve) => server.close(resolve)));

function take(request: IncomingMessage, answer: () => void): void {
  const fields: [string, string][] = [];
  for (let at = 0; at < request.rawHeaders.length; at += 2)
    fields.push([(request.rawHeaders[at] ?? '').toLowerCase(), request.rawHeaders[at + 1] ?? '']);
  const body: Buffer[] = [];
  const one = { method: request.method ?? '', target: request.url ?? '', fields, body: '', done: false };
  seen.push(one);
  request.on('error', () => {});
  request.on('data', (piece: Buffer) => {
    body.push(piece);
    one.body = Buffer.concat(body).toString('latin1');
  });
  request.on('end', () => {
    one.done = true;
    answer();
  });
}

/** What Node makes of these bytes and the end of the connection: the requests that came whole. */
async function nodeReads(bytes: Buffer): Promise<NodeOutcome> {
  seen = [];
  isRefused = false;
  const closed = new Promise<void>((resolve) =>
    server.once('connection', (socket) => socket.once('close', () => resolve())),
  );
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1'); // Listening on TCP, it has a port.
  socket.on('error', () => {});
  socket.resume();
  socket.end(bytes);
  await closed;
  socket.destroy();
  return { requests: seen.filter(({ done }) => done), refused: isRefused };
}

function ours(bytes: Buffer) {
  const { messages, error } = readRequests(bytes, { allowObsText: true });
  const whole = messages.filter(({ trailers }) => trailers !== undefined);
  return { requests: whole, error };
}

const BETWEEN =
  /^(host|connection|keep-alive|proxy-connection|proxy-authorization|proxy-authenticate|te|transfer-encoding|content-length|expect|upgrade|trailer|http2-settings)$/;

/** Node's fields without what we leave out, by Connection too. */
function endToEnd(fields: Seen['fields']): Seen['fields'] {
  const named = new Set(
    fields.flatMap(([name, value]) =>
      name === 'connection'
        ? value
            .toLowerCase()
            .split(',')
            .map((one) => one.trim())
        : [],
    ),
  );
  return fields.filter(([name]) => !BETWEEN.test(name) && !named.has(name));
}

/** Decisions: requests that ours reads though Node's parser refuses them. */
function isDecided(request: ReturnType<typeof ours>['requests'][number] | undefined): boolean {
  // Methods are tokens (RFC 9110 §9.1); Node knows a list of them. The gateway decides about each by its name.
  return request !== undefined && !METHODS_OF_NODE.has(request.head.method);
}

describe('what both our reader and Node’s take', () => {
  const times = Number(process.env['HTTP1_ORACLE_TIMES'] ?? 2_000);

  it(`is read alike, in ${times} changed examples`, async () => {
    const random = createFastRandom(process.env['HTTP1_ORACLE_SEED'] ?? 'http1-oracle');
    const stock = { inputs: seeds, tokens: tokens.map((token) => Buffer.from(token, 'latin1')) };
    const tally = { both: 0, stricter: 0, decided: 0, neither: 0 };
    for (let run = 0; run < times; run++) {
      const bytes =
        run < seeds.length ? Buffer.from(seeds[run] ?? []) : run % 2 === 0 ? assemble(random) : mutate(stock, random);
      if (bytes.length === 0) continue;
      const mine = ours(bytes);
      const theirs = await nodeReads(bytes);
      const say = () =>
        `${JSON.stringify(bytes.toString('latin1'))}\nours ${JSON.stringify(mine)}\nNode ${JSON.stringify(theirs)}`;
      // Up to where one of them refuses.
      const count = Math.min(mine.requests.length, theirs.requests.length);
      for (let at = 0; at < count; at++) {
        const [a, b] = [mine.requests[at], theirs.requests[at]];
        if (a === undefined || b === undefined) continue;
        expect(a.head.method, say()).toBe(b.method);
        expect(b.target.toLowerCase().endsWith(a.head.target.toLowerCase().replace(/^\/?\*?$/, '')), say()).toBe(true);
        expect(a.body.toString('latin1'), say()).toBe(b.body);
        expect(
          a.head.fields.map(({ name, value }) => [name, value]),
          say(),
        ).toEqual(endToEnd(b.fields));
      }
      if (mine.requests.length > theirs.requests.length && !closesEarly(mine, theirs)) {
        expect(isDecided(mine.requests[theirs.requests.length]), say()).toBe(true);
        tally.decided++;
      } else if (count > 0) tally.both++;
      else if (theirs.requests.length > 0) tally.stricter++;
      else tally.neither++;
    }
    expect(tally.both).toBeGreaterThan(times / 20);
    if (process.env['HTTP1_ORACLE_TIMES'] !== undefined) process.stdout.write(`${JSON.stringify(tally)}\n`);
  });
});

/** One to three requests of parts that are right mostly: these are what both take most often. */
function assemble(random: FastRandom): Buffer {
  const pick = (list: readonly string[]) => list[random.below(list.length)] ?? '';
  let text = '';
  for (let requests = 1 + random.below(3); requests > 0; requests--) {
    text += `${pick(LINES)}\r\nHost: ${pick(['a', 'a', 'A', 'a:80', '[::1]'])}\r\n`;
    for (let fields = random.below(5); fields > 0; fields--) text += `${pick(FIELDS)}\r\n`;
    text += pick(BODIES);
  }
  return Buffer.from(text, 'latin1');
}

/** Node stops reading behind a request that closes or changes the protocol; ours leaves that to the caller. */
function closesEarly(mine: ReturnType<typeof ours>, theirs: NodeOutcome): boolean {
  const last = mine.requests[theirs.requests.length - 1]?.head;
  return last !== undefined && (!last.keepAlive || last.upgrade !== undefined || last.method === 'CONNECT');
}

const METHODS_OF_NODE: ReadonlySet<string> = new Set(METHODS);
const LINES = [
  ...['GET / HTTP/1.1', 'GET /a?b=%2f HTTP/1.1', 'POST /x HTTP/1.1', 'PUT /x//y HTTP/1.1', 'DELETE /a HTTP/1.1'],
  ...['OPTIONS * HTTP/1.1', 'HEAD / HTTP/1.1', 'PATCH http://a/x HTTP/1.1', 'POST / HTTP/1.0', 'GET /{}|^ HTTP/1.1'],
];
const FIELDS = [
  ...[
    'Accept: */*',
    'accept:text/html',
    'X-A: b \t',
    'X-A:',
    'X-B:\tc\td',
    'Cookie: a=b; c="d"',
    'X-C: \xe4',
    'X_D: e',
  ],
  ...['Connection: keep-alive', 'Connection: close', 'Connection: x-a', 'TE: trailers', 'Expect: 100-continue'],
  ...['Authorization: Bearer a', 'Content-Type: a/b', 'X-E: ,;"\\', '!#$%&: 1', 'Upgrade: websocket', 'Keep-Alive: 5'],
];
const BODIES = [
  ...['\r\n', '\r\n', '\r\n\r\n', 'Content-Length: 0\r\n\r\n', 'Content-Length: 5\r\n\r\nhello'],
  ...[
    'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    'Content-Length: 20\r\n\r\nGET / HTTP/1.1\r\n\r\n!!',
  ],
  ...['transfer-encoding:CHUNKED\r\n\r\n1;a=b\r\nh\r\nA\r\n0123456789\r\n0;c\r\nX-Sum: 1\r\n\r\n'],
];
