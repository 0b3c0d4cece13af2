/** A part of an answer may begin or end within the gateway's own credential, where nothing finds what is left of it. */
import { afterEach, describe, expect, it } from 'vitest';
import { answerOf, CREDENTIAL, type HttpBed, type HttpBedOptions, openHttp } from '../testing/harness.ts';

let bed: HttpBed;
const open = async (config: object, options?: HttpBedOptions) => {
  bed = await openHttp({ ...options, config: { ...config } });
};
afterEach(() => bed.close());

const WANTED = 'GET /log HTTP/1.1\r\nhost: api\r\nrange: bytes=4-9\r\nif-range: "a"\r\n\r\n';
const credential = { bearer: 'env:PW' };
/** An upstream that logs what it is asked, and serves parts of that. */
const log = (text: string) =>
  /range: /i.test(text)
    ? answerOf(CREDENTIAL.slice(4, 10), { 'content-range': 'bytes 4-9/28' }, '206 Partial Content')
    : answerOf(CREDENTIAL);

describe('a part of an answer', () => {
  it('is not asked for where the gateway has a credential: the whole is answered, and nothing of that shown', async () => {
    await open({ credential }, { answer: log });
    bed.send(WANTED);
    await bed.until(`\r\n\r\n${'*'.repeat(CREDENTIAL.length)}`);
    expect(bed.received()).toContain('HTTP/1.1 200');
    expect(bed.upstream[0]).not.toMatch(/range/i);
  });

  it('that comes without being asked for is not shown there', async () => {
    await open({ credential }, { answer: () => log('range: ') });
    bed.send('GET /log HTTP/1.1\r\nhost: api\r\n\r\n');
    await bed.until('HTTP/1.1 502');
    expect(bed.received()).not.toContain(CREDENTIAL.slice(4, 10));
  });

  it.each([
    ['without a credential', {}],
    ['where the target says that no answer of its repeats one', { credential, allowRanges: true }],
  ])('is what a client gets that asks for it %s', async (_, config) => {
    await open(config, { answer: log });
    bed.send(WANTED);
    await bed.until(CREDENTIAL.slice(4, 10));
    expect(bed.received()).toMatch(/HTTP\/1\.1 206.*content-range: bytes 4-9\/28/is);
    expect(bed.upstream[0]).toMatch(/range: bytes=4-9\r\nif-range: "a"/);
  });
});
