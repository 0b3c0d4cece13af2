/**
 * gRPC on the wire: message frames, timeouts, metadata, statuses and their details.
 *
 * It promises that everything it writes is read back the same by any gRPC implementation, and that no input makes it hold more
 * than it was allowed to or throw anything but {@link GrpcWireError}. It must not know sockets, HTTP/2, time, or any service.
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
export { Code, codeName, parseCode, type StatusCode } from './code.ts';
export { errorTable, GrpcWireError } from './errors.ts';
export { createDeframer, type Deframer, encodeFrame } from './frame.ts';
export { createMessageEnds, type MessageEnds } from './message-ends.ts';
export { checkMetadata, isGrpcContentType, parseMetadata } from './metadata.ts';
export {
  decodeBase64,
  decodeStatusDetails,
  decodeStatusMessage,
  encodeBase64,
  encodeStatusDetails,
  encodeStatusMessage,
  type StatusDetail,
} from './status.ts';
export { formatTimeout, parseTimeoutMs } from './timeout.ts';
