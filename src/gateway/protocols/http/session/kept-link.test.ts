/** How long a connection upstream is kept, and what rotates meanwhile. */
import { afterEach, describe, expect, it } from 'vitest';
import { answerOf, type HttpBed, type HttpBedOptions, openHttp, settled } from '../testing/harness.ts';

let bed: HttpBed;
afterEach(() => bed.close());

const request = (method: string, path: string) =>
  `${method} ${path} HTTP/1.1\r\nhost: api\r\n${method === 'POST' ? 'content-length: 2\r\n\r\nok' : '\r\n'}`;
const open = async (options?: HttpBedOptions) => {
  bed = await openHttp({ answer: () => answerOf('{"ok":true}'), ...options });
};
/** Asks, and waits for the answer. */
const ask = async (method: string, path: string) => {
  const before = bed.received().split('"ok":true').length;
  bed.send(request(method, path));
  await bed.until(new RegExp(`(?:"ok":true.*){${before}}`, 's'));
};
const idle = async (seconds: number) => {
  await settled();
  await bed.clock.advance(seconds * 1000);
};

describe('a connection upstream that was idle', () => {
  it.each([
    ['GET', 4, 1],
    ['GET', 30, 1],
    ['HEAD', 30, 1],
    ['GET', 31, 2],
    ['POST', 4, 1],
    ['POST', 5, 2],
    ['DELETE', 5, 2],
  ])('serves %s after %d seconds by connection %d: what can be sent again meets no harm', async (method, seconds, count) => {
    await open();
    await ask('GET', '/first');
    await idle(seconds);
    bed.send(request(method, '/second'));
    await bed.heard(`${method} /second`);
    expect(bed.upstream).toHaveLength(count);
  });

  it('and that the upstream has ended at this moment costs a GET another connection, and its client nothing', async () => {
    await open({
      answer: (text) => (text.includes('/second') && text.includes('/first') ? undefined : answerOf('{"ok":true}')),
    });
    await ask('GET', '/first');
    await idle(20);
    bed.send(request('GET', '/second'));
    await bed.heard('GET /second');
    bed.socket.destroy();
    await bed.until(/ok":true.*ok":true/s);
    expect(bed.upstream).toHaveLength(2);
    expect(bed.received()).not.toContain('502');
  });

  it('is used for five minutes in all: its certificate may have changed', async () => {
    await open();
    for (let at = 0; at < 17; at++) {
      await ask('GET', `/${at}`);
      await idle(20);
    }
    expect(bed.upstream).toHaveLength(2);
  });
});

describe('a credential that rotates', () => {
  it('while a connection is kept is used for the next request on it, and nobody notices', async () => {
    let secret = 'the-first-of-them';
    await open({ config: { credential: { bearer: 'env:PW' } }, secret: () => secret });
    await ask('GET', '/first');
    secret = 'the-second-of-them';
    await idle(2);
    await ask('GET', '/second');
    expect(bed.upstream).toHaveLength(1);
    expect(bed.upstream[0]).toMatch(/first HTTP.*the-first-of-them.*second HTTP.*the-second-of-them/s);
  });
});
