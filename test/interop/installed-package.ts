/** What `npm pack` makes, installed alone as its user would. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { runTool } from './toolchain.ts';

/** Packs this checkout and installs the file with the prefix `folder`/prefix. */
export async function installPackage(npm: string, folder: string): Promise<void> {
  // Its bundle is made anew, and the one of this checkout is in use.
  const copy = path.join(folder, 'copy');
  for (const name of MADE_OF) fs.cpSync(path.join(ROOT, name), path.join(copy, name), { recursive: true });
  fs.symlinkSync(path.join(ROOT, 'node_modules'), path.join(copy, 'node_modules'));
  await runTool(npm, ['pack', copy, '--pack-destination', folder]);
  const [file = ''] = fs.readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  const prefix = ['--global', '--prefix', path.join(folder, 'prefix')];
  await runTool(npm, ['install', ...prefix, '--prefer-offline', path.join(folder, file)], { PATH: pathOfUsers() });
}

/** The PATH that a user of this machine has: without what npm puts before it for scripts, such as the Node of this checkout. */
export function pathOfUsers(): string {
  const places = (process.env['PATH'] ?? '').split(path.delimiter);
  return places.filter((place) => !place.split(path.sep).includes('node_modules')).join(path.delimiter);
}

const ROOT = path.join(import.meta.dirname, '../..');
/** What the package is made of. */
const MADE_OF = [
  ...[
    'bin',
    'src',
    'console',
    'sdk',
    'scripts',
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'README.md',
    'LICENSE',
  ],
];
