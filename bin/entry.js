// What a start runs: the bundle of `npm run build`, or the sources where the bundle is older than they are. Runs on any Node.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Written last by a build, with the time at which it began. */
const STAMP = 'dist/built';
/** What the bundle is made of. */
const MADE_OF = ['src', 'sdk/src', 'package-lock.json'];
/** What no bundle holds; every start looks at all others. */
const OF_TESTS = /\.(?:test|fuzz|bench)\.ts$|^(?:testing|testdata)$|\.md$/;

/** The file to run, of the package or checkout in this folder. */
export function entryOf(root) {
  const bundle = join(root, 'dist/main.js');
  const source = join(root, 'src/cli/main.ts');
  if (!existsSync(source)) return bundle;
  const stamp = statSync(join(root, STAMP), { throwIfNoEntry: false });
  return stamp !== undefined && newest(MADE_OF.map((path) => join(root, path))) < stamp.mtimeMs ? bundle : source;
}

/** The newest change among these files and folders, in ms; a folder changes when something in it comes, goes or is renamed. */
function newest(paths) {
  let ms = 0;
  for (const path of paths) {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined) continue;
    ms = Math.max(ms, found.mtimeMs);
    if (!found.isDirectory()) continue;
    const names = readdirSync(path).filter((name) => !OF_TESTS.test(name));
    ms = Math.max(ms, newest(names.map((name) => join(path, name))));
  }
  return ms;
}
