/**
 * `npm run foreign -- NAME [--mode all|mask|direct] [--only REGEX] [--slice N --seed S] [--source DIR] [--keep DIR [--again]] [--update]`: a foreign suite,
 * whole, directly and through the gateway. Prints a report as JSON and ends with 1 when more tests fail than `test/foreign/ratchet.json` says.
 */
import * as path from 'node:path';
import { parseArgs } from 'node:util';
import { MODES } from '../test/foreign/place.ts';
import { holdRatchet, updateRatchet } from '../test/foreign/ratchet.ts';
import { runSuite } from '../test/foreign/run-suite.ts';
import { SUITES } from '../test/foreign/suites.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    mode: { type: 'string', multiple: true },
    only: { type: 'string' },
    slice: { type: 'string' },
    seed: { type: 'string', default: '1' },
    source: { type: 'string' },
    keep: { type: 'string' },
    cache: { type: 'string', default: path.join(import.meta.dirname, '../.cache/foreign') },
    again: { type: 'boolean', default: false },
    update: { type: 'boolean', default: false },
  },
});
// Whoever interrupts it ends what it started, too.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(2));
const suite = SUITES.find(({ name }) => name === positionals[0]);
const modes = MODES.filter((mode) => values.mode?.includes(mode) ?? true).filter((mode) => mode !== 'direct');
if (suite === undefined) {
  process.stderr.write(`name one of: ${SUITES.map(({ name }) => name).join(', ')}\n`);
  process.exitCode = 2;
} else {
  const report = await runSuite(suite, {
    cache: path.resolve(values.cache),
    modes,
    ...(values.only === undefined ? {} : { only: new RegExp(values.only) }),
    ...(values.slice === undefined ? {} : { slice: { size: Number(values.slice), seed: Number(values.seed) } }),
    ...(values.source === undefined ? {} : { source: path.resolve(values.source) }),
    ...(values.keep === undefined ? {} : { keep: path.resolve(values.keep) }),
    again: values.again,
    say: (line) => process.stderr.write(`${line}\n`),
  });
  process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
  const isWhole = values.only === undefined && values.slice === undefined;
  if (values.update && isWhole) updateRatchet(report);
  const risen = isWhole ? holdRatchet(report) : [];
  for (const line of risen) process.stderr.write(`${line}\n`);
  process.exitCode = risen.length === 0 ? 0 : 1;
}
// A suite's own leftovers may hold handles open.
process.exit();
