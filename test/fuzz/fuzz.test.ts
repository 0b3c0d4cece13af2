import { describe, expect, it } from 'vitest';
import { createSeededRandom } from '../../src/std/index.ts';
import { mutate } from './mutate.ts';
import { loadTargets } from './targets.ts';

// A fixed number of executions of every fuzz target, the same in each run. `npm run fuzz` goes on for longer with other seeds.

const targets = await loadTargets();
const EXECUTIONS = 3000;

describe.each(targets)('$name', ({ name, seeds, fuzz }) => {
  it('holds on its seeds', () => {
    for (const seed of seeds) expect(() => fuzz(seed)).not.toThrow();
  });

  it(`holds on ${EXECUTIONS} damaged inputs`, () => {
    const random = createSeededRandom(name);
    for (let run = 0; run < EXECUTIONS; run++) {
      const input = mutate(seeds, random);
      try {
        fuzz(input);
      } catch (error) {
        expect.fail(
          `run ${run}, input ${input.toString('hex').slice(0, 400)}: ${error instanceof Error ? error.stack : String(error)}`,
        );
      }
    }
  });
});
