/**
 * `npm run build`, and at the end of `npm ci`: bundles what `bin/countersign.js` runs into `dist`, which starts in a third of the time that
 * the sources take, and the console where it has changed. Nothing depends on it: a start runs the sources whenever the bundle is not there or is older (bin/entry.js).
 */
import { mkdirSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { buildConsole } from './build-console.ts';

const root = join(import.meta.dirname, '..');
const out = join(root, 'dist');
const stamp = join(out, 'built');

/** A process that is running may still load parts of the bundle that it was started from. */
const KEPT_MS = 86_400_000;

/** Metrics are never pushed, and what would push them loads an HTTP client with each start of a role: a tenth of it. */
const withoutPushgateway = {
  name: 'without-pushgateway',
  load: (id: string) => (id.endsWith('/prom-client/lib/pushgateway.js') ? 'module.exports = undefined;' : null),
};

await build();
if ((await buildConsole(root)) === 'absent') process.stdout.write('build: no bundler of the console here\n');

async function build(): Promise<void> {
  const bundler = await import('rolldown').catch(() => undefined);
  if (bundler === undefined) return void process.stdout.write('build: no bundler here; the sources are run\n');
  const began = new Date();
  mkdirSync(out, { recursive: true });
  rmSync(stamp, { force: true });
  const inputs = ['src/cli/main.ts', ...workers()];
  const bundle = await bundler.rolldown({
    input: Object.fromEntries(inputs.map((path) => [basename(path, '.ts'), join(root, path)])),
    platform: 'node',
    // What is native or wasm, or loads parts of itself by name, stays a package.
    external: [/^(?:koffi|libpg-query|pg|pino)(?:\/|$)/, /^@cedar-policy\//],
    plugins: [withoutPushgateway],
  });
  await bundle.write({ dir: out, format: 'esm', keepNames: true });
  for (const name of readdirSync(out).filter((one) => one !== 'console' && one !== 'console.digest'))
    if (began.getTime() - statSync(join(out, name)).mtimeMs > KEPT_MS) rmSync(join(out, name), { recursive: true });
  writeFileSync(stamp, '');
  utimesSync(stamp, began, began);
}

/** Threads are started by the name of their file, which lies beside the bundle. */
function workers(): string[] {
  return readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('-worker.ts') && !path.includes('/testing/'))
    .map((path) => join('src', path));
}
