import { describe, expect, it } from 'vitest';
import { readRequests, readResponses } from './testing/read.ts';

// Each way by which two readers of one connection were led to take it apart differently. What is refused is never answered and read on.

const HOST = 'Host: a\r\n';
const request = (lines: string, rest = '') => `POST / HTTP/1.1\r\n${HOST}${lines}\r\n\r\n${rest}`;
const get = (lines: string, rest = '') => `GET / HTTP/1.1\r\n${HOST}${lines}\r\n\r\n${rest}`;
const response = (lines: string, rest = '') => `HTTP/1.1 200 OK\r\n${lines}\r\n\r\n${rest}`;
const chunked = (body: string) => request('Transfer-Encoding: chunked', body);
const refused = (bytes: string) => {
  const { messages, status, error } = readRequests(bytes);
  return { status, error, complete: messages.filter(({ trailers }) => trailers !== undefined).length };
};

/** What frames a body: of requests and of responses alike. */
const FRAMING: readonly (readonly [what: string, lines: string, status: number])[] = [
  ['a length before a coding (CL.TE)', 'Content-Length: 6\r\nTransfer-Encoding: chunked', 400],
  ['a coding before a length (TE.CL)', 'Transfer-Encoding: chunked\r\nContent-Length: 6', 400],
  ['a length of 0 beside a coding', 'Content-Length: 0\r\nTransfer-Encoding: chunked', 400],
  ['the same length twice', 'Content-Length: 6\r\nContent-Length: 6', 400],
  ['two lengths', 'Content-Length: 6\r\ncontent-length: 7', 400],
  ['a list of lengths', 'Content-Length: 6, 6', 400],
  ['a length with a sign', 'Content-Length: +6', 400],
  ['a negative length', 'Content-Length: -6', 400],
  ['a length in hexadecimal', 'Content-Length: 0x6', 400],
  ['a length with a zero before it', 'Content-Length: 06', 400],
  ['a length of many zeros', 'Content-Length: 00', 400],
  ['no length where one is named', 'Content-Length:', 400],
  ['a length with a blank within', 'Content-Length: 1 6', 400],
  ['a length with a fraction', 'Content-Length: 6.0', 400],
  ['a length beyond 64 bits', 'Content-Length: 18446744073709551622', 400],
  ['a length of 16 digits', 'Content-Length: 1000000000000000', 400],
  ['another coding before chunked', 'Transfer-Encoding: gzip, chunked', 501],
  ['another coding alone', 'Transfer-Encoding: gzip', 400],
  ['identity', 'Transfer-Encoding: identity', 400],
  ['chunked, then identity', 'Transfer-Encoding: chunked, identity', 400],
  ['chunked twice in a line', 'Transfer-Encoding: chunked, chunked', 400],
  ['chunked twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', 400],
  ['a coding split over lines', 'Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked', 400],
  ['what sounds like chunked', 'Transfer-Encoding: xchunked', 400],
  ['chunked with a parameter', 'Transfer-Encoding: chunked;q=1', 400],
  ['chunked in quotes', 'Transfer-Encoding: "chunked"', 400],
  ['chunked with a comma before it', 'Transfer-Encoding: , chunked', 400],
  ['chunked with a comma behind it', 'Transfer-Encoding: chunked,', 400],
  ['no coding where one is named', 'Transfer-Encoding:', 400],
  ['a vertical tab before chunked', 'Transfer-Encoding: \x0bchunked', 400],
  ['a tab behind chunked', 'Transfer-Encoding: chunked\t', 400],
  ['a tab before chunked', 'Transfer-Encoding:\tchunked', 400],
  ['a tab behind a length', 'Content-Length: 6\t', 400],
  ['a tab before a length', 'Content-Length:\t6', 400],
  ['a folded coding', 'Transfer-Encoding:\r\n chunked', 400],
  ['a blank before the colon of a coding', 'Transfer-Encoding : chunked', 400],
  ['a tab before the colon of a length', 'Content-Length\t: 6', 400],
  ['a coding behind a bare CR', 'X-A: b\rTransfer-Encoding: chunked', 400],
  ['a coding behind a bare LF', 'X-A: b\nTransfer-Encoding: chunked', 400],
];

describe('the body of a request', () => {
  it.each(FRAMING)('with %s is refused', (_, lines, status) => {
    expect(refused(request(lines, '0\r\n\r\nGET / HTTP/1.1\r\n\r\n'))).toMatchObject({ status, complete: 0 });
  });

  it('chunked in HTTP/1.0 is refused', () => {
    const bytes = `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`;
    expect(refused(bytes)).toEqual({ status: 400, error: 'ERR_HTTP1_FRAMING', complete: 0 });
  });

  it.each([
    'GET',
    'HEAD',
    'OPTIONS',
    'DELETE',
    'TRACE',
    'PROPFIND',
  ])('of %s is framed, for the caller to refuse: it is never taken for the next request', (method) => {
    const hidden = 'GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n';
    const sized = `${method} / HTTP/1.1\r\n${HOST}Content-Length: ${hidden.length}\r\n\r\n${hidden}`;
    const inChunks = `${method} / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`;
    for (const bytes of [sized, inChunks]) {
      const { messages, error } = readRequests(bytes);
      expect(error).toBeUndefined();
      expect(messages.map(({ head, body }) => [head.target, body.toString()])).toEqual([['/', hidden]]);
    }
  });

  it('is of no length where none is said: what follows is the next request (0.CL)', () => {
    const { messages } = readRequests(get('Content-Length: 0', get('X-A: b')));
    expect(messages).toHaveLength(2);
  });
});

describe('the body of a response', () => {
  it.each(FRAMING)('with %s is refused', (_, lines) => {
    const { messages, error } = readResponses(response(lines, '0\r\n\r\n'));
    expect([messages.length, error]).toEqual([0, expect.stringMatching(/^ERR_HTTP1_/)]);
  });

  it('chunked in HTTP/1.0 is refused', () => {
    const bytes = 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n';
    expect(readResponses(bytes).error).toBe('ERR_HTTP1_FRAMING');
  });

  it.each([
    'HTTP/1.1 204 None\r\nContent-Length: 5',
    'HTTP/1.1 204 None\r\nTransfer-Encoding: chunked',
    'HTTP/1.1 103 Hints\r\nContent-Length: 5',
  ])('that can have none is refused: %j', (head) => {
    expect(readResponses(`${head}\r\n\r\nhello`).error).toBe('ERR_HTTP1_FRAMING');
  });

  it('of 204 may be said to be of no byte, as many servers do', () => {
    expect(readResponses('HTTP/1.1 204 None\r\nContent-Length: 0\r\n\r\n').error).toBeUndefined();
  });

  it('can not hold another response that is handed to the next request', () => {
    const { messages, error } = readResponses(`${response('Content-Length: 2', 'hi')}${response('Content-Length: 0')}`);
    expect([messages.length, error]).toEqual([1, 'ERR_HTTP1_UNEXPECTED']);
  });
});

describe('chunks', () => {
  it.each([
    ['a size in C’s hexadecimal', '0x2\r\nhi\r\n0\r\n\r\n'],
    ['a blank behind the size', '2 \r\nhi\r\n0\r\n\r\n'],
    ['a blank before the size', ' 2\r\nhi\r\n0\r\n\r\n'],
    ['a blank before an extension', '2 ;a\r\nhi\r\n0\r\n\r\n'],
    ['a negative size', '-1\r\nhi\r\n0\r\n\r\n'],
    ['a size with a sign', '+2\r\nhi\r\n0\r\n\r\n'],
    ['a size with an underscore', '0_2\r\nhi\r\n0\r\n\r\n'],
    ['a zero before the size', '02\r\nhi\r\n0\r\n\r\n'],
    ['two zeros for the end', '2\r\nhi\r\n00\r\n\r\n'],
    ['nine digits of size', '100000000\r\nhi\r\n0\r\n\r\n'],
    ['a size beyond 64 bits', '10000000000000002\r\nhi\r\n0\r\n\r\n'],
    ['no size', '\r\nhi\r\n0\r\n\r\n'],
    ['an extension without a size', ';a\r\nhi\r\n0\r\n\r\n'],
    ['a letter that is no digit', 'g\r\nhi\r\n0\r\n\r\n'],
    ['a size that ends in LF', '2\nhi\r\n0\r\n\r\n'],
    ['a size that ends in CR', '2\rhi\r\n0\r\n\r\n'],
    ['data longer than its size', '2\r\nhi!\r\n0\r\n\r\n'],
    ['data that ends in LF', '2\r\nhi\n0\r\n\r\n'],
    ['data that ends in CR', '2\r\nhi\r0\r\n\r\n'],
    ['data that ends in nothing', '2\r\nhi0\r\n\r\n'],
    ['an extension that ends in LF', '2;a\nhi\r\n0\r\n\r\n'],
    ['an extension with a bare CR', '2;a\rb\r\nhi\r\n0\r\n\r\n'],
    ['an extension of the last chunk that ends in LF', '2\r\nhi\r\n0;a\n\r\n'],
    ['an extension with a NUL', '2;a\0\r\nhi\r\n0\r\n\r\n'],
    ['an extension in bytes beyond ASCII', '2;\xe4\r\nhi\r\n0\r\n\r\n'],
    ['an extension without a name', '2;\r\nhi\r\n0\r\n\r\n'],
    ['an extension without a value', '2;a=\r\nhi\r\n0\r\n\r\n'],
    ['an extension that is no token', '2;http://a\r\nhi\r\n0\r\n\r\n'],
    ['an extension with a blank', '2; a\r\nhi\r\n0\r\n\r\n'],
    ['an extension whose quotes hold its line end', '2;a="b\r\nhi\r\n0\r\n\r\n'],
    ['an extension with an escape', '2;a="b\\""\r\nhi\r\n0\r\n\r\n'],
    ['an extension with a byte behind its quotes', '2;a="b"c\r\nhi\r\n0\r\n\r\n'],
    ['257 bytes of extensions', `1;${'a'.repeat(128)}\r\nh\r\n1;${'b'.repeat(127)}\r\ni\r\n0\r\n\r\n`],
  ])('with %s are refused', (_, body) => {
    expect(refused(chunked(body))).toEqual({ status: 400, error: 'ERR_HTTP1_CHUNK', complete: 0 });
  });

  it('may have 256 bytes of extensions, which nobody sees', () => {
    const body = `1;${'a'.repeat(127)}\r\nh\r\n1;${'b'.repeat(127)}\r\ni\r\n0\r\n\r\n`;
    expect(readRequests(chunked(body)).messages[0]?.body.toString()).toBe('hi');
  });

  it('may have extensions of a name, a value, or one in quotes', () => {
    const body = '1;a;b=c;d="e; f"\r\nh\r\n1\r\ni\r\n0;end="";x\r\n\r\n';
    expect(readRequests(chunked(body)).messages[0]?.body.toString()).toBe('hi');
  });

  it('may be of eight digits', () => {
    const { messages, error } = readRequests(chunked('ffffffff\r\nhi'));
    expect([messages[0]?.body.toString(), error]).toEqual(['hi', 'ERR_HTTP1_CUT']);
  });

  it.each([
    'Content-Length: 5',
    'Transfer-Encoding: chunked',
    'Host: b',
    'Connection: close',
    'Upgrade: b',
    'Trailer: a',
    'TE: trailers',
    'Expect: 100-continue',
  ])('with the trailer %j are refused', (line) => {
    expect(refused(chunked(`0\r\n${line}\r\n\r\n`))).toMatchObject({ status: 400, complete: 0 });
  });

  it.each([
    'Authorization: b',
    'Cookie: b',
    'Content-Type: b',
    'X-Forwarded-For: b',
    'X-Countersign-Id: b',
    'Set-Cookie: b',
    'Sec-Fetch-Site: b',
    'Cache-Control: b',
  ])('lose the trailer %j', (line) => {
    expect(readRequests(chunked(`0\r\n${line}\r\nX-Sum: 1\r\n\r\n`)).messages[0]?.trailers).toEqual([
      { name: 'x-sum', value: '1' },
    ]);
  });

  it.each([
    'X-A : b',
    ' X-A: b',
    'X-A: b\n',
    'X-A: b\rc',
    'X-A: \0',
    'X-A',
    'X-A: b\r\n c',
    ': b',
    'X-A: \xe4',
  ])('with the trailer line %j are refused', (line) => {
    expect(refused(chunked(`0\r\n${line}\r\n\r\n`))).toEqual({ status: 400, error: 'ERR_HTTP1_FIELD', complete: 0 });
  });
});

/** What a field line may not be, in a request and in a response. */
const LINES: readonly (readonly [what: string, line: string])[] = [
  ['folded', 'X-A: b\r\n c'],
  ['folded by a tab', 'X-A: b\r\n\tc'],
  ['with a space before the colon', 'X-A : b'],
  ['with a tab before the colon', 'X-A\t: b'],
  ['with a blank before its name', ' X-A: b'],
  ['without a colon', 'X-A'],
  ['without a name', ': b'],
  ['with a blank within its name', 'X A: b'],
  ['with a NUL in its name', 'X\0A: b'],
  ['with a byte beyond ASCII in its name', 'X\xe4: b'],
  ['with a NUL in its value', 'X-A: b\0c'],
  ['with a bare CR in its value', 'X-A: b\rc'],
  ['with a bare CR at its end', 'X-A: b\r\r'],
  ['with a bare LF in its value', 'X-A: b\nc'],
  ['that ends in LF', 'X-A: b\nX-B: c'],
  ['with a DEL', 'X-A: b\x7f'],
  ['with an escape', 'X-A: b\x1b[2J'],
  ['with a byte beyond ASCII', 'X-A: \x80'],
  ['with UTF-8', 'X-A: \xc3\xa4'],
  ['that Connection takes for a list of something else', 'Connection: a b'],
];

describe('a field line', () => {
  it.each(LINES)('%s is refused', (_, line) => {
    expect(refused(get(line))).toMatchObject({ status: 400, complete: 0 });
    expect(refused(get(`${line}\r\nX-Last: 1`))).toMatchObject({ status: 400, complete: 0 });
    expect(readResponses(response(`${line}\r\nContent-Length: 0`)).error).toMatch(/^ERR_HTTP1_(FIELD|CONNECTION)$/);
  });

  it('may hold bytes beyond ASCII where that is wanted, and nothing else more', () => {
    const limits = { allowObsText: true };
    const { messages } = readRequests(get('X-A: \x80\xff'), limits);
    expect(messages[0]?.head.fields).toEqual([{ name: 'x-a', value: '\x80\xff' }]);
    for (const [what, line] of LINES.filter(([, text]) => !/: [\x80-\xff]/.test(text)))
      expect(readRequests(get(line), limits).status, what).toBe(400);
    expect(readResponses(response('X-A: \x80\r\nContent-Length: 0'), ['GET'], { limits }).error).toBeUndefined();
  });

  it.each([
    'Host',
    'Authorization',
    'Content-Type',
    'Cookie',
    'Origin',
    'Range',
    'Expect',
    'Upgrade',
    'Proxy-Authorization',
    'User-Agent',
    'If-Range',
  ])('of %s stands in a request once', (name) => {
    const value = name === 'Expect' ? '100-continue' : 'a';
    expect(refused(get(`${name}: ${value}\r\n${name.toUpperCase()}: ${value}`))).toEqual({
      ...{ status: 400, error: 'ERR_HTTP1_REPEATED', complete: 0 },
    });
  });

  it.each([
    'Content-Type',
    'Location',
    'ETag',
    'Content-Range',
    'Access-Control-Allow-Origin',
  ])('of %s stands in a response once', (name) => {
    expect(readResponses(response(`${name}: a\r\n${name.toLowerCase()}: a`)).error).toBe('ERR_HTTP1_REPEATED');
  });

  it.each([
    'Content-Length',
    'Transfer-Encoding',
    'Host',
    'Authorization',
    'Cookie',
    'Set-Cookie',
    'Content-Type',
    'Expect',
    'X-Countersign-Identity',
    'X-Forwarded-For',
    'Cache-Control',
    'Sec-WebSocket-Key',
    'Connection',
  ])('of Connection may not take away %s', (name) => {
    for (const line of [
      `Connection: ${name}`,
      `Connection: close, ${name}`,
      `Connection: close\r\nConnection: ,${name.toLowerCase()} `,
    ]) {
      expect(refused(get(line))).toEqual({ status: 400, error: 'ERR_HTTP1_CONNECTION', complete: 0 });
      expect(readResponses(response(`${line}\r\nContent-Length: 0`)).error).toBe('ERR_HTTP1_CONNECTION');
    }
  });

  it('of Connection may name TE, as the RFC wants, and fields that nobody knows, which are taken away wherever they stand', () => {
    const { messages } = readRequests(
      get('X-Own: 1\r\nConnection: TE, x-own,\r\nTE: trailers\r\nX-Own: 2\r\nX-Other: 3'),
    );
    expect(messages[0]?.head).toMatchObject({ fields: [{ name: 'x-other', value: '3' }], acceptsTrailers: true });
  });
});

describe('the host', () => {
  it.each([
    '',
    'a@b',
    'a@b/c',
    'a, b',
    'a/b',
    'a b',
    'http://a',
    'a:',
    'a:0',
    'a:080',
    'a:65536',
    'a:80:80',
    'a:8o',
    '.a',
    'a..b',
    '[::1',
    '[::1]x',
    '[]',
    '[g::1]',
    '[::1%25lo]',
    '::1',
    'a%2eb',
    'a;b',
    '*',
    `${'a'.repeat(261)}`,
  ])('%j is refused', (host) => {
    expect(refused(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).toEqual({
      status: 400,
      error: 'ERR_HTTP1_HOST',
      complete: 0,
    });
  });

  it.each([
    'a',
    'A.example.org',
    'a:1',
    'a:65535',
    '10.0.0.1:80',
    '[::1]',
    '[::ffff:10.0.0.1]:8443',
    'my_service',
    'a.',
  ])('%j is read', (host) => {
    expect(readRequests(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`).messages[0]?.head.host).toBe(host.toLowerCase());
  });

  it('must be there, in HTTP/1.0 too, and once', () => {
    for (const version of ['1.0', '1.1'])
      expect(refused(`GET / HTTP/${version}\r\n\r\n`)).toEqual({ status: 400, error: 'ERR_HTTP1_HOST', complete: 0 });
    expect(refused(get('Host: a'))).toMatchObject({ error: 'ERR_HTTP1_REPEATED' });
  });
});

describe('the request line', () => {
  const line = (text: string) => refused(`${text}\r\nHost: a\r\n\r\n`);

  it.each([
    ['two spaces', 'GET  / HTTP/1.1'],
    ['two spaces before the version', 'GET /  HTTP/1.1'],
    ['a tab', 'GET\t/ HTTP/1.1'],
    ['a space at its end', 'GET / HTTP/1.1 '],
    ['a space before it', ' GET / HTTP/1.1'],
    ['no version', 'GET /'],
    ['no target', 'GET HTTP/1.1'],
    ['a version in small letters', 'GET / http/1.1'],
    ['a version of two digits', 'GET / HTTP/1.10'],
    ['a method that is no token', 'GE(T / HTTP/1.1'],
    ['bytes of TLS', '\x16\x03\x01\x02'],
    ['a bare CR', 'GET / HTTP/1.1\r'],
  ])('with %s is refused', (_, text) => {
    expect(line(text)).toMatchObject({ status: 400, complete: 0 });
  });

  it.each(['HTTP/2.0', 'HTTP/0.9', 'HTTP/1.2', 'HTTP/3.1'])('of %s is told which versions there are', (version) => {
    expect(line(`GET / ${version}`)).toEqual({ status: 505, error: 'ERR_HTTP1_VERSION', complete: 0 });
  });

  it('of HTTP/2’s opening is told so too', () => {
    expect(refused('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n').status).toBe(505);
  });

  it.each([
    '/a#b',
    '/a\x80',
    '/a\x7f',
    '/a\0',
    'a',
    '*',
    '//a'.slice(2),
    'http://evil/x',
    'http://a:80/',
    'http://u@a/',
    'http://a@evil/',
    'ftp://a/',
    'http:/a',
    'a:443',
    '/a\tb',
    'http://a#b',
  ])('of the target %j is refused', (target) => {
    expect(line(`GET ${target} HTTP/1.1`)).toEqual({ status: 400, error: 'ERR_HTTP1_TARGET', complete: 0 });
  });

  it.each([
    ['GET', '/', '/'],
    ['GET', '//evil/x', '//evil/x'],
    ['GET', '/a?b#c'.slice(0, 4), '/a?b'],
    ['OPTIONS', '*', '*'],
    ['GET', 'http://A/x?y', '/x?y'],
    ['GET', 'HTTPS://a', '/'],
    ['GET', 'http://a?y=http://b', '/?y=http://b'],
    ['OPTIONS', 'http://a', '*'],
  ])('of %s %s goes on as %s', (method, target, goesOn) => {
    expect(readRequests(`${method} ${target} HTTP/1.1\r\nHost: a\r\n\r\n`).messages[0]?.head.target).toBe(goesOn);
  });

  it('of CONNECT names the host and port that Host does', () => {
    const connect = (target: string, rest = '') =>
      readRequests(`CONNECT ${target} HTTP/1.1\r\nHost: a:443\r\n${rest}\r\n`);
    expect(connect('A:443').messages[0]?.head).toMatchObject({ method: 'CONNECT', target: 'a:443' });
    for (const target of ['a', 'b:443', '/', 'http://a:443/']) expect(connect(target).error).toBe('ERR_HTTP1_TARGET');
    expect(connect('a:443', 'Content-Length: 5\r\n').error).toBe('ERR_HTTP1_CONNECTION');
  });

  it('may have one empty line before it, and no more', () => {
    expect(readRequests(`\r\n${get('X-A: b')}\r\n${get('X-A: b')}\r\n`)).toMatchObject({
      error: undefined,
      messages: [{}, {}],
    });
    expect(refused(`\r\n\r\n${get('X-A: b')}`)).toMatchObject({ error: 'ERR_HTTP1_LINE' });
    expect(refused(`\n${get('X-A: b')}`)).toMatchObject({ error: 'ERR_HTTP1_LINE' });
    expect(refused(`\rG${get('X-A: b')}`)).toMatchObject({ error: 'ERR_HTTP1_LINE' });
  });
});

describe('an upgrade', () => {
  const upgrade = (lines: string, rest = '') => readRequests(request(`Connection: Upgrade\r\nUpgrade: ${lines}`, rest));

  it.each([
    'Content-Length: 5',
    'Transfer-Encoding: chunked',
  ])('with %s is refused: the body would become the tunnel’s', (framing) => {
    expect(upgrade(`websocket\r\n${framing}`, 'hello')).toMatchObject({ status: 400, error: 'ERR_HTTP1_CONNECTION' });
  });

  it.each(['websocket, h2c', 'h2c, websocket', 'a b', '', 'a/b/c', '/'])('to %j is refused', (name) => {
    expect(upgrade(name).error).toBe('ERR_HTTP1_CONNECTION');
  });

  it('to h2c is passed over, with its settings, and the body is a body', () => {
    const { messages } = readRequests(
      request(
        'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\nContent-Length: 5',
        'hello',
      ),
    );
    expect(messages).toMatchObject([{ head: { upgrade: undefined, fields: [] }, body: Buffer.from('hello') }]);
  });

  it('that only one of the two fields asks for, or HTTP/1.0, is passed over', () => {
    for (const lines of ['Upgrade: websocket', 'Connection: upgrade'])
      expect(readRequests(get(lines)).messages[0]?.head).toMatchObject({ upgrade: undefined, fields: [] });
    const old = 'GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n';
    expect(readRequests(old).messages[0]?.head.upgrade).toBeUndefined();
  });

  it('of a length of 0 is one', () => {
    expect(upgrade('WebSocket\r\nContent-Length: 0').messages[0]?.head.upgrade).toBe('websocket');
  });
});

describe('the status line', () => {
  it.each(['099', '600', '999', '20', '2000', '+20', '2x0', ''])('with the status %j is refused', (status) => {
    expect(readResponses(`HTTP/1.1 ${status} OK\r\nContent-Length: 0\r\n\r\n`).error).toBe('ERR_HTTP1_LINE');
  });

  it.each([
    'HTTP/1.1  200 OK',
    'HTTP/1.1\t200 OK',
    'http/1.1 200 OK',
    'HTTP/1.1 200\tOK',
    'HTTP/1.1 200 O\0K',
    'HTTP/1.1 200 O\rK',
    'ICY 200 OK',
    ' HTTP/1.1 200 OK',
    '\r\nHTTP/1.1 200 OK',
  ])('%j is refused', (line) => {
    expect(readResponses(`${line}\r\nContent-Length: 0\r\n\r\n`).error).toBe('ERR_HTTP1_LINE');
  });

  it('of another version is refused', () => {
    expect(readResponses('HTTP/2.0 200 OK\r\n\r\n').error).toBe('ERR_HTTP1_VERSION');
  });

  it('may be without a reason, and without the space before it', () => {
    for (const line of ['HTTP/1.1 200 ', 'HTTP/1.1 200'])
      expect(readResponses(`${line}\r\nContent-Length: 0\r\n\r\n`)).toMatchObject({
        error: undefined,
        messages: [{ head: { reason: '' } }],
      });
  });
});

describe('what is expected', () => {
  it('is 100-continue or refused', () => {
    const expects = (lines: string) => readRequests(request(lines, 'hello'));
    expect(expects('Content-Length: 5\r\nExpect: 100-Continue').messages[0]?.head.expectsContinue).toBe(true);
    expect(readRequests(get('Expect: 100-continue')).messages[0]?.head.expectsContinue).toBe(false);
    expect(expects('Content-Length: 5\r\nExpect: 200-ok')).toMatchObject({ status: 417, error: 'ERR_HTTP1_EXPECT' });
    expect(expects('Content-Length: 5\r\nExpect:').status).toBe(417);
  });
});
