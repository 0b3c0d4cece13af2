import fc from 'fast-check';
import { describe, it } from 'vitest';
import * as canonicalJson from './canonical-json.fuzz.ts';
import * as checkpoint from './checkpoint.fuzz.ts';
import * as frame from './frame.fuzz.ts';

describe.each([
  ['canonical JSON', canonicalJson],
  ['notes, checkpoints, proofs', checkpoint],
  ['frames', frame],
])('the fuzz target of %s', (_, target) => {
  it('holds for its seeds', () => {
    for (const seed of target.seeds) target.fuzz(seed);
  });

  it('holds for seeds with bytes changed, cut or doubled, and for noise', () => {
    const changed = fc
      .tuple(fc.constantFrom(...target.seeds), fc.nat(), fc.nat(255), fc.nat())
      .map(([seed, at, value, cut]) => {
        const bytes = Buffer.concat([seed, seed]).subarray(0, 1 + (cut % (2 * seed.length)));
        bytes.writeUInt8(value, at % bytes.length);
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: 200 })), (bytes) => target.fuzz(bytes)),
      { numRuns: 3000 },
    );
  });
});
