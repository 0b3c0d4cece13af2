import type { Random } from '../../std/index.ts';
import { fixedWidthSerial } from '../../wire/x509/index.ts';

/**
 * Serial numbers, one after another. Chance is drawn for many at once, which costs the system as much as for one: serial numbers are
 * public as soon as they are used, so nothing is lost by having the next ones in memory.
 */
export function createSerials(random: Random): () => Buffer {
  let drawn: Buffer = Buffer.alloc(0);
  return () => {
    if (drawn.length === 0) drawn = random.bytes(SERIAL_BYTES * DRAWN_AT_ONCE);
    const serial = fixedWidthSerial(drawn.subarray(0, SERIAL_BYTES));
    drawn = drawn.subarray(SERIAL_BYTES);
    return serial;
  };
}

const SERIAL_BYTES = 16;
/** A kibibyte: the call into the system is then a fiftieth of a signature. */
const DRAWN_AT_ONCE = 64;
