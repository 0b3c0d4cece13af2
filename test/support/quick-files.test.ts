import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as path from 'node:path';
import { expect, it } from 'vitest';
import { eventually } from './eventually.ts';

const MODULE = path.join(import.meta.dirname, 'quick-files.ts');

/** The temporary folder of a run that ends in that way. */
function folderOfRun(end: string, env: Readonly<Record<string, string>> = {}): string {
  const script = `import { existsSync } from 'node:fs';
    import { setup } from ${JSON.stringify(MODULE)};
    const end = setup();
    const folder = process.env.TMPDIR ?? '';
    console.log(folder === '' || existsSync(folder) ? folder : 'not there');
    ${end}`;
  const { TMPDIR: _, ...own } = process.env;
  const options = { env: { ...own, ...env }, encoding: 'utf8' } as const;
  return spawnSync(process.execPath, ['--input-type=module', '-e', script], options).stdout.trim();
}

const hasRoom = folderOfRun('end();') !== '';

it('lie where TMPDIR says', () => {
  expect(folderOfRun('end();', { TMPDIR: import.meta.dirname })).toBe(import.meta.dirname);
  expect(existsSync(import.meta.dirname)).toBe(true);
});

it.runIf(hasRoom)('lie in memory, and are gone when the run is over', () => {
  const folder = folderOfRun('end();');
  expect(folder).toMatch(/^\/dev\/shm\/cs-tests-/);
  expect(existsSync(folder)).toBe(false);
});

it.runIf(hasRoom)('are gone soon after the run was killed', async () => {
  const folder = folderOfRun("process.kill(process.pid, 'SIGKILL');");
  expect(folder).toMatch(/^\/dev\/shm\/cs-tests-/);
  await eventually('the folder is gone', () => !existsSync(folder));
});
