/** The upstream dies behind each byte of its answer, gently or by reset: nobody takes what is cut for a whole. */
import { afterEach, describe, expect, it } from 'vitest';
import { createResponseReader, Http1Error } from '../../../../wire/http1/index.ts';
import { allowed, type HttpBed, openHttp } from '../testing/harness.ts';

let bed: HttpBed | undefined;
afterEach(() => bed?.close());

const GET = 'GET /a HTTP/1.1\r\nhost: api\r\n\r\n';
const BODY = '{"id":7,"ssn":"123-45-6789"}';
const CHUNKED = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n';
const chunk = (text: string) => `${text.length.toString(16)};by=us\r\n${text}\r\n`;
const ANSWERS: readonly (readonly [string, string, string])[] = [
  [
    'with a length',
    `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${BODY.length}\r\n\r\n${BODY}`,
    BODY,
  ],
  ['in chunks', `${CHUNKED}${chunk(BODY.slice(0, 9))}${chunk(BODY.slice(9))}0\r\n\r\n`, BODY],
  ['in chunks, with a trailer', `${CHUNKED}${chunk(BODY)}0\r\nx-sum: abc\r\n\r\n`, BODY],
  ['behind one on the way', `HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${CHUNKED}${chunk(BODY)}0\r\n\r\n`, BODY],
];

/** What a client makes of all that it got until its connection was over. */
function understood(text: string): { status: number; body: string; isWhole: boolean } {
  const reader = createResponseReader({ allowObsText: true });
  reader.expect('GET');
  reader.push(Buffer.from(text, 'latin1'));
  let [status, body, isWhole] = [0, '', false];
  try {
    for (let event = reader.next(); event !== undefined; event = reader.next()) {
      if (event.kind === 'head') status = event.head.status;
      if (event.kind === 'data') body += event.bytes.toString('latin1');
      if (event.kind === 'end') isWhole = true;
    }
  } catch (error) {
    if (!(error instanceof Http1Error)) throw error;
  }
  return { status, body, isWhole };
}

describe.each(ANSWERS)('an answer %s', (_, whole, body) => {
  describe.each(['end', 'resetAndDestroy'] as const)('whose upstream goes by %s', (goes) => {
    it.each([
      ['as it is', []],
      ['masked', [{ path: ['body', 'ssn'], kind: 'redact' } as const]],
    ])('behind each of its bytes but the last is no whole one, %s', async (__, masks) => {
      for (let length = 0; length < whole.length; length++) {
        bed = await openHttp({ decide: () => allowed({ masks }) });
        bed.send(GET);
        await bed.heard('GET /a');
        if (length > 0) bed.say(whole.slice(0, length));
        await new Promise((resolve) => setImmediate(resolve));
        bed.socket[goes]();
        await Promise.race([bed.until(/HTTP\/1\.1 502.*\}/s), bed.closed]);
        const { status, isWhole } = understood(bed.received());
        expect({ length, isTaken: isWhole && status === 200 }).toEqual({ length, isTaken: false });
        const outcome = bed.ledger.events.findLast(({ kind }) => kind === 'outcome');
        expect({ length, status: outcome?.detail['status'] }).toEqual({ length, status: 'unknown' });
        await bed.close();
      }
    });
  });

  it('that comes whole is whole, though its upstream goes at once', async () => {
    bed = await openHttp();
    bed.send(GET);
    await bed.heard('GET /a');
    bed.say(whole);
    bed.socket.end();
    await bed.until(/6789"\}(?:\r\n0\r\n\r\n)?$/);
    expect(understood(bed.received())).toEqual({ status: 200, body, isWhole: true });
  });
});
