/** Before `npm pack`: a fresh bundle and its manual page. Whoever installs the package gets no sources and no tools. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commands } from '../src/cli/commands.generated.ts';
import { manualPage } from './manual-page.ts';

const dist = join(import.meta.dirname, '../dist');
rmSync(dist, { recursive: true, force: true });
await import('./build.ts');
writeFileSync(join(dist, 'countersign.1'), manualPage(commands));
