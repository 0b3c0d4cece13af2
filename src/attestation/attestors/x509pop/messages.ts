import { AttestationError } from '../../errors.ts';

/** The JSON object of a payload. @throws AttestationError ERR_ATTEST_PAYLOAD */
export function jsonObject(bytes: Buffer): Record<string, unknown> {
  if (bytes.length > MESSAGE_BYTES_MAX)
    throw new AttestationError(
      'ERR_ATTEST_PAYLOAD',
      `a message of this attestor has at most ${MESSAGE_BYTES_MAX} bytes`,
    );
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch (cause) {
    throw new AttestationError('ERR_ATTEST_PAYLOAD', 'the message is not JSON', { cause });
  }
  throw new AttestationError('ERR_ATTEST_PAYLOAD', 'the message is no JSON object');
}

/** Bytes in standard base64, padded. @throws AttestationError ERR_ATTEST_PAYLOAD */
export function fromBase64(value: unknown): Buffer {
  if (typeof value !== 'string')
    throw new AttestationError('ERR_ATTEST_PAYLOAD', 'a field that holds base64 is missing');
  const bytes = Buffer.from(value, 'base64');
  if (bytes.toString('base64') !== value) throw new AttestationError('ERR_ATTEST_PAYLOAD', 'a field is not base64');
  return bytes;
}

/** DER of an ECDSA signature whose numbers are big-endian bytes of any length up to that of P-521. @throws AttestationError ERR_ATTEST_PAYLOAD */
export function signatureFromInts(r: Buffer, s: Buffer): Buffer {
  const body = Buffer.concat([derInteger(r), derInteger(s)]);
  const length = body.length < 0x80 ? [body.length] : [0x81, body.length];
  return Buffer.concat([Buffer.from([0x30, ...length]), body]);
}

/** The two numbers of a signature in IEEE P1363 form, without leading zeros. */
export function signatureToInts(signature: Buffer): { r: Buffer; s: Buffer } {
  const half = signature.length / 2;
  return { r: withoutZeros(signature.subarray(0, half)), s: withoutZeros(signature.subarray(half)) };
}

function derInteger(bytes: Buffer): Buffer {
  const number = withoutZeros(bytes);
  if (number.length === 0 || number.length > 66)
    throw new AttestationError('ERR_ATTEST_PAYLOAD', 'a number of the signature is out of range');
  const positive = number.readUInt8(0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), number]) : number;
  return Buffer.concat([Buffer.from([0x02, positive.length]), positive]);
}

function withoutZeros(bytes: Buffer): Buffer {
  let start = 0;
  while (start < bytes.length && bytes.readUInt8(start) === 0) start++;
  return bytes.subarray(start);
}

/** Of each side. */
export const NONCE_BYTES = 32;
/** Five certificates of a few kilobytes each in base64, with room to spare. */
const MESSAGE_BYTES_MAX = 65_536;
