import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSeededRandom } from '../std/index.ts';
import { openCheckpointKeeper, openSealKey } from './role-keys.ts';

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'kept-'));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const keeper = () => {
  const random = createSeededRandom('kept');
  return openCheckpointKeeper({ dataDir, random, sealKey: openSealKey(dataDir, random) });
};
const file = () => join(dataDir, 'ledger.checkpoint');

describe('the checkpoint kept beside the signing key', () => {
  it('is none before the first, then the one that was kept last, after a restart too', async () => {
    expect(await keeper().read()).toBeUndefined();
    await keeper().write('first');
    await keeper().write('second');
    expect(await keeper().read()).toBe('second');
  });

  it('is closed to all others, and can neither be read nor made by who has the file alone', async () => {
    await keeper().write('countersign.example 42');
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    const sealed = readFileSync(file());
    expect(sealed.includes('countersign.example')).toBe(false);
    for (const at of [0, sealed.length >> 1, sealed.length - 1]) {
      const changed = Buffer.from(sealed);
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
      writeFileSync(file(), changed);
      await expect(keeper().read()).rejects.toMatchObject({ code: 'ERR_APP_KEY' });
    }
    writeFileSync(file(), '');
    await expect(keeper().read()).rejects.toMatchObject({ code: 'ERR_APP_KEY' });
  });
});
