import fc from 'fast-check';
import { test } from 'vitest';
import * as backend from './backend.fuzz.ts';
import * as frontend from './frontend.fuzz.ts';

// A short run of each fuzz target: the seeds, seeds with bytes changed, and plain noise.
test.each([
  ['frontend', frontend],
  ['backend', backend],
])('%s streams of any bytes throw nothing unexpected', (_, target) => {
  const edited = fc
    .tuple(fc.constantFrom(...target.seeds), fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 4 }))
    .map(([seed, edits]) => {
      const bytes = Uint8Array.from(seed);
      for (const [at, value] of edits) bytes[at % bytes.length] = value;
      return bytes;
    });
  for (const seed of target.seeds) target.fuzz(seed);
  fc.assert(
    fc.property(fc.oneof(edited, fc.uint8Array({ maxLength: 80 })), (bytes) => target.fuzz(bytes)),
    { numRuns: 2000 },
  );
});
