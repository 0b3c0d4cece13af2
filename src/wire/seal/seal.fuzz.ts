import { createSeededRandom, Secret } from '../../std/index.ts';
import { SealError } from './errors.ts';
import { createSealer } from './sealer.ts';

const random = createSeededRandom('seal fuzz');
const sealer = createSealer(new Secret(random.bytes(32)), random);
const sealed = sealer.seal(Buffer.from('a small secret'), 'fuzz/context');

/** Opening must refuse everything but the one sealed value, and only with its own error. */
export function fuzz(input: Uint8Array): void {
  const bytes = Buffer.from(input);
  try {
    sealer.open(bytes, 'fuzz/context');
  } catch (error) {
    if (error instanceof SealError) return;
    throw error;
  }
  if (!bytes.equals(sealed)) throw new Error('bytes that were never sealed have opened');
}

export const seeds: readonly Uint8Array[] = [sealed, sealed.subarray(0, 40), Buffer.alloc(0)];
