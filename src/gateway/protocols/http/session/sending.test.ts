import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import {
  allowed,
  answerOf,
  CREDENTIAL,
  denied,
  type HttpBed,
  type HttpBedOptions,
  openHttp,
  settled,
} from '../testing/harness.ts';

let bed: HttpBed;
const open = async (options?: HttpBedOptions) => {
  bed = await openHttp(options);
  return bed;
};
afterEach(() => bed.close());

const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: api\r\n\r\n`;
const POST = 'POST /b HTTP/1.1\r\nhost: api\r\ncontent-length: 2\r\n\r\nhi';
const fine = () => answerOf('{"ok":true}');
const outcome = () => bed.ledger.events.findLast(({ kind }) => kind === 'outcome')?.detail;
const count = (text: string, what: string) => text.split(what).length - 1;
const upstreamGone = async () => {
  const { socket } = bed;
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.destroy();
  await closed;
  await settled();
};
const isWritten = (events: number) => eventually('the intent waits', () => bed.ledger.waiting >= events);

describe('a request that waits for the ledger while its connection upstream ends', () => {
  const waiting = async (text: string, options: HttpBedOptions = {}) => {
    await open({ answer: fine, ...options });
    bed.send(get('/a'));
    await bed.until('ok":true}');
    const release = bed.ledger.holdWrites();
    bed.send(text);
    await isWritten(1);
    return release;
  };

  it.each([
    ['that changes nothing', get('/b')],
    ['that changes something', 'DELETE /b HTTP/1.1\r\nhost: api\r\n\r\n'],
  ])('goes over another one, once, even one %s', async (_, text) => {
    const release = await waiting(text);
    await upstreamGone();
    release();
    await bed.until(/ok":true}.*ok":true}/s);
    bed.send(get('/c'));
    await bed.heard('/c');
    await settled();
    expect(count(bed.upstream.join(''), ' /b HTTP')).toBe(1);
    expect(count(bed.received(), 'HTTP/1.1 200')).toBe(3);
    expect(outcome()).toMatchObject({ status: 'done' });
  });

  it('is answered once when the ledger refuses it', async () => {
    const release = await waiting(POST);
    await upstreamGone();
    bed.ledger.failure = new Error('no room');
    release();
    await bed.until('503');
    await settled();
    expect(count(bed.received(), 'HTTP/1.1 ')).toBe(2);
    expect(bed.upstream.join('')).not.toContain('/b');
  });

  it('was not sent where more of its body is to come, and is said not to have been', async () => {
    const release = await waiting('POST /b HTTP/1.1\r\nhost: api\r\ncontent-length: 9\r\n\r\nhi');
    await upstreamGone();
    release();
    await bed.until('503');
    expect(bed.received()).toContain('Nothing was done');
    expect(outcome()).toMatchObject({ status: 'skipped' });
  });

  it('is not answered by what the upstream says before it is asked', async () => {
    const release = await waiting(get('/b'));
    bed.say(answerOf('{"early":true}'));
    await settled();
    release();
    await bed.until(/ok":true}.*ok":true}/s);
    expect(bed.received()).not.toContain('early');
    expect(count(bed.upstream.join(''), ' /b HTTP')).toBe(1);
  });

  it('is not sent once policy says otherwise', async () => {
    let isAllowed = true;
    const release = await waiting(get('/b'), { decide: () => (isAllowed ? undefined : denied) });
    await upstreamGone();
    isAllowed = false;
    release();
    await bed.until('503');
    expect(bed.upstream.join('')).not.toContain('/b');
    expect(outcome()).toMatchObject({ status: 'skipped' });
  });
});

describe('a request whose connection upstream had gone', () => {
  const sentOnce = async (options: HttpBedOptions) => {
    let answers = 0;
    await open({
      answer: (text) => (++answers === 2 ? undefined : (options.answer?.(text) ?? fine())),
      ...without(options),
    });
    bed.send(get('/a'));
    await bed.until('"ok":true');
    bed.send(get('/b'));
    await bed.heard('/b');
  };
  const without = ({ answer: _, ...others }: HttpBedOptions) => others;

  it('is not sent again once policy says otherwise', async () => {
    let isAllowed = true;
    await sentOnce({ decide: () => (isAllowed ? undefined : denied) });
    isAllowed = false;
    await upstreamGone();
    await bed.until('502');
    expect(count(bed.upstream.join(''), '/b')).toBe(1);
    expect(outcome()).toMatchObject({ status: 'unknown' });
  });

  it('is not sent again once policy masks what it did not', async () => {
    let isMasked = false;
    const masks = [{ path: ['body', 'ssn'], kind: 'redact' } as const];
    await sentOnce({ decide: () => allowed(isMasked ? { masks } : {}) });
    isMasked = true;
    await upstreamGone();
    await bed.until('502');
    expect(count(bed.upstream.join(''), '/b')).toBe(1);
  });

  it('is sent again with the credential of now, and neither is shown', async () => {
    let secret = CREDENTIAL;
    const newer = 'another-horse-battery-staple';
    await sentOnce({
      config: { credential: { bearer: 'env:PW' } },
      secret: () => secret,
      answer: () => answerOf(`{"ok":true,"was":"${CREDENTIAL}","is":"${newer}"}`),
    });
    secret = newer;
    await upstreamGone();
    await bed.until(/"was".*"was"/s);
    expect(bed.upstream[1]).toContain(`Bearer ${newer}`);
    expect(bed.received().slice(bed.received().lastIndexOf('"was"'))).not.toMatch(/horse/);
  });
});

describe('a connection upstream', () => {
  it('that comes late, for a request that was given up, does not take the place of another’s', async () => {
    let waits: PromiseWithResolvers<string>[] | undefined;
    const limits = { duration: 1_000 };
    await open({
      config: { credential: { bearer: 'env:PW' } },
      secret: () => {
        if (waits === undefined) return CREDENTIAL;
        const wait = Promise.withResolvers<string>();
        waits.push(wait);
        return wait.promise;
      },
      decide: ({ context }) => allowed(context['path'] === '/b' ? { limits } : {}),
      answer: (text) => (/\/(b|c) HTTP/.test(text) ? undefined : fine()),
    });
    bed.send(get('/a'));
    await bed.until('ok":true}');
    bed.send(get('/b'));
    await bed.heard('/b');
    waits = [];
    await upstreamGone();
    await eventually('a new connection is wanted', () => waits?.length === 1);
    await bed.clock.advance(1_500);
    await bed.until('504');
    bed.send(get('/c'));
    await eventually('another new connection is wanted', () => waits?.length === 2);
    waits[1]?.resolve(CREDENTIAL);
    await bed.heard('/c');
    const { socket } = bed;
    waits[0]?.resolve(CREDENTIAL);
    await settled();
    socket.write(fine());
    await bed.until(/ok":true}.*ok":true}/s);
  });

  it('is none when there is no credential for it', async () => {
    await open({
      config: { credential: { bearer: 'env:PW' } },
      secret: () => {
        throw new Error('no such secret');
      },
    });
    bed.send(get('/a'));
    await bed.until('HTTP/1.1 5');
    await settled();
    expect(bed.upstream).toEqual([]);
  });
});
