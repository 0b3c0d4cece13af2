import { request } from 'node:http';
import { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createFastRandom, type FastRandom } from '../../../test/fuzz/fast-random.ts';
import { mutate } from '../../../test/fuzz/mutate.ts';
import { seeds, tokens } from './response.fuzz.ts';
import { readResponses } from './testing/read.ts';

// The parser of Node's own client beside ours, for the answer to one GET. What both take they read alike, and what ours takes Node's does, but for what is
// listed here. `HTTP1_ORACLE_TIMES=200000` goes on for longer than CI does, and `HTTP1_ORACLE_SEED` elsewhere.

interface Seen {
  readonly status: number;
  readonly fields: readonly (readonly [string, string])[];
  readonly body: string;
}

/** What Node makes of these bytes and the end of the connection: undefined for no whole answer. */
function nodeReads(bytes: Buffer): Promise<Seen | undefined> {
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done(), final: (done) => done() });
  return new Promise((resolve) => {
    const asked = request({ createConnection: () => socket, path: '/', headers: { host: 'a' } });
    let seen: (() => Seen | undefined) | undefined;
    // Of what stands behind an answer it complains in the turn of that answer.
    const settle = () =>
      void setImmediate(() => {
        resolve(seen?.());
        socket.destroy();
      });
    asked
      .on('error', settle)
      .on('close', settle)
      .on('upgrade', settle)
      .on('response', (response) => {
        const body: Buffer[] = [];
        const { rawHeaders, statusCode: status = 0 } = response;
        const fields: [string, string][] = [];
        for (let at = 0; at < rawHeaders.length; at += 2)
          fields.push([(rawHeaders[at] ?? '').toLowerCase(), rawHeaders[at + 1] ?? '']);
        seen = () => (response.complete ? { status, fields, body: Buffer.concat(body).toString('latin1') } : undefined);
        response
          .on('error', settle)
          .on('close', settle)
          .on('data', (piece: Buffer) => body.push(piece));
      });
    asked.end();
    setImmediate(() => {
      socket.push(bytes);
      socket.push(null);
    });
  });
}

function ours(bytes: Buffer): { readonly seen: Seen | undefined; readonly error: string | undefined } {
  const { messages, error } = readResponses(bytes, ['GET'], { limits: { allowObsText: true } });
  const first = messages.find(({ trailers }) => trailers !== undefined);
  if (first === undefined) return { seen: undefined, error };
  const { head, body } = first;
  const fields = head.fields.map(({ name, value }) => [name, value] as const);
  return { seen: { status: head.status, fields, body: body.toString('latin1') }, error };
}

const BETWEEN =
  /^(connection|keep-alive|proxy-connection|proxy-authorization|proxy-authenticate|te|transfer-encoding|content-length|upgrade|trailer|http2-settings)$/;

/** Node's fields without what we leave out, by Connection too. */
function endToEnd(fields: Seen['fields']): Seen['fields'] {
  const named = new Set(
    fields
      .flatMap(([name, value]) => (name === 'connection' ? value.toLowerCase().split(',') : []))
      .map((one) => one.trim()),
  );
  return fields.filter(([name]) => !BETWEEN.test(name) && !named.has(name));
}

describe('what both our reader and Node’s take', () => {
  const times = Number(process.env['HTTP1_ORACLE_TIMES'] ?? 2_000);

  it(`is read alike, in ${times} changed examples`, async () => {
    const random = createFastRandom(process.env['HTTP1_ORACLE_SEED'] ?? 'http1-response-oracle');
    // Their first byte says what was asked.
    const stock = {
      inputs: seeds.map((seed) => seed.subarray(1)),
      tokens: tokens.map((token) => Buffer.from(token, 'latin1')),
    };
    const tally = { both: 0, stricter: 0, decided: 0, neither: 0 };
    for (let run = 0; run < times; run++) {
      const bytes = run % 2 === 0 ? assemble(random) : mutate(stock, random);
      const mine = ours(bytes);
      const theirs = await nodeReads(bytes);
      const say = () =>
        `${JSON.stringify(bytes.toString('latin1'))}\nours ${JSON.stringify(mine)}\nNode ${JSON.stringify(theirs)}`;
      if (mine.seen !== undefined && theirs !== undefined) {
        expect(mine.seen.status, say()).toBe(theirs.status);
        expect(mine.seen.body, say()).toBe(theirs.body);
        expect(mine.seen.fields, say()).toEqual(endToEnd(theirs.fields));
        tally.both++;
      } else if (mine.seen !== undefined) {
        expect(isDecided(bytes, mine.seen), say()).toBe(true);
        tally.decided++;
      } else if (theirs !== undefined) tally.stricter++;
      else tally.neither++;
    }
    expect(tally.both).toBeGreaterThan(times / 20);
    if (process.env['HTTP1_ORACLE_TIMES'] !== undefined) process.stdout.write(`${JSON.stringify(tally)}\n`);
  });
});

/** Decisions: answers that ours reads though Node's client does not. */
function isDecided(_bytes: Buffer, _seen: Seen): boolean {
  return false;
}

/** One or two answers of parts that are right mostly: these are what both take most often. */
function assemble(random: FastRandom): Buffer {
  const pick = (list: readonly string[]) => list[random.below(list.length)] ?? '';
  let text = random.below(8) === 0 ? pick(INTERIM) : '';
  for (let answers = 1 + random.below(2); answers > 0; answers--) {
    text += `${pick(LINES)}\r\n`;
    for (let fields = random.below(5); fields > 0; fields--) text += `${pick(FIELDS)}\r\n`;
    text += pick(BODIES);
  }
  return Buffer.from(text, 'latin1');
}

const INTERIM = ['HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n', 'HTTP/1.1 102 x\r\n\r\n'];
const LINES = [
  ...[
    'HTTP/1.1 200 OK',
    'HTTP/1.1 200 ',
    'HTTP/1.1 404 Not Found',
    'HTTP/1.0 200 OK',
    'HTTP/1.1 204 None',
    'HTTP/1.1 304 x',
  ],
  ...['HTTP/1.1 500 caf\xe9', 'HTTP/1.1 599 x', 'HTTP/1.1 201'],
];
const FIELDS = [
  ...[
    'Content-Type: a/b',
    'X-A: b \t',
    'X-A:',
    'X-B:\tc\td',
    'Set-Cookie: a=b; c="d"',
    'X-C: \xe4',
    'X_D: e',
    'Date: x',
  ],
  ...['Connection: keep-alive', 'Connection: close', 'Connection: x-a', 'Keep-Alive: 5', 'Trailer: x-sum', '!#$%&: 1'],
];
const BODIES = [
  ...['\r\n', 'Content-Length: 0\r\n\r\n', 'Content-Length: 5\r\n\r\nhello', 'content-length:5\r\n\r\nHTTP/'],
  ...['Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n', '\r\nto the end'],
  ...['transfer-encoding:CHUNKED\r\n\r\n1;a=b\r\nh\r\nA\r\n0123456789\r\n0;c\r\nX-Sum: 1\r\n\r\n'],
];
