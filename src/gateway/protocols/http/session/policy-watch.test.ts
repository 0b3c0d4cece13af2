import { afterEach, describe, expect, it } from 'vitest';
import type { Decision, FieldMask } from '../../../../model/index.ts';
import { allowed, answerOf, denied, type HttpBed, openHttp, settled } from '../testing/harness.ts';

// Goal: what runs for long is held to the policies of now, and nothing is cut that they would still let begin.

let bed: HttpBed;
let decision: Decision;
afterEach(() => bed.close());

const EVENTS = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';
const event = (text: string) => `${(text.length + 8).toString(16)}\r\ndata: ${text}\n\n\r\n`;
const mask = (name: string): FieldMask => ({ path: ['body', name], kind: 'redact' });
const outcome = () => bed.ledger.events.findLast(({ kind }) => kind === 'outcome')?.detail;

async function open(first: Decision, config: Readonly<Record<string, unknown>> = {}) {
  decision = first;
  bed = await openHttp({ config, decide: () => decision });
}

/** An event stream that has begun. */
async function listening(first: Decision = allowed()) {
  await open(first);
  bed.send('GET /v1/events HTTP/1.1\r\nhost: api\r\n\r\n');
  await bed.heard('GET /v1/events');
  bed.say(EVENTS + event('{"n":1}'));
  await bed.until('"n":1');
}

function change(next: Decision) {
  decision = next;
  bed.changePolicy();
}

describe('an event stream', () => {
  it('is cut when policy forbids it, upstream as well, and its outcome is not known', async () => {
    await listening();
    change(denied);
    await bed.closed;
    expect(bed.received()).not.toContain('0\r\n\r\n'); // Nobody takes it for whole.
    expect(outcome()).toMatchObject({ status: 'unknown', code: '403' });
    await bed.served;
    await bed.upstreamClosed();
  });

  it('goes on when policies change that still allow it', async () => {
    await listening();
    change(allowed());
    bed.say(event('{"n":2}'));
    await bed.until('"n":2');
  });

  it('is cut when something is masked since, and goes on when something is not any more', async () => {
    await listening(allowed({ masks: [mask('a'), mask('b')] }));
    change(allowed({ masks: [mask('b')] }));
    bed.say(event('{"n":2}'));
    await bed.until('"n":2');
    change(allowed({ masks: [mask('b'), mask('c')] }));
    await bed.closed;
    expect(outcome()).toMatchObject({ status: 'unknown', code: '403' });
  });
});

describe('what else runs', () => {
  it('is told why where nothing of an answer has come, and the connection goes on', async () => {
    await open(allowed());
    bed.send('GET /v1/slow HTTP/1.1\r\nhost: api\r\n\r\n');
    await bed.heard('GET /v1/slow');
    await settled();
    change(denied);
    await bed.until('HTTP/1.1 403');
    expect(bed.received()).toContain('to go on with GET /v1/slow');
    decision = allowed();
    bed.send('GET /v1/next HTTP/1.1\r\nhost: api\r\n\r\n');
    await bed.heard('GET /v1/next');
    bed.say(answerOf('{"fine":1}'));
    await bed.until('"fine":1');
  });

  it('is cut where it is a WebSocket', async () => {
    await open(allowed());
    bed.send('GET /v1/chat HTTP/1.1\r\nhost: api\r\nconnection: upgrade\r\nupgrade: websocket\r\n');
    bed.send('sec-websocket-version: 13\r\nsec-websocket-key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n');
    await bed.heard('GET /v1/chat');
    bed.say('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello');
    await bed.until('hello');
    change(denied);
    await bed.closed;
    expect(outcome()).toMatchObject({ status: 'unknown' });
  });

  it('is looked at once more where it was only on its way', async () => {
    await open(allowed());
    const write = bed.ledger.holdWrites();
    bed.send('GET /v1/slow HTTP/1.1\r\nhost: api\r\n\r\n');
    await settled();
    change(denied);
    write();
    await bed.heard('GET /v1/slow');
    await settled();
    expect(bed.received()).toBe('');
    await bed.clock.advance(50);
    await bed.until('HTTP/1.1 403');
    expect(outcome()).toMatchObject({ status: 'unknown', code: '403' });
  });

  it('that has been answered is no more than that', async () => {
    await open(allowed());
    bed.send('GET /v1/one HTTP/1.1\r\nhost: api\r\n\r\n');
    await bed.heard('GET /v1/one');
    bed.say(answerOf('{"fine":1}'));
    await bed.until('"fine":1');
    change(denied);
    await settled();
    expect(outcome()).toMatchObject({ status: 'done' });
    expect(bed.received()).not.toContain('403');
  });
});
