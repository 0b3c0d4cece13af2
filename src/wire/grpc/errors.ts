import { CodedError, type ErrorEntry, type ErrorTable } from '../../std/index.ts';

/** Why bytes or headers are not gRPC. */
export const errorTable = {
  ERR_GRPC_FRAME_SIZE: {
    status: 413,
    exit: 'unavailable',
    meaning: 'A gRPC message is larger than the receiver allows.',
    remedy: 'Send less in one message or raise the limit.',
  },
  ERR_GRPC_FRAME_COMPRESSED: {
    status: 400,
    exit: 'unavailable',
    meaning: 'A gRPC message is compressed; no compression was offered.',
    remedy: 'Turn compression off in the client.',
  },
  ERR_GRPC_FRAME_TRUNCATED: {
    status: 400,
    exit: 'unavailable',
    meaning: 'A gRPC stream ended within a message.',
    remedy: 'The peer or something between broke the stream; try again.',
  },
  ERR_GRPC_TIMEOUT: {
    status: 400,
    exit: 'unavailable',
    meaning: 'The grpc-timeout header is malformed.',
    remedy: 'Send 1 to 8 digits and one unit of H, M, S, m, u, n.',
  },
  ERR_GRPC_METADATA: {
    status: 400,
    exit: 'unavailable',
    meaning: 'A metadata name or value holds characters that gRPC does not allow.',
    remedy: 'Use names of a-z, 0-9, dot, dash, underscore and printable ASCII values; base64 for names ending in -bin.',
  },
  ERR_GRPC_STATUS: {
    status: 400,
    exit: 'unavailable',
    meaning: 'The grpc-status-details-bin trailer is malformed.',
    remedy: 'The peer is at fault; report it.',
  },
} as const satisfies ErrorTable;

/** Bytes or headers that are not gRPC. */
export class GrpcWireError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
