/**
 * `npm run fuzz -- [--target PART] [--executions N] [--seed TEXT]`: runs the fuzz targets whose path holds PART, N executions each, and
 * prints the input (hex) that broke one. Ends with 1 when any broke.
 */
import { parseArgs } from 'node:util';
import { createSeededRandom } from '../src/std/index.ts';
import { mutate } from '../test/fuzz/mutate.ts';
import { loadTargets } from '../test/fuzz/targets.ts';

const { values } = parseArgs({
  options: {
    target: { type: 'string', default: '' },
    executions: { type: 'string', default: '100000' },
    seed: { type: 'string', default: 'fuzz' },
  },
});
for (const { name, seeds, fuzz } of await loadTargets()) {
  if (!name.includes(values.target)) continue;
  const random = createSeededRandom(`${values.seed}:${name}`);
  const startedMs = performance.now();
  let broken = 0;
  for (let run = 0; run < Number(values.executions) && broken < 5; run++) {
    const input = mutate(seeds, random);
    try {
      fuzz(input);
    } catch (error) {
      broken++;
      process.stdout.write(
        `${name}: run ${run}: ${error instanceof Error ? error.stack : String(error)}\n  input ${input.toString('hex')}\n`,
      );
    }
  }
  process.stdout.write(
    `${name}: ${values.executions} executions in ${Math.round(performance.now() - startedMs)} ms, ${broken} broken\n`,
  );
  if (broken > 0) process.exitCode = 1;
}
