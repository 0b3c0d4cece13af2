import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSeededRandom } from '../std/index.ts';
import { createSealer } from '../wire/seal/index.ts';
import { openSealKey } from './seal-key.ts';
import { readSealed, writeSealed } from './sealed-json.ts';

const random = createSeededRandom('files');
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'agent-files-'));
});
afterEach(() => {
  delete process.env['AGENT_TEST_PASSPHRASE'];
  rmSync(folder, { recursive: true, force: true });
});

describe('the sealing key', () => {
  it('is made once, mode 0600, and found again', async () => {
    const first = await openSealKey({ dataDir: folder, passphraseRef: undefined, random, mayMake: true });
    const again = await openSealKey({ dataDir: folder, passphraseRef: undefined, random, mayMake: true });
    expect(again.reveal().equals(first.reveal())).toBe(true);
    expect(statSync(join(folder, 'seal.key')).mode & 0o777).toBe(0o600);
  });

  it('is not made where there must be one', async () => {
    const options = { dataDir: folder, passphraseRef: undefined, random, mayMake: false };
    await expect(openSealKey(options)).rejects.toMatchObject({ code: 'ERR_AGENT_STATE' });
    expect(readdirSync(folder)).toEqual([]);
  });

  it('lies on disk only wrapped when there is a passphrase, and opens with no other', async () => {
    process.env['AGENT_TEST_PASSPHRASE'] = 'correct horse';
    const options = { dataDir: folder, passphraseRef: 'env:AGENT_TEST_PASSPHRASE', random, mayMake: true };
    const first = await openSealKey(options);
    expect(readdirSync(folder)).toEqual(['seal.key.wrapped']);
    expect((await openSealKey(options)).reveal().equals(first.reveal())).toBe(true);
    process.env['AGENT_TEST_PASSPHRASE'] = 'wrong horse';
    await expect(openSealKey(options)).rejects.toMatchObject({ code: 'ERR_AGENT_STATE' });
  });

  it('reads a passphrase from a file without its last line end', async () => {
    writeFileSync(join(folder, 'pass'), 'correct horse\n', { mode: 0o600 });
    const first = await openSealKey({
      dataDir: folder,
      passphraseRef: `file:${join(folder, 'pass')}`,
      random,
      mayMake: true,
    });
    process.env['AGENT_TEST_PASSPHRASE'] = 'correct horse';
    const again = await openSealKey({
      dataDir: folder,
      passphraseRef: 'env:AGENT_TEST_PASSPHRASE',
      random,
      mayMake: true,
    });
    expect(again.reveal().equals(first.reveal())).toBe(true);
  });

  it('takes no passphrase from a file that everybody may read', async () => {
    const path = join(folder, 'pass');
    writeFileSync(path, 'correct horse');
    chmodSync(path, 0o644);
    const opening = openSealKey({ dataDir: folder, passphraseRef: `file:${path}`, random, mayMake: true });
    await expect(opening).rejects.toMatchObject({
      code: 'ERR_AGENT_CONFIG',
      message: expect.stringContaining('mode 0644'),
    });
    chmodSync(path, 0o640);
    await openSealKey({ dataDir: folder, passphraseRef: `file:${path}`, random, mayMake: true });
  });

  it.each([
    'env:AGENT_TEST_NOT_SET',
    'file:/none/such',
    'plain words',
  ])('refuses the reference %s', async (reference) => {
    const opening = openSealKey({ dataDir: folder, passphraseRef: reference, random, mayMake: true });
    await expect(opening).rejects.toMatchObject({ code: 'ERR_AGENT_CONFIG' });
  });

  it('seals a file so that another name, key or an edit does not open it', async () => {
    const sealer = createSealer(
      await openSealKey({ dataDir: folder, passphraseRef: undefined, random, mayMake: true }),
      random,
    );
    const path = join(folder, 'sealed');
    await writeSealed({ path, context: 'one', sealer, random, value: { a: 1 } });
    expect(await readSealed({ path, context: 'one', sealer })).toEqual({ a: 1 });
    await expect(readSealed({ path, context: 'two', sealer })).rejects.toMatchObject({ code: 'ERR_AGENT_STATE' });
  });

  it('and what it sealed are refused when others may read them', async () => {
    await openSealKey({ dataDir: folder, passphraseRef: undefined, random, mayMake: true });
    chmodSync(join(folder, 'seal.key'), 0o640);
    const again = openSealKey({ dataDir: folder, passphraseRef: undefined, random, mayMake: true });
    await expect(again).rejects.toMatchObject({ code: 'ERR_PRIVATE_FILE_UNSAFE' });
  });
});
