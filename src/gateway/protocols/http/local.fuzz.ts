import { assert } from '../../../std/index.ts';
import { local } from './local.ts';

/** What passes by an agent, each piece by a byte for whose it is and how long: nothing of it throws, cuts change nothing, and at rest are only both sides. */
export function fuzz(input: Uint8Array): void {
  const bytes = Buffer.from(input);
  const [whole, cut] = [local.follow(), local.follow()];
  let asked = 0;
  for (let at = 0; at < bytes.length; ) {
    const word = bytes.readUInt8(at);
    const from = word % 2 === 0 ? 'client' : 'gateway';
    const piece = bytes.subarray(at + 1, at + 1 + (word >> 1 === 127 ? bytes.length : word >> 1));
    if (from === 'client') asked += piece.length;
    if (piece.length > 0) whole.saw(from, piece);
    for (const byte of piece) cut.saw(from, Buffer.from([byte]));
    assert(whole.place() === cut.place(), 'where it stands depends on how the bytes are cut');
    assert(whole.place() !== 'rest' || asked > 0 || from === 'gateway', 'at rest before anything was asked');
    at += 1 + piece.length;
  }
  local.opening(bytes);
}

const said = (...pieces: readonly (readonly [from: 'client' | 'gateway', text: string])[]) =>
  Buffer.concat(
    pieces.map(([from, text]) =>
      Buffer.concat([Buffer.from([text.length * 2 + (from === 'client' ? 0 : 1)]), Buffer.from(text)]),
    ),
  );
const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
export const seeds: readonly Uint8Array[] = [
  said(['client', GET], ['gateway', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'], ['client', GET]),
  said(
    ['client', 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n'],
    ['client', '1\r\na\r\n0\r\n\r\n'],
    ['gateway', 'HTTP/1.1 204 x\r\n\r\n'],
  ),
  said(
    ['client', 'GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'],
    ['gateway', 'HTTP/1.1 101 x\r\n\r\n'],
  ),
  said(['client', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'], ['gateway', '\0\0\0\x04\0\0\0\0\0']),
];
export const tokens = [
  GET,
  '\r\n',
  '\r\n\r\n',
  'HTTP/1.1 200 OK\r\n',
  'content-length: 0\r\n',
  '0\r\n\r\n',
  '\xfe',
  '\xff',
].map((text) => Buffer.from(text, 'latin1'));
