import { assert } from '../../../../std/index.ts';
import { unchunk } from './aws-chunked.ts';

/** Any body: a sentence that quotes nothing but a name, or what its chunks hold, of which saying it again gives the same. */
export function fuzz(input: Uint8Array): void {
  const body = Buffer.from(input);
  const read = unchunk(body);
  assert(body.equals(input), 'the body was changed');
  if (typeof read === 'string') {
    assert(/^[a-z0-9 -]{1,120}$/.test(read), 'a sentence that quotes what it was sent');
    return;
  }
  assert(read.bytes.length < body.length, 'more than there was');
  const names = read.trailers.map(({ name }) => name);
  assert(new Set(names).size === names.length && names.every((name) => /^[a-z0-9-]+$/.test(name)), 'a name twice');
  const chunk = read.bytes.length === 0 ? [] : [`${read.bytes.length.toString(16)}\r\n`, read.bytes, '\r\n'];
  const lines = read.trailers.map(({ name, value }) => `${name}:${value}\r\n`);
  const again = unchunk(Buffer.concat([...chunk, '0\r\n', ...lines, '\r\n'].map((piece) => Buffer.from(piece))));
  assert(typeof again !== 'string' && again.bytes.equals(read.bytes), 'it reads as something else when said again');
  assert(JSON.stringify(again.trailers) === JSON.stringify(read.trailers), 'its trailers read as others');
}

const SIGNED = `;chunk-signature=${'a1'.repeat(32)}`;
export const seeds: readonly Uint8Array[] = [
  `5${SIGNED}\r\nhello\r\n0${SIGNED}\r\n\r\n`,
  '5\r\nhello\r\n0\r\nx-amz-checksum-crc32c:sOO8/Q==\r\n\r\n',
  `A${SIGNED}\r\n0123456789\r\n3${SIGNED}\r\nabc\r\n0${SIGNED}\r\nx-amz-trailer-signature:ab\r\n\r\n`,
  '0\r\n\r\n',
].map((text) => Buffer.from(text));
export const tokens = ['\r\n', '0\r\n', '0\r\n\r\n', SIGNED, ';', ':', 'x-amz-checksum-', 'ffffffff', '\n', ' '];
