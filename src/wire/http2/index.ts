/**
 * The little of HTTP/2 that node:http2 does not let us choose, or does not tell.
 *
 * It promises to change nothing but the one byte that it names, and to take out nothing but the one answer that is not for node:http2,
 * whatever the bytes and however they are cut. It must not know sockets,
 * gRPC, or any service.
 * @see RFC 9113 (frames), RFC 7541 (HPACK)
 */
export { type AuthorityFilter, createAuthorityFilter } from './authority-filter.ts';
export {
  type ClientFrames,
  type ClientStream,
  createClientFrames,
  createServerFrames,
  type Flood,
} from './client-frames.ts';
export { type ClientOpening, createClientOpening, type OpeningState } from './client-opening.ts';
export { PREFACE } from './preface.ts';
