import type { Field } from '../../../../wire/http1/index.ts';

/** A body whose chunks its client has signed, without these. */
export interface Unchunked {
  readonly bytes: Buffer;
  /** Behind it; names in lower case. */
  readonly trailers: readonly Field[];
}

/** Reads a whole body of `content-encoding: aws-chunked`; a sentence when it is none. @see https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html */
export function unchunk(body: Buffer): Unchunked | string {
  const pieces: Buffer[] = [];
  let at = 0;
  for (;;) {
    const end = body.indexOf(CRLF, at);
    if (end < 0 || end - at > LINE_MAX) return 'a chunk has no head';
    const [, digits] = CHUNK_HEAD.exec(body.toString('latin1', at, end)) ?? [];
    if (digits === undefined) return 'the head of a chunk is none';
    const size = Number.parseInt(digits, 16);
    at = end + 2;
    if (size === 0) break;
    if (body.length - at < size + 2 || !isCrlf(body, at + size)) return 'a chunk has another length than it says';
    pieces.push(body.subarray(at, at + size));
    at += size + 2;
  }
  const trailers = trailersOf(body, at);
  return typeof trailers === 'string' ? trailers : { bytes: Buffer.concat(pieces), trailers };
}

function trailersOf(body: Buffer, from: number): readonly Field[] | string {
  const trailers: Field[] = [];
  let at = from;
  for (;;) {
    const end = body.indexOf(CRLF, at);
    if (end < 0 || end - at > LINE_MAX) return 'its end is missing';
    if (end === at) return end + 2 === body.length ? trailers : 'something stands behind its end';
    const [, written = '', value] = TRAILER.exec(body.toString('latin1', at, end)) ?? [];
    if (value === undefined) return 'a trailer is none';
    const name = written.toLowerCase();
    if (trailers.some((other) => other.name === name)) return `the trailer ${name} is there twice`;
    trailers.push({ name, value });
    at = end + 2;
  }
}

function isCrlf(body: Buffer, at: number): boolean {
  return body[at] === 0x0d && body[at + 1] === 0x0a;
}

const CRLF = Buffer.from('\r\n');
const LINE_MAX = 512;
const CHUNK_HEAD = /^([0-9a-fA-F]{1,8})(?:;chunk-signature=[0-9a-f]{64})?$/;
const TRAILER = /^([A-Za-z0-9-]{1,64}): ?([!-~]{1,300})$/;
