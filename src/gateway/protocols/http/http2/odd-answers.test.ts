/** Answers that HTTP/1.1 has and HTTP/2 has other rules for, and clients that take none of them. */
import * as http2 from 'node:http2';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import { FRAME, frame, hear, PREFACE, pseudo, request as rawRequest, uint32 } from '../testing/frames.ts';
import { answerOf, type HttpBed, openHttp } from '../testing/harness.ts';

let bed: HttpBed;
let client: http2.ClientHttp2Session | undefined;
afterEach(async () => {
  client?.destroy();
  client = undefined;
  await bed?.close();
});

interface Got {
  readonly headers: http2.IncomingHttpHeaders;
  readonly body: string;
}

async function answered(answer: string | Buffer): Promise<Got> {
  bed = await openHttp({ answer: () => answer });
  client = http2.connect('http://api', { createConnection: () => bed.client });
  client.on('error', () => {});
  const stream = client.request({ ':path': '/v1/x' });
  let headers: http2.IncomingHttpHeaders = {};
  let body = '';
  stream
    .on('error', () => {})
    .on('response', (head) => {
      headers = head;
    });
  stream.setEncoding('latin1').on('data', (more: string) => {
    body += more;
  });
  stream.end();
  await new Promise((resolve) => stream.once('close', resolve));
  return { headers, body };
}
const bugs = () => bed.logged.filter((line) => line.includes('session_bug'));

describe('an answer', () => {
  it.each([
    ['http2-settings', 'AAMAAABk'],
    ['constructor', 'a'],
    ['__proto__', 'a'],
    ['keep-alive', 'timeout=5'],
    ['proxy-connection', 'close'],
    ['te', 'trailers'],
  ])('with the field %s is served', async (name, value) => {
    const { headers, body } = await answered(answerOf('{"ok":true}', { [name]: value }));
    expect(headers[':status']).toBe(200);
    expect(body).toBe('{"ok":true}');
    if (name === 'constructor') expect(headers['constructor']).toBe(value);
    expect(bugs()).toEqual([]);
  });

  it('with bytes beyond ASCII in a value has them', async () => {
    const text = answerOf('{"ok":true}', { 'content-disposition': 'attachment; filename="caf\xe9"' });
    const { headers } = await answered(Buffer.from(text, 'latin1'));
    expect(headers[':status']).toBe(200);
    expect(headers['content-disposition']).toBe('attachment; filename="caf\xe9"');
  });

  it.each(['205 Reset Content', '299 Odd', '599 Odd'])('of status %s is served', async (status) => {
    const { headers } = await answered(answerOf('', {}, status));
    expect(headers[':status']).toBe(Number(status.slice(0, 3)));
    expect(bugs()).toEqual([]);
  });

  it.each(['204 No Content', '304 Not Modified'])('of status %s is served, which has no body', async (status) => {
    const { headers, body } = await answered(`HTTP/1.1 ${status}\r\n\r\n`);
    expect(headers[':status']).toBe(Number(status.slice(0, 3)));
    expect(body).toBe('');
  });

  it('after others that tell of it is served', async () => {
    const { headers } = await answered(`HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${answerOf('{}')}`);
    expect(headers[':status']).toBe(200);
  });
});

it('a client that takes none of a whole answer loses its stream after a minute', async () => {
  bed = await openHttp({ answer: () => answerOf('{"ok":true}') });
  const heard = hear(bed.client);
  bed.client.write(PREFACE);
  bed.client.write(frame(FRAME.settings, 0, 0, Buffer.concat([Buffer.from([0, 4]), uint32(0)])));
  bed.client.write(rawRequest(1, pseudo()));
  await eventually('its head', () => heard.statuses.has(1));
  await bed.clock.advance(80_000);
  await eventually('it is reset', () => heard.resets.has(1));
});
