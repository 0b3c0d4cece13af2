import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { StatusSchema } from '@countersign/sdk/contract/gen/google/rpc/status_pb.ts';
import type { StatusCode } from './code.ts';
import { GrpcWireError } from './errors.ts';

/** One packed detail of a status: the full name of the message type and its bytes. */
export interface StatusDetail {
  readonly typeName: string;
  readonly value: Uint8Array;
}

/** The text of a `grpc-message` header: UTF-8, everything but printable ASCII percent-coded, cut at 2,048 bytes of text. */
export function encodeStatusMessage(message: string): string {
  let text = '';
  for (const byte of cutUtf8(Buffer.from(message, 'utf8'), MESSAGE_BYTES_MAX)) {
    text +=
      byte >= 0x20 && byte <= 0x7e && byte !== PERCENT
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}

/** Reads a `grpc-message` header. Never fails: what is no percent code stands for itself, as the specification asks. */
export function decodeStatusMessage(text: string): string {
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const hex = text[i] === '%' ? text.slice(i + 1, i + 3) : '';
    if (/^[0-9A-Fa-f]{2}$/.test(hex)) {
      bytes.push(Number.parseInt(hex, 16));
      i += 2;
    } else {
      bytes.push(text.charCodeAt(i) & 0xff);
    }
  }
  return Buffer.from(bytes).toString('utf8');
}

/** The value of a `grpc-status-details-bin` trailer: a google.rpc.Status in base64 without padding. */
export function encodeStatusDetails(code: StatusCode, message: string, details: readonly StatusDetail[]): string {
  const status = create(StatusSchema, {
    code,
    message: cutUtf8(Buffer.from(message, 'utf8'), MESSAGE_BYTES_MAX).toString('utf8'),
    details: details.map(({ typeName, value }) => ({ typeUrl: `${TYPE_URL_PREFIX}${typeName}`, value })),
  });
  return encodeBase64(toBinary(StatusSchema, status));
}

/**
 * The details in a `grpc-status-details-bin` trailer, which must speak of the same `code` as `grpc-status` did.
 * @throws GrpcWireError ERR_GRPC_STATUS
 */
export function decodeStatusDetails(code: StatusCode, text: string): StatusDetail[] {
  if (text.length > DETAILS_TEXT_MAX) {
    throw new GrpcWireError(
      'ERR_GRPC_STATUS',
      `status details have ${text.length} characters, at most ${DETAILS_TEXT_MAX}`,
    );
  }
  const bytes = decodeBase64(text);
  if (bytes === undefined) throw new GrpcWireError('ERR_GRPC_STATUS', 'status details are not base64');
  const status = parseStatus(bytes);
  if (status.code !== code) {
    throw new GrpcWireError('ERR_GRPC_STATUS', `status details speak of code ${status.code}, the status of ${code}`);
  }
  return status.details.map(({ typeUrl, value }) => ({ typeName: typeUrl.slice(typeUrl.lastIndexOf('/') + 1), value }));
}

/** Standard base64 without padding, as metadata is written. */
export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replace(/=+$/, '');
}

/** Standard base64, padded or not; undefined for anything else. */
export function decodeBase64(text: string): Buffer | undefined {
  const bare = text.length % 4 === 0 ? text.replace(/={1,2}$/, '') : text;
  if (!/^[A-Za-z0-9+/]*$/.test(bare) || bare.length % 4 === 1) return undefined;
  return Buffer.from(bare, 'base64');
}

function parseStatus(bytes: Buffer) {
  try {
    return fromBinary(StatusSchema, bytes);
  } catch (cause) {
    throw new GrpcWireError('ERR_GRPC_STATUS', 'status details are no google.rpc.Status', { cause });
  }
}

/** Cuts at a character boundary. */
function cutUtf8(bytes: Buffer, bytesMax: number): Buffer {
  if (bytes.length <= bytesMax) return bytes;
  let end = bytesMax;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

const PERCENT = 0x25;
const TYPE_URL_PREFIX = 'type.googleapis.com/';
/** Clients refuse a header block over 8 KiB by default (Java); the message travels twice, once percent-coded. */
const MESSAGE_BYTES_MAX = 2048;
/** As large as a header block can be with our own limit. */
const DETAILS_TEXT_MAX = 65_536;
