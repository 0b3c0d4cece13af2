/** Who waits for an upstream that says nothing, and for how long. */
import { afterEach, describe, expect, it } from 'vitest';
import { allowed, answerOf, type HttpBed, type HttpBedOptions, openHttp, settled } from '../testing/harness.ts';

let bed: HttpBed;
const open = async (limits: object = {}, options?: HttpBedOptions) => {
  bed = await openHttp({ ...options, config: { limits } });
};
afterEach(() => bed.close());

const GET = 'GET /a HTTP/1.1\r\nhost: api\r\n\r\n';
const EVENTS = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';
const event = (text: string) => `${(text.length + 8).toString(16)}\r\ndata: ${text}\n\n\r\n`;
const outcomes = () => bed.ledger.events.filter(({ kind }) => kind === 'outcome').map(({ detail }) => detail);
/** Lets what was said arrive, and virtual time pass. */
const pass = async (seconds: number) => {
  await settled();
  await bed.clock.advance(seconds * 1000);
  await settled();
};

describe('an upstream that does not answer', () => {
  it('is waited for five minutes, where the target says nothing else; then the client is told, and its connection goes on', async () => {
    await open();
    bed.send(GET);
    await bed.heard('GET /a');
    await pass(299);
    expect(bed.received()).toBe('');
    await pass(1);
    await bed.until(/HTTP\/1\.1 504 .*limits\.answerSeconds.*"reason":"target"/s);
    expect(outcomes()).toMatchObject([{ status: 'unknown' }]);
    bed.send(GET.replace('/a', '/b'));
    await bed.heard('GET /b');
    bed.say(answerOf('{"second":true}'));
    await bed.until('"second":true');
    expect(bed.upstream).toHaveLength(2);
  });

  it('is waited for as long as the target says, from the end of the request on', async () => {
    await open({ answerSeconds: 20 });
    bed.send('POST /a HTTP/1.1\r\nhost: api\r\ncontent-length: 4\r\n\r\n12');
    await bed.heard('12');
    await pass(50);
    bed.send('34');
    await bed.heard('1234');
    await pass(19);
    expect(bed.received()).toBe('');
    await pass(1);
    await bed.until('HTTP/1.1 504');
  });

  it('has answered once its head is there, however long the rest takes', async () => {
    await open({ answerSeconds: 20 });
    bed.send(GET);
    await bed.heard('GET /a');
    bed.say(EVENTS);
    await bed.until('200');
    await pass(3_000);
    bed.say(event('late'));
    await bed.until('late');
  });

  it('that sends its head byte by byte is not waited for longer by that', async () => {
    await open({ answerSeconds: 20 });
    bed.send(GET);
    await bed.heard('GET /a');
    for (const byte of 'HTTP/1.1 200 OK\r\nx: ') {
      bed.say(byte);
      await pass(1);
    }
    await pass(1);
    await bed.until('HTTP/1.1 504');
    expect(bed.received()).not.toContain('200 OK');
  });
});

describe('an answer in which nothing moves', () => {
  it('is cut after the pause that the target allows, and never taken for whole', async () => {
    await open({ pauseSeconds: 30 });
    bed.send(GET);
    await bed.heard('GET /a');
    bed.say(EVENTS + event('one'));
    await bed.until('one');
    await pass(29);
    bed.say(event('two'));
    await bed.until('two');
    await pass(29);
    expect(outcomes()).toEqual([]);
    await pass(1);
    await bed.closed;
    expect(bed.received()).not.toMatch(/\r\n0\r\n\r\n$/);
    expect(outcomes()).toMatchObject([{ status: 'unknown' }]);
  });

  it('of a WebSocket too, in neither direction', async () => {
    await open({ pauseSeconds: 30 });
    bed.send(
      'GET /ws HTTP/1.1\r\nhost: api\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n',
    );
    await bed.heard('GET /ws');
    bed.say('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    await bed.until('101');
    await pass(29);
    bed.send('ping');
    await bed.heard('ping');
    await pass(29);
    bed.say('pong');
    await bed.until('pong');
    await pass(29);
    expect(outcomes()).toEqual([]);
    await pass(1);
    await bed.closed;
    expect(outcomes()).toMatchObject([{ status: 'unknown' }]);
  });
});

describe('an hour of events', () => {
  it('passes with a heartbeat a minute, and none is held back', async () => {
    await open({}, { decide: () => allowed({ masks: [{ path: ['body', 'ssn'], kind: 'redact' }] }) });
    bed.send(GET);
    await bed.heard('GET /a');
    bed.say(EVENTS);
    await bed.until('200');
    for (let minute = 1; minute <= 60; minute++) {
      await pass(60);
      bed.say(event(`{"minute":${minute},"ssn":"123-45-6789"}`));
      await bed.until(`{"minute":${minute},`);
    }
    expect(bed.received()).not.toContain('6789');
    bed.say('0\r\n\r\n');
    await bed.until(/\r\n0\r\n\r\n$/);
    expect(outcomes()).toMatchObject([{ status: 'done' }]);
  });

  it('passes in silence too: that an event comes late is no fault', async () => {
    await open();
    bed.send(GET);
    await bed.heard('GET /a');
    bed.say(EVENTS);
    await bed.until('200');
    await pass(3600);
    bed.say(event('after an hour'));
    await bed.until('after an hour');
  });

  it('ends when policy no longer allows it, or its caller is no longer trusted, and is seen to be cut', async () => {
    await open();
    bed.send(GET);
    await bed.heard('GET /a');
    bed.say(EVENTS + event('one'));
    await bed.until('one');
    await pass(1800);
    bed.end();
    await bed.closed;
    await bed.served;
    expect(bed.received()).not.toMatch(/\r\n0\r\n\r\n$/);
  });

  it('ends at the duration that policy allows', async () => {
    await open({}, { decide: () => allowed({ limits: { duration: 1_800_000 } }) });
    bed.send(GET);
    await bed.heard('GET /a');
    bed.say(EVENTS + event('one'));
    await bed.until('one');
    await pass(1799);
    expect(outcomes()).toEqual([]);
    await pass(2);
    await bed.closed;
    expect(outcomes()).toMatchObject([{ status: 'over-limit' }]);
  });
});
