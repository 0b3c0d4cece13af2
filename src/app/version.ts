import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The version of this package. */
export const VERSION: string = readVersion();

function readVersion(): string {
  for (const up of ['..', '../..']) {
    try {
      const manifest: { name?: string; version?: string } = JSON.parse(
        readFileSync(join(import.meta.dirname, up, 'package.json'), 'utf8'),
      );
      if (manifest.name === 'countersign' && manifest.version) return manifest.version;
    } catch {
      // The bundle lies one folder below the package, this source two.
    }
  }
  return '0.0.0';
}
