import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import { allowed, answerOf, type HttpBed, type HttpBedOptions, openHttp, settled } from '../testing/harness.ts';

let bed: HttpBed;
const open = async (options?: HttpBedOptions) => {
  bed = await openHttp(options);
  return bed;
};
afterEach(() => bed.close());
const GET = 'GET /a HTTP/1.1\r\nhost: api\r\n\r\n';
const outcome = () => bed.ledger.events.findLast(({ kind }) => kind === 'outcome')?.detail;
const masks = [{ path: ['body', 'ssn'], kind: 'redact' } as const];

describe('an answer that ends with its connection', () => {
  const begun = async (request: string) => {
    await open();
    bed.send(request);
    await bed.heard('GET /a');
    bed.say('HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nthe first half');
    await bed.until('the first half');
  };

  it('is whole when the upstream ends it', async () => {
    await begun(GET);
    bed.socket.end();
    await bed.until('\r\n0\r\n\r\n');
    expect(outcome()).toMatchObject({ status: 'done' });
  });

  it('is not whole when the connection breaks', async () => {
    await begun(GET);
    bed.socket.resetAndDestroy();
    await bed.served;
    expect(bed.received()).not.toContain('\r\n0\r\n');
    expect(outcome()).toMatchObject({ status: 'unknown' });
  });

  it('is seen to be cut also by a client of HTTP/1.0', async () => {
    await begun('GET /a HTTP/1.0\r\nhost: api\r\n\r\n');
    let code: unknown;
    const closed = new Promise((resolve) => bed.client.once('close', resolve));
    bed.client.on('error', (error: NodeJS.ErrnoException) => {
      code = error.code;
    });
    bed.socket.resetAndDestroy();
    await closed;
    expect(code).toBe('ECONNRESET');
  });
});

describe('a session that ends', () => {
  it('has no last word where an answer before it waits for the ledger', async () => {
    await open({ answer: (text) => (text.includes('POST') ? undefined : answerOf('{"ok":true}')) });
    bed.send(GET);
    await bed.heard('GET /a');
    await bed.until('ok":true}');
    bed.ledger.durability = { reads: 'release', changes: 'release' };
    bed.ledger.hold();
    bed.send(`${GET}POST /b HTTP/1.1\r\nhost: api\r\ncontent-length: 9\r\n\r\nhal`);
    await bed.heard('hal');
    bed.end();
    await bed.served;
    await bed.closed;
    expect(bed.received().split('HTTP/1.1 ')).toHaveLength(2);
  });
});

describe('an answer in parts', () => {
  const events = (...data: string[]) => {
    const chunks = data.map((text) => `data: ${text}\n\n`).map((text) => `${text.length.toString(16)}\r\n${text}\r\n`);
    return `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n${chunks.join('')}`;
  };

  it('has its events shown up to one that can not be read', async () => {
    await open({ decide: () => allowed({ masks }), answer: () => events('{"n":1}', 'ssn=123-45') });
    bed.send(GET);
    await bed.until('{"n":1}');
    await bed.closed;
    expect(bed.received()).not.toContain('123-45');
  });

  it('has its events shown one by one though their bytes are limited', async () => {
    await open({ decide: () => allowed({ limits: { bytesOut: 1_000 } }), answer: () => events('{"n":1}') });
    bed.send(GET);
    await bed.until('{"n":1}');
  });

  it('is none that fields can be masked in', async () => {
    await open({ decide: () => allowed({ masks }), answer: () => answerOf('"123-45"', {}, '206 Partial Content') });
    bed.send(GET);
    await bed.until('502');
    expect(bed.received()).not.toContain('123-45');
  });

  it('says its type alone beside masks', async () => {
    await open({
      decide: () => allowed({ masks }),
      answer: () => answerOf('{}', { 'content-type': 'application/json; for="123-45"; charset=utf-8' }),
    });
    bed.send(GET);
    await bed.until('{}');
    expect(bed.received()).toContain('content-type: application/json\r\n');
  });
});

describe('a failure that is told in no JSON', () => {
  it('is told by its status alone where fields are masked', async () => {
    await open({
      decide: () => allowed({ masks }),
      answer: () => answerOf('<p>no customer 123-45</p>', { 'content-type': 'text/html' }, '404 Not Found'),
    });
    bed.send(GET);
    await bed.until('HTTP/1.1 404');
    await bed.until('"reason":"target"');
    expect(bed.received()).not.toContain('123-45');
    expect(outcome()).toMatchObject({ status: 'failed', code: '404' });
  });
});

describe('an answer’s field', () => {
  it('may hold a name of a file as it is written', async () => {
    const field = Buffer.from('attachment; filename="Übersicht.pdf"').toString('latin1');
    await open({ answer: () => Buffer.from(answerOf('{}', { 'content-disposition': field }), 'latin1') });
    bed.send(GET);
    await bed.until(field);
  });
});

describe('a client that sends byte by byte', () => {
  it('has no longer for a head than any other', async () => {
    await open();
    for (const [at, byte] of [...'GET /a HTTP/1.1\r\nhost: api'].entries()) {
      bed.send(byte);
      await settled();
      await bed.clock.advance(1_000);
      if (at > 12) break;
    }
    await eventually('it is told', () => bed.received().includes('408'), { everyMs: 1, withinMs: 3_000 });
  });
});

describe('an upstream that takes nothing', () => {
  it('does not hold its client for ever', async () => {
    await open();
    bed.send('POST /a HTTP/1.1\r\nhost: api\r\ncontent-length: 99999999\r\n\r\n');
    await bed.heard('POST /a');
    bed.socket.pause();
    for (let sent = 0; sent < 40; sent++) bed.send('x'.repeat(1_000_000));
    await settled();
    for (let minutes = 0; minutes < 10; minutes++) {
      await bed.clock.advance(60_000);
      await settled();
    }
    await bed.until('HTTP/1.1 504');
    expect(outcome()).toMatchObject({ status: 'unknown' });
  });
});

describe('an answer that breaks off', () => {
  it.each([
    ['with a length', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789'],
    [
      'in chunks',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;a=b\r\n01234\r\n5\r\n56789\r\n0\r\nx-a: 1\r\n\r\n',
    ],
  ])('at any byte is not taken for whole: one %s', async (_, answer) => {
    for (let cut = 0; cut < answer.length; cut++) {
      await open();
      bed.send('POST /a HTTP/1.1\r\nhost: api\r\ncontent-length: 0\r\n\r\n');
      await bed.heard('POST /a');
      bed.socket.end(answer.slice(0, cut));
      await eventually('it has an outcome', () => outcome() !== undefined, { everyMs: 1, withinMs: 5_000 });
      expect(outcome(), String(cut)).toMatchObject({ status: 'unknown' });
      await settled();
      expect(bed.received()).not.toMatch(/200 .*(0123456789$|\r\n0\r\n\r\n$)/s);
      await bed.close();
    }
  });
});

describe('a credential of the gateway', () => {
  const config = { credential: { bearer: 'env:PW' } };

  it('that is short is still none that clients hear of when it is refused', async () => {
    await open({ config, secret: () => 'short', answer: () => answerOf('who?', {}, '401 Unauthorized') });
    bed.send(GET);
    await bed.until('HTTP/1.1 502');
    expect(bed.received()).not.toContain('who?');
  });

  it('does not stand against an encoding where there is no body', async () => {
    await open({ config, answer: () => 'HTTP/1.1 304 Not Modified\r\ncontent-encoding: gzip\r\n\r\n' });
    bed.send(GET);
    await bed.until('HTTP/1.1 304');
  });
});
