/**
 * The console, built by content: `dist/console` is made anew when something that it is made of has changed, and otherwise left as it is. Pages that a
 * server has in memory are not touched by that: it reads them once.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** What it is made of. */
const MADE_OF = ['console', 'sdk/src/browser', 'sdk/src/client', 'package-lock.json', 'scripts/build-console.ts'];
/** What is in no page. */
const LEFT_OUT = /\.test\.tsx?$|\.md$/;

/** Builds it below `dist` of that checkout. `absent`: what builds it is not installed here. */
export async function buildConsole(root: string): Promise<'built' | 'current' | 'absent'> {
  const out = join(root, 'dist/console');
  const stamp = join(root, 'dist/console.digest');
  const digest = digestOf(root);
  if (existsSync(join(out, 'index.html')) && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest)
    return 'current';
  const [vite, tailwind] = await Promise.all([import('vite'), import('@tailwindcss/vite')]).catch(() => []);
  if (vite === undefined || tailwind === undefined) return 'absent';
  // Beside it, by a name of its own: another build may be under way, and a server may be reading.
  const fresh = join(root, `dist/console.${process.pid}`);
  await asProduction(() =>
    vite.build({
      root: join(root, 'console'),
      base: '/console/',
      configFile: false,
      // Directives of a framework that renders at servers are no matter here, and each of hundreds would be told.
      logLevel: 'error',
      plugins: [tailwind.default()],
      build: {
        ...{ outDir: fresh, emptyOutDir: true, target: 'es2023', cssTarget: 'chrome123' },
        // Nothing stands in the page itself: its policy lets no script and no style in that is not a file.
        ...{ assetsInlineLimit: 0, modulePreload: { polyfill: false } },
      },
    }),
  );
  pack(fresh);
  const old = `${fresh}.old`;
  if (existsSync(out)) renameSync(out, old);
  renameSync(fresh, out);
  rmSync(old, { recursive: true, force: true });
  writeFileSync(stamp, digest);
  return 'built';
}

/** Vite and the framework go by NODE_ENV, which a test runner has set: what is built is the same, whoever asks for it. */
async function asProduction(build: () => Promise<unknown>): Promise<void> {
  const { NODE_ENV } = process.env;
  process.env['NODE_ENV'] = 'production';
  try {
    await build();
  } finally {
    if (NODE_ENV === undefined) delete process.env['NODE_ENV'];
    else process.env['NODE_ENV'] = NODE_ENV;
  }
}

/** Of all that it is made of: names and contents. */
function digestOf(root: string): string {
  const hash = createHash('sha256');
  const files = MADE_OF.flatMap((path) => {
    if (/\.\w+$/.test(path)) return [path];
    const found = readdirSync(join(root, path), { recursive: true, withFileTypes: true });
    return found
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath.slice(root.length + 1), entry.name));
  });
  for (const file of files.filter((name) => !LEFT_OUT.test(name)).toSorted()) {
    const bytes = readFileSync(join(root, file));
    hash.update(`${file}\n${bytes.length}\n`).update(bytes);
  }
  return hash.digest('hex');
}

/** A server sends what is compressed once. */
function pack(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!/\.(?:html|js|css|svg)$/.test(name)) continue;
    const bytes = readFileSync(join(folder, name));
    const packed = gzipSync(bytes, { level: 9 });
    if (packed.length < bytes.length) writeFileSync(join(folder, `${name}.gz`), packed);
  }
}
