/** Builds one message: type byte (none for start-up packets), length, parts. */
export function encodeMessage(type: string, ...parts: readonly (Buffer | string | number)[]): Buffer {
  const typeBytes = type.length;
  let bytes = 0;
  for (const part of parts) bytes += partBytes(part);
  const out = Buffer.allocUnsafe(typeBytes + 4 + bytes);
  if (typeBytes > 0) out.write(type, 0, 'latin1');
  out.writeInt32BE(4 + bytes, typeBytes);
  let offset = typeBytes + 4;
  for (const part of parts) {
    if (typeof part === 'number') {
      offset = out.writeInt32BE(part | 0, offset);
    } else if (typeof part === 'string') {
      offset += out.write(part, offset, 'utf8');
      out[offset++] = 0;
    } else {
      offset += part.copy(out, offset);
    }
  }
  return out;
}

/** A 16-bit integer as a part of {@link encodeMessage}, where numbers are 32-bit and texts end in NUL. */
export function int16(value: number): Buffer {
  return Buffer.from([(value >>> 8) & 0xff, value & 0xff]);
}

/** One byte as a part of {@link encodeMessage}. */
export function byte(value: number | string): Buffer {
  return Buffer.from(typeof value === 'string' ? [value.charCodeAt(0)] : [value]);
}

function partBytes(part: Buffer | string | number): number {
  if (typeof part === 'number') return 4;
  return typeof part === 'string' ? Buffer.byteLength(part, 'utf8') + 1 : part.length;
}
