import {
  encodeAuthenticationOk,
  encodeBackendKeyData,
  encodeParameterStatus,
  encodeReadyForQuery,
} from '../../../../wire/postgres/index.ts';

/** What a server that asks for no password answers a start-up with, until it is ready. */
export const greeting = Buffer.concat([
  encodeAuthenticationOk(),
  encodeParameterStatus('client_encoding', 'UTF8'),
  encodeParameterStatus('standard_conforming_strings', 'on'),
  encodeBackendKeyData(1, Buffer.alloc(4, 1)),
  encodeReadyForQuery('I'),
]);
