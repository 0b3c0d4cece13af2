/** For vitest's globalSetup: processes that tests start run the bundle, as those of users do; it is made anew where sources have changed. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');

export async function setup(): Promise<void> {
  if ((await entryOf(root)).endsWith('.ts'))
    execFileSync(process.execPath, [join(root, 'scripts/build.ts')], { cwd: root });
}

/** What a start runs of the package or checkout in that folder. */
export async function entryOf(folder: string): Promise<string> {
  // Written in JavaScript, since it runs on any Node.
  const launcher = (await import(join(root, 'bin/entry.js'))) as { entryOf(folder: string): string };
  return launcher.entryOf(folder);
}
