import { afterEach, describe, expect, it } from 'vitest';
import { allowed, answerOf, CREDENTIAL, type HttpBed, type HttpBedOptions, openHttp } from '../testing/harness.ts';

let bed: HttpBed;
const UPGRADE =
  'GET /ws HTTP/1.1\r\nhost: api\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n';
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
const open = async (options?: HttpBedOptions) => {
  bed = await openHttp(options);
  bed.send(UPGRADE);
};
const tunnel = async (options?: HttpBedOptions) => {
  await open(options);
  await bed.heard('GET /ws');
  bed.say(SWITCH);
  await bed.until('101');
};
afterEach(() => bed.close());
const outcome = () => bed.ledger.events.findLast(({ kind }) => kind === 'outcome')?.detail;

describe('a connection that leaves HTTP', () => {
  it.each([
    ['masks a field of its answer', { masks: [{ path: ['body', 'ssn'], kind: 'redact' } as const] }],
    ['limits its items', { limits: { items: 5 } }],
  ])('is refused where policy %s, since nothing is read in it', async (_, obligations) => {
    await open({
      decide: ({ action }) => (action === 'http:upgrade' ? allowed(obligations) : undefined),
      answer: () => answerOf('{}'),
    });
    await bed.until('HTTP/1.1 403');
    expect(bed.upstream.join('')).not.toContain('/ws');
    bed.send('GET /plain HTTP/1.1\r\nhost: api\r\n\r\n');
    await bed.until('{}');
  });

  it('takes no more bytes than policy allows', async () => {
    await tunnel({ decide: () => allowed({ limits: { bytesIn: 10 } }) });
    bed.send('1234567890');
    await bed.heard('1234567890');
    bed.send('x');
    await bed.served;
    expect(bed.upstream[0]?.endsWith('1234567890')).toBe(true);
    expect(outcome()).toMatchObject({ status: 'over-limit', limit: { unit: 'bytesIn', most: 10 } });
  });

  it('gives no more bytes than policy allows', async () => {
    await tunnel({ decide: () => allowed({ limits: { bytesOut: 10 } }) });
    bed.say('1234567890');
    await bed.until('1234567890');
    bed.say('the rest');
    await bed.served;
    expect(bed.received()).not.toContain('the rest');
    expect(outcome()).toMatchObject({ status: 'over-limit', limit: { unit: 'bytesOut', most: 10 } });
  });

  it('hides the credential that is echoed in it, and holds nothing back', async () => {
    await tunnel({ config: { credential: { bearer: 'env:PW' } } });
    bed.say(`hello ${CREDENTIAL}, that was c`);
    await bed.until('that was c');
    expect(bed.received()).not.toContain(CREDENTIAL);
  });

  it('still carries what the upstream says once the client has said all', async () => {
    await tunnel();
    bed.send('standard input');
    await bed.heard('standard input');
    const ended = new Promise((resolve) => bed.socket.once('end', resolve));
    bed.client.end();
    await ended;
    bed.say('standard output');
    await bed.until('standard output');
    bed.socket.end();
    await bed.served;
    expect(outcome()).toMatchObject({ status: 'done' });
  });

  it('is not known to be done when its connection breaks', async () => {
    await tunnel();
    bed.socket.resetAndDestroy();
    await bed.served;
    expect(outcome()).toMatchObject({ status: 'unknown' });
  });

  it('ends when the client has said all and the upstream says nothing for minutes', async () => {
    await tunnel();
    const ended = new Promise((resolve) => bed.socket.once('end', resolve));
    bed.client.end();
    await ended;
    await bed.clock.advance(300_000);
    await bed.served;
  });
});
