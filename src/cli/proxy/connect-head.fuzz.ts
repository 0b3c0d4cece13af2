import { isDeepStrictEqual } from 'node:util';
import { parseConnectHead, plainHost } from './connect-head.ts';
import { javaNoProxyOf, noProxyOf } from './no-proxy.ts';

/** What a client of the proxy says first: read alike wherever it is cut, for one place that its name can only be read as. */
export function fuzz(input: Uint8Array): void {
  const bytes = Buffer.from(input);
  const whole = parseConnectHead(bytes);
  if (whole.step === 'ready') {
    const { tunnel, bytes: length } = whole;
    if (!/^[a-z0-9._:-]{1,254}$/.test(tunnel.host) || tunnel.host.endsWith('.'))
      throw new Error('a host of two readings');
    if (plainHost(tunnel.host.includes(':') ? `[${tunnel.host}]` : tunnel.host) !== tunnel.host)
      throw new Error('a host with another spelling');
    if (!Number.isInteger(tunnel.port) || tunnel.port < 1 || tunnel.port > 65_535) throw new Error('no port');
    if (bytes.toString('latin1', length - 4, length) !== '\r\n\r\n') throw new Error('it ends elsewhere');
    const head = bytes.toString('latin1', 0, length);
    if (
      (head.match(/^host:/gim) ?? []).length > 1 ||
      /^(transfer-encoding|content-length):(?![ \t]*0[ \t]*\r)/im.test(head)
    )
      throw new Error('a head of two readings');
    if (!isDeepStrictEqual(parseConnectHead(bytes.subarray(0, length)), whole))
      throw new Error('what follows changes it');
    for (let cut = 0; cut < length; cut += 7)
      if (parseConnectHead(bytes.subarray(0, cut)).step !== 'more') throw new Error('a part is read as a whole');
  }
  const text = bytes.toString('latin1');
  const { value } = noProxyOf(text, ['api.example.org', '10.0.0.7', 'fd00::7'], ['localhost']);
  if (noProxyOf(value, ['api.example.org', '10.0.0.7', 'fd00::7'], ['localhost']).dropped.length > 0)
    throw new Error('an entry is dropped late');
  if (/\s/.test(javaNoProxyOf(value))) throw new Error('Java would read it as two options');
}

export const seeds: readonly Uint8Array[] = [
  'CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\nUser-Agent: x\r\n\r\nbehind',
  'CONNECT [fd00:0::1]:443 HTTP/1.0\r\nhost:\t[FD00::1] \r\n\r\n',
  'CONNECT 0x7f.1:1 HTTP/1.1\r\nContent-Length: 0\r\n\r\n',
  'CONNECT [::ffff:10.0.0.1]:80 HTTP/1.1\r\n\r\n',
  'near.test, .example.org *.org 10.0.0.0/8,[fd00::]/64,fd00::7,10.,*',
].map((text) => Buffer.from(text, 'latin1'));

export const tokens = [
  ...[
    '\r\n',
    '\r\n\r\n',
    '\nHost: b.test',
    '\r\nHost: a.test',
    '\r\nContent-Length: 1',
    '\r\nTransfer-Encoding: x',
    ' ',
    '\t',
  ],
  ...['CONNECT ', ' HTTP/1.1', '[', ']', '::', '::ffff:', '..', '.', ':443', ':0', '0x', '/8', '*', ',', '\0', '\x80'],
];
