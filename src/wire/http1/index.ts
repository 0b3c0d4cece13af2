/**
 * HTTP/1.1 on the wire (RFC 9112, RFC 9110): requests and responses read from bytes and written to them.
 *
 * It promises that what it reads has one meaning: whatever two readers may understand differently is refused with an `Http1Error`, wherever
 * the bytes are cut; that what it writes is read by it as it was meant; that bodies are never copied; and that little is held and nothing is
 * looked through twice. It must not know what a request means, who may send it, or what a socket is.
 */
export {
  encodeChunk,
  encodeLastChunk,
  encodeRequestHead,
  encodeResponseHead,
  type RequestToSend,
  type ResponseToSend,
} from './encode.ts';
export { errorTable, Http1Error, type Http1ErrorCode } from './errors.ts';
export type { Http1Limits } from './limits.ts';
export type {
  BodyEvent,
  BodyLength,
  Field,
  RequestEvent,
  RequestHead,
  ResponseEvent,
  ResponseHead,
} from './message.ts';
export { encodeProblem, type Problem } from './problem.ts';
export { createRequestReader, type RequestReader } from './request.ts';
export { createResponseReader, type ResponseReader } from './response.ts';
