/**
 * `node scripts/canaries.ts [FILE_OR_FOLDER…]`: the secrets that the tests of a run made up must be nowhere when it is over. Looks for all
 * values of the registry that `CANARY_REGISTRY` names in the checkout (ignored files too), in what our programs left in the temporary
 * folder, and in what is named, such as the run's logs. Ends with 1 when one is found, and when there is no value to look for.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { parseArgs } from 'node:util';
import { lookAtDumps, lookBelow } from '../test/support/canaries/places.ts';
import { createWatch, describeLeaks, readRegistry } from '../test/support/canaries/watch.ts';

/** Installed packages and git's compressed objects: nothing of a run is written there in clear. */
const LEFT_OUT = ['node_modules', '.git'];
/** How the names of what we make in the temporary folder begin. */
const OURS = /^(?:cs-|countersign|crashes-|canar)/;

const { values, positionals } = parseArgs({
  options: {
    checkout: { type: 'string', default: path.join(import.meta.dirname, '..') },
    temporary: { type: 'string', default: os.tmpdir() },
  },
  allowPositionals: true,
});
process.exitCode = main();

function main(): number {
  const registry = process.env['CANARY_REGISTRY'];
  if (registry === undefined) return refuse('CANARY_REGISTRY names no file');
  if (!fs.existsSync(registry)) return refuse(`${registry} does not exist: no test registered a value`);
  const canaries = readRegistry(registry);
  if (canaries.length === 0) return refuse(`${registry} is empty: no test registered a value`);
  const watch = createWatch({ traces: false });
  for (const canary of canaries) watch.add(canary);
  const skip = (file: string) => file === path.resolve(registry) || LEFT_OUT.includes(path.basename(file));
  const look = (place: string) => {
    if (fs.lstatSync(place).isDirectory()) lookBelow(watch, place, skip);
    else if (!skip(place)) watch.lookFile(place);
  };
  look(values.checkout);
  for (const place of positionals) look(path.resolve(place));
  for (const name of fs.readdirSync(values.temporary)) if (OURS.test(name)) look(path.join(values.temporary, name));
  for (const folder of ['/', values.temporary]) lookAtDumps(watch, folder);
  const { values: count, places, leaks } = watch.report();
  if (leaks.length > 0) process.stdout.write(`${describeLeaks(leaks)}\n`);
  process.stdout.write(`canaries: ${count} values, ${places} places, ${leaks.length} leaks\n`);
  return leaks.length > 0 ? 1 : 0;
}

function refuse(why: string): number {
  process.stdout.write(`canaries: ${why}\n`);
  return 1;
}
