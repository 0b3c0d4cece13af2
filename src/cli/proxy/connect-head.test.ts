import { describe, expect, it } from 'vitest';
import { parseConnectHead } from './connect-head.ts';

const parse = (text: string) => parseConnectHead(Buffer.from(text, 'latin1'));

describe('the head of a CONNECT', () => {
  it.each([
    ['without Host, as old clients send it', 'CONNECT a.test:443 HTTP/1.0\r\n\r\n', 'a.test', 443],
    [
      'with Host without a port, as Java sends it',
      'CONNECT a.test:8443 HTTP/1.1\r\nHost: a.test\r\n\r\n',
      'a.test',
      8443,
    ],
    ['in another spelling', 'CONNECT A.Test.:443 HTTP/1.1\r\nhOST:\ta.test:443 \r\n\r\n', 'a.test', 443],
    ['of an address', 'CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n', '::1', 443],
    ['with a length of nothing', 'CONNECT a.test:1 HTTP/1.1\r\nContent-Length: 0\r\n\r\n', 'a.test', 1],
    ['with a field without value', 'CONNECT a.test:65535 HTTP/1.1\r\nX:\r\n\r\n', 'a.test', 65_535],
  ])('is read %s', (_, text, host, port) => {
    expect(parse(`${text}behind`)).toEqual({ step: 'ready', tunnel: { host, port }, bytes: text.length });
    for (let cut = 0; cut < text.length; cut++) expect(parse(text.slice(0, cut))).toEqual({ step: 'more' });
  });

  it.each([
    ['no port', 'CONNECT a.test HTTP/1.1'],
    ['port 0', 'CONNECT a.test:0 HTTP/1.1'],
    ['a port beyond all', 'CONNECT a.test:65536 HTTP/1.1'],
    ['user info', 'CONNECT me@a.test:443 HTTP/1.1'],
    ['a path', 'CONNECT a.test:443/x HTTP/1.1'],
    ['two blanks', 'CONNECT  a.test:443 HTTP/1.1'],
    ['an empty label', 'CONNECT a..test:443 HTTP/1.1'],
    ['two dots at its end, of which one is no other host', 'CONNECT a.test..:443 HTTP/1.1'],
    ['brackets around no address of IPv6', 'CONNECT [0.1]:443 HTTP/1.1'],
    ['another version', 'CONNECT a.test:443 HTTP/2.0'],
    ['another host', 'CONNECT a.test:443 HTTP/1.1\r\nHost: b.test'],
    ['another port', 'CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:80'],
    ['no host in Host', 'CONNECT a.test:443 HTTP/1.1\r\nHost:'],
    ['two hosts', 'CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\nhost: a.test'],
    ['a length', 'CONNECT a.test:443 HTTP/1.1\r\nContent-Length: 1'],
    ['chunks', 'CONNECT a.test:443 HTTP/1.1\r\nTransfer-Encoding: chunked'],
    ['a folded line', 'CONNECT a.test:443 HTTP/1.1\r\nX: y\r\n Host: b.test'],
    ['a blank before the colon', 'CONNECT a.test:443 HTTP/1.1\r\nHost : a.test'],
    ['a bare line feed', 'CONNECT a.test:443 HTTP/1.1\r\nX: y\nHost: b.test'],
    ['a NUL', 'CONNECT a.test:443 HTTP/1.1\r\nX: \0'],
  ])('is refused with %s', (_, text) => {
    expect(parse(`${text}\r\n\r\n`)).toMatchObject({ step: 'refuse', status: 400 });
  });

  it('takes no time, whatever blanks it is full of', () => {
    const blanks = ' '.repeat(15_000);
    expect(parse(`CONNECT a.test:443 HTTP/1.1\r\nHost:${blanks}a.test${blanks.slice(0, 1_000)}\r\n\r\n`)).toMatchObject(
      {
        step: 'ready',
      },
    );
    const startMs = performance.now();
    for (let time = 0; time < 50; time++)
      expect(parse(`CONNECT a.test:443 HTTP/1.1\r\nX:${blanks}\0\r\n\r\n`)).toMatchObject({ step: 'refuse' });
    expect(performance.now() - startMs).toBeLessThan(2_000);
  });

  it('may have 16 KiB and no more, whether its end has come or not', () => {
    const head = (bytes: number) => 'CONNECT a.test:443 HTTP/1.1\r\nX: '.padEnd(bytes, 'x');
    expect(parse(`${head(16_384)}\r\n\r\n`)).toMatchObject({ step: 'ready' });
    expect(parse(`${head(16_385)}\r\n\r\n`)).toMatchObject({ step: 'refuse', status: 431 });
    expect(parse(head(16_384))).toEqual({ step: 'more' });
    expect(parse(head(16_385))).toMatchObject({ step: 'refuse', status: 431 });
  });
});
