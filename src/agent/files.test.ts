import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSeededRandom } from '../std/index.ts';
import { createSealer } from '../wire/seal/index.ts';
import { openPrivateFolder, readPrivateFile, writeFileAtomic } from './files.ts';
import { openSealKey } from './seal-key.ts';
import { readSealed, writeSealed } from './sealed-json.ts';
import { clearSocketPath, prepareSocketFolder } from './socket-path.ts';

const random = createSeededRandom('files');
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'agent-files-'));
});
afterEach(() => {
  delete process.env['AGENT_TEST_PASSPHRASE'];
  rmSync(folder, { recursive: true, force: true });
});

describe('private files', () => {
  it('are written with mode 0600 whatever the umask, and leave nothing else behind', async () => {
    const path = join(folder, 'a');
    await writeFileAtomic(path, Buffer.from('one'), { mode: 0o600, random });
    await writeFileAtomic(path, Buffer.from('two'), { mode: 0o600, random });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(String(await readPrivateFile(path))).toBe('two');
    expect(readdirSync(folder)).toEqual(['a']);
  });

  it('are undefined when missing, and refused when others may read them or they are links', async () => {
    expect(await readPrivateFile(join(folder, 'none'))).toBeUndefined();
    const open = join(folder, 'open');
    writeFileSync(open, 'x');
    chmodSync(open, 0o640);
    await expect(readPrivateFile(open)).rejects.toMatchObject({ code: 'ERR_AGENT_STATE' });
    const own = join(folder, 'own');
    await writeFileAtomic(own, Buffer.from('x'), { mode: 0o600, random });
    symlinkSync(own, join(folder, 'link'));
    await expect(readPrivateFile(join(folder, 'link'))).rejects.toMatchObject({ code: 'ERR_AGENT_STATE' });
  });

  it('live in a folder of mode 0700 or in none', async () => {
    const made = join(folder, 'made');
    await openPrivateFolder(made);
    expect(statSync(made).mode & 0o777).toBe(0o700);
    chmodSync(made, 0o750);
    await expect(openPrivateFolder(made)).rejects.toMatchObject({ code: 'ERR_AGENT_STATE' });
  });
});

describe('the sealing key', () => {
  it('is made once, mode 0600, and found again', async () => {
    const first = await openSealKey({ dataDir: folder, passphraseRef: undefined, random });
    const again = await openSealKey({ dataDir: folder, passphraseRef: undefined, random });
    expect(again.reveal().equals(first.reveal())).toBe(true);
    expect(statSync(join(folder, 'seal.key')).mode & 0o777).toBe(0o600);
  });

  it('lies on disk only wrapped when there is a passphrase, and opens with no other', async () => {
    process.env['AGENT_TEST_PASSPHRASE'] = 'correct horse';
    const options = { dataDir: folder, passphraseRef: 'env:AGENT_TEST_PASSPHRASE', random };
    const first = await openSealKey(options);
    expect(readdirSync(folder)).toEqual(['seal.key.wrapped']);
    expect((await openSealKey(options)).reveal().equals(first.reveal())).toBe(true);
    process.env['AGENT_TEST_PASSPHRASE'] = 'wrong horse';
    await expect(openSealKey(options)).rejects.toMatchObject({ code: 'ERR_AGENT_STATE' });
  });

  it('reads a passphrase from a file without its last line end', async () => {
    writeFileSync(join(folder, 'pass'), 'correct horse\n');
    const first = await openSealKey({ dataDir: folder, passphraseRef: `file:${join(folder, 'pass')}`, random });
    process.env['AGENT_TEST_PASSPHRASE'] = 'correct horse';
    const again = await openSealKey({ dataDir: folder, passphraseRef: 'env:AGENT_TEST_PASSPHRASE', random });
    expect(again.reveal().equals(first.reveal())).toBe(true);
  });

  it.each([
    'env:AGENT_TEST_NOT_SET',
    'file:/none/such',
    'plain words',
  ])('refuses the reference %s', async (reference) => {
    const opening = openSealKey({ dataDir: folder, passphraseRef: reference, random });
    await expect(opening).rejects.toMatchObject({ code: 'ERR_AGENT_CONFIG' });
  });

  it('seals a file so that another name, key or an edit does not open it', async () => {
    const sealer = createSealer(await openSealKey({ dataDir: folder, passphraseRef: undefined, random }), random);
    const path = join(folder, 'sealed');
    await writeSealed({ path, context: 'one', sealer, random, value: { a: 1 } });
    expect(await readSealed({ path, context: 'one', sealer })).toEqual({ a: 1 });
    await expect(readSealed({ path, context: 'two', sealer })).rejects.toMatchObject({ code: 'ERR_AGENT_STATE' });
  });
});

describe('socket paths', () => {
  it('get a folder that everybody can pass and only we can write', async () => {
    const made = join(folder, 'a', 'b');
    await prepareSocketFolder(made);
    expect(statSync(made).mode & 0o777).toBe(0o755);
  });

  it('are refused in a folder that others may write, through a link, or with dots', async () => {
    const open = join(folder, 'open');
    mkdirSync(open);
    chmodSync(open, 0o777);
    await expect(prepareSocketFolder(open)).rejects.toMatchObject({ code: 'ERR_AGENT_SOCKET' });
    await expect(prepareSocketFolder(join(open, 'below'))).rejects.toMatchObject({ code: 'ERR_AGENT_SOCKET' });
    const fine = join(folder, 'fine');
    mkdirSync(fine);
    symlinkSync(fine, join(folder, 'link'));
    await expect(prepareSocketFolder(join(folder, 'link'))).rejects.toMatchObject({ code: 'ERR_AGENT_SOCKET' });
    await expect(prepareSocketFolder(`${fine}/../fine`)).rejects.toMatchObject({ code: 'ERR_AGENT_SOCKET' });
  });

  it('are cleared of a socket nobody listens on, and of nothing else', async () => {
    const path = join(folder, 's');
    await clearSocketPath(path);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    await expect(clearSocketPath(path)).rejects.toMatchObject({ code: 'ERR_AGENT_SOCKET' });
    await new Promise((resolve) => server.close(resolve));
    writeFileSync(path, 'not a socket');
    await expect(clearSocketPath(path)).rejects.toMatchObject({ code: 'ERR_AGENT_SOCKET' });
    await expect(clearSocketPath(`/${'x'.repeat(107)}`)).rejects.toMatchObject({ code: 'ERR_AGENT_SOCKET' });
  });
});
