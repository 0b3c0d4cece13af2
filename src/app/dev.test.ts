import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSilentLog, createSystemClock, createSystemRandom } from '../std/index.ts';
import { createDevApp } from './dev.ts';

const root = process.getuid?.() === 0;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dev-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function start(directory: string): Promise<void> {
  const deps = { clock: createSystemClock(), random: createSystemRandom(), log: createSilentLog(), env: {} };
  return createDevApp({ ...deps, directory, trustDomain: 'example.org' }).start(AbortSignal.timeout(10_000));
}

// Goal: a folder that somebody else prepared, say below /tmp, can neither take our keys nor lead our writes elsewhere.
describe('a dev in a folder that is not its own alone', () => {
  const refused = { code: 'ERR_PRIVATE_FILE_UNSAFE' };

  it('does not start where others may write, and writes nothing', async () => {
    chmodSync(folder, 0o777);
    await expect(start(folder)).rejects.toMatchObject(refused);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('does not start behind a link', async () => {
    mkdirSync(join(folder, 'real'));
    symlinkSync('real', join(folder, 'link'));
    await expect(start(join(folder, 'link'))).rejects.toMatchObject(refused);
    expect(readdirSync(join(folder, 'real'))).toEqual([]);
  });

  it.runIf(root)('does not start in the folder of another user, or with such a folder inside', async () => {
    mkdirSync(join(folder, 'run'));
    chownSync(join(folder, 'run'), 65_534, 65_534);
    await expect(start(folder)).rejects.toMatchObject(refused);
    chownSync(folder, 65_534, 65_534);
    await expect(start(folder)).rejects.toMatchObject(refused);
    expect(readdirSync(folder)).toEqual(['run']);
  });

  it('does not start where others may look at its data', async () => {
    mkdirSync(join(folder, 'data'));
    chmodSync(join(folder, 'data'), 0o755);
    await expect(start(folder)).rejects.toMatchObject(refused);
    expect(readdirSync(join(folder, 'data'))).toEqual([]);
  });
});
