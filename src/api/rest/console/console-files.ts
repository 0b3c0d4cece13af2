import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';

/** One file of the built console, as it is served. */
export interface ConsoleFile {
  readonly type: string;
  readonly bytes: Buffer;
  /** The same, compressed; undefined where that would not be less. */
  readonly gzip: Buffer | undefined;
}

/** All files of one build by their path below `/console/`, `index.html` among them. They are of one moment: a build beside it does not mix. */
export type ConsoleFiles = ReadonlyMap<string, ConsoleFile>;

/**
 * Reads what `scripts/build-console.ts` wrote. Undefined: it is not built. What has a name that no build writes is left out, so nothing else that
 * lies there is served.
 */
export async function readConsoleFiles(folder: string): Promise<ConsoleFiles | undefined> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const files = new Map<string, ConsoleFile>();
  let bytesLeft = ALL_BYTES_MAX;
  for (const name of names) {
    const type = TYPES.get(extname(name));
    if (type === undefined || !/^(?:assets\/)?[\w.-]+$/.test(name)) continue;
    const bytes = await readFile(join(folder, name));
    const gzip = await readFile(join(folder, `${name}.gz`)).catch(() => undefined);
    bytesLeft -= bytes.length;
    if (bytesLeft < 0) return undefined;
    files.set(name, { type, bytes, gzip });
  }
  return files.has('index.html') ? files : undefined;
}

const TYPES: ReadonlyMap<string, string> = new Map([
  ['.html', 'text/html; charset=utf-8'],
  ['.js', 'text/javascript; charset=utf-8'],
  ['.css', 'text/css; charset=utf-8'],
  ['.svg', 'image/svg+xml'],
  ['.woff2', 'font/woff2'],
]);
/** Many times what there is: a folder that holds more is no build of ours, and is not taken into memory. */
const ALL_BYTES_MAX = 32 * 1024 * 1024;
