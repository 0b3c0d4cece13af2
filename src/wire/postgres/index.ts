/**
 * The PostgreSQL wire protocol, 3.0 and 3.2: messages of both directions, framing, errors, row descriptions, masked rows, and the
 * client half of authentication.
 *
 * It promises strictness (a message that does not have exactly its shape is refused with a `PostgresWireError`, texts are UTF-8 unless told otherwise) and
 * that an untouched message is never copied. It must not know what a statement means, who may run it, or what a socket is.
 */
export { type Authentication, createAuthentication } from './authentication.ts';
export {
  type AuthenticationRequest,
  Backend,
  encodeAuthenticationOk,
  encodeBackendKeyData,
  encodeNegotiateVersion,
  encodeParameterStatus,
  encodeReadyForQuery,
  readAuthentication,
  readBackendKeyData,
  readCommandComplete,
  readDataRow,
  readNegotiateVersion,
  readParameterStatus,
  readReadyForQuery,
  type TransactionStatus,
  withoutPayload,
} from './backend.ts';
export {
  type EncodeText,
  type ErrorFields,
  type ErrorText,
  encodeError,
  encodeErrorFields,
  readErrorFields,
} from './error-fields.ts';
export { errorTable, PostgresWireError } from './errors.ts';
export { Framer, type FramerLimits } from './framer.ts';
export {
  type BindMessage,
  encodeCopyFail,
  encodeDescribe,
  encodeFlush,
  encodeParse,
  encodeQuery,
  encodeTerminate,
  Frontend,
  type MessageSpan,
  readBind,
  readEmpty,
  readExecute,
  readFunctionCall,
  readNamed,
  readParse,
  readQuery,
} from './frontend.ts';
export { type CellMask, cellGrowthMax, maskDataRow } from './mask-row.ts';
export { Outbox } from './outbox.ts';
export type { DecodeText } from './reader.ts';
export { encodeDataRow, encodeRowDescription, type RowField, readRowDescription } from './row-description.ts';
export {
  encodeCancelRequest,
  encodeSslRequest,
  encodeStartup,
  readStartupPacket,
  type StartupPacket,
} from './startup.ts';
