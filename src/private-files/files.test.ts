import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSeededRandom } from '../std/index.ts';
import { checkMode } from './checks.ts';
import { readOrCreatePrivateFile } from './create-once.ts';
import { readPrivateFile, removePrivateFile, removeUnfinished, writePrivateFile } from './files.ts';
import { readGivenFile, readTrustedFile } from './given-file.ts';
import { readGivenSecret } from './given-secret.ts';
import { isReadOnlyMountIn, othersMayWrite } from './path-check.ts';

const root = process.getuid?.() === 0;
const bytesMax = 1000;
const random = createSeededRandom('files');
const unsafe = { code: 'ERR_PRIVATE_FILE_UNSAFE' };
let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'private-files-'));
  path = join(folder, 'a');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The two that read files of ours: one for a running role, one for its start. */
const readers: readonly (readonly [string, () => Promise<Buffer | undefined>])[] = [
  ['read', () => readPrivateFile(path, { bytesMax })],
  ['read or created', async () => readOrCreatePrivateFile(path, { bytesMax, random, make: () => Buffer.from('new') })],
];

describe('a file of ours', () => {
  it.each([0o777, 0o000])('is written with mode 0600 under umask %o, and nothing else is left', async (umask) => {
    const before = process.umask(umask);
    try {
      await writePrivateFile(path, Buffer.from('one'), random);
      await writePrivateFile(path, Buffer.from('two'), random);
      readOrCreatePrivateFile(join(folder, 'b'), { bytesMax, random, make: () => Buffer.from('b') });
    } finally {
      process.umask(before);
    }
    expect(readdirSync(folder)).toEqual(['a', 'b']);
    for (const name of ['a', 'b']) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    expect(String(await readPrivateFile(path, { bytesMax }))).toBe('two');
  });

  it('is whole when two write it at once', async () => {
    const contents = [Buffer.alloc(500_000, 'a'), Buffer.alloc(400_000, 'b')];
    await Promise.all(contents.map((bytes) => writePrivateFile(path, bytes, random)));
    expect(contents.some((bytes) => bytes.equals(readFileSync(path)))).toBe(true);
    expect(readdirSync(folder)).toEqual(['a']);
  });

  it('keeps what it held when it can not be written, and nothing is left beside it', async () => {
    mkdirSync(path);
    await expect(writePrivateFile(path, Buffer.from('x'), random)).rejects.toMatchObject({
      code: 'ERR_PRIVATE_FILE_IO',
    });
    expect(readdirSync(folder)).toEqual(['a']);
  });

  it('is removed for good, and that nothing is there is no failure', async () => {
    await writePrivateFile(path, Buffer.from('one'), random);
    await removePrivateFile(path);
    await removePrivateFile(path);
    await removePrivateFile(join(folder, 'none', 'a'));
    expect(readdirSync(folder)).toEqual([]);
    mkdirSync(path);
    await expect(removePrivateFile(path)).rejects.toMatchObject({ code: 'ERR_PRIVATE_FILE_IO' });
  });

  it.each(readers)('is %s up to its limit and no further', async (_, read) => {
    await writePrivateFile(path, Buffer.alloc(bytesMax), random);
    expect((await read())?.length).toBe(bytesMax);
    await writePrivateFile(path, Buffer.alloc(bytesMax + 1), random);
    await expect(read()).rejects.toMatchObject({ code: 'ERR_PRIVATE_FILE_SIZE' });
  });

  it.each(
    readers,
  )('is not %s when others may, when its mode is not one we give, or through a link', async (_, read) => {
    await writePrivateFile(path, Buffer.from('x'), random);
    for (const mode of [0o640, 0o604, 0o620, 0o700]) {
      chmodSync(path, mode);
      await expect(read()).rejects.toMatchObject(unsafe);
    }
    rmSync(path);
    writeFileSync(join(folder, 'own'), 'x', { mode: 0o600 });
    symlinkSync('own', path);
    await expect(read()).rejects.toMatchObject(unsafe);
  });

  it.each(readers)('is not %s from a pipe, which would hold it up, or a folder', async (_, read) => {
    expect(spawnSync('/bin/sh', ['-c', 'mkfifo -m 600 "$0"', path]).status).toBe(0);
    await expect(read()).rejects.toMatchObject(unsafe);
    rmSync(path);
    mkdirSync(path, { mode: 0o700 });
    await expect(read()).rejects.toMatchObject(unsafe);
  });

  it.runIf(root).each(readers)('is not %s when it is another user’s', async (_, read) => {
    await writePrivateFile(path, Buffer.from('x'), random);
    chownSync(path, 65_534, 65_534);
    await expect(read()).rejects.toMatchObject(unsafe);
  });

  it('is undefined when there is none', async () => {
    expect(await readPrivateFile(path, { bytesMax })).toBeUndefined();
  });
});

describe('a file that is made once', () => {
  it('keeps what the first one made', () => {
    const made = (text: string) => readOrCreatePrivateFile(path, { bytesMax, random, make: () => Buffer.from(text) });
    expect(String(made('one'))).toBe('one');
    expect(String(made('two'))).toBe('one');
    expect(readdirSync(folder)).toEqual(['a']);
  });

  it('is that of the other process when that one was first after all', () => {
    const make = () => {
      writeFileSync(path, 'theirs', { mode: 0o600 });
      return Buffer.from('ours');
    };
    expect(String(readOrCreatePrivateFile(path, { bytesMax, random, make }))).toBe('theirs');
    expect(readdirSync(folder)).toEqual(['a']);
  });

  it('is not made where there is no folder', () => {
    const options = { bytesMax, random, make: () => Buffer.from('x') };
    expect(() => readOrCreatePrivateFile(join(folder, 'none', 'a'), options)).toThrow(
      expect.objectContaining({ code: 'ERR_PRIVATE_FILE_IO' }),
    );
  });
});

describe('what a crash left half written', () => {
  it('is removed, and nothing else', async () => {
    await writePrivateFile(path, Buffer.from('x'), random);
    writeFileSync(`${path}.0011223344556677.unfinished`, 'half');
    await removeUnfinished(folder);
    expect(readdirSync(folder)).toEqual(['a']);
    await expect(removeUnfinished(join(folder, 'none'))).rejects.toMatchObject({ code: 'ERR_PRIVATE_FILE_IO' });
  });
});

describe('a file that an operator gave', () => {
  beforeEach(() => writeFileSync(path, 'x', { mode: 0o600 }));
  const refused = expect.objectContaining(unsafe);

  it('may be reached by a link, as mounted secrets are, and may be without a right to write', () => {
    chmodSync(path, 0o400);
    symlinkSync('a', join(folder, 'link'));
    expect(String(readGivenFile(join(folder, 'link'), { bytesMax }))).toBe('x');
  });

  it('is shared with its group where that is said, to read only, and never with all', () => {
    chmodSync(path, 0o640);
    expect(() => readGivenFile(path, { bytesMax })).toThrow(refused);
    expect(String(readGivenFile(path, { bytesMax, groupMayRead: true }))).toBe('x');
    for (const mode of [0o644, 0o660]) {
      chmodSync(path, mode);
      expect(() => readGivenFile(path, { bytesMax, groupMayRead: true })).toThrow(refused);
    }
  });

  it.runIf(root)('is refused when it is another user’s, who could change it', () => {
    chownSync(path, 65_534, 65_534);
    expect(() => readGivenFile(path, { bytesMax })).toThrow(refused);
  });

  it('is refused when it is too large or no file, and undefined when there is none', () => {
    writeFileSync(path, Buffer.alloc(bytesMax + 1));
    expect(() => readGivenFile(path, { bytesMax })).toThrow(expect.objectContaining({ code: 'ERR_PRIVATE_FILE_SIZE' }));
    expect(() => readGivenFile(folder, { bytesMax })).toThrow(refused);
    expect(readGivenFile(join(folder, 'none'), { bytesMax })).toBeUndefined();
    expect(() => readGivenFile(join(path, 'below'), { bytesMax })).toThrow(
      expect.objectContaining({ code: 'ERR_PRIVATE_FILE_IO' }),
    );
  });
});

// As systemd makes it for a service with User=: the access list's mask stands where the group's rights are.
describe.runIf(root)('a credential of systemd, 0440 root:root', () => {
  const credential = () => readGivenFile(path, { bytesMax, credentials: folder });
  beforeEach(() => {
    writeFileSync(path, 'x', { mode: 0o400 });
    chmodSync(path, 0o440);
    chmodSync(folder, 0o550);
  });

  it('is read in the folder of credentials, also over a link and as a secret', async () => {
    expect(String(credential())).toBe('x');
    const link = `${folder}-link`;
    symlinkSync(folder, link);
    expect(String(readGivenFile(join(link, 'a'), { bytesMax, credentials: folder }))).toBe('x');
    rmSync(link);
    const env = { CREDENTIALS_DIRECTORY: folder };
    expect((await readGivenSecret(`file:${path}`, { env, bytesMax }))?.revealText()).toBe('x');
  });

  it('is refused anywhere else', () => {
    mkdirSync(join(folder, 'other'), { mode: 0o500 });
    expect(() => readGivenFile(path, { bytesMax, credentials: join(folder, 'other') })).toThrow(
      expect.objectContaining(unsafe),
    );
    expect(() => readGivenFile(path, { bytesMax })).toThrow(expect.objectContaining(unsafe));
  });

  it.each([
    ['a group that is not root’s', () => chownSync(path, 0, 65_534)],
    ['another owner', () => chownSync(path, 65_534, 0)],
    ['a right for all', () => chmodSync(path, 0o444)],
    ['a right to write', () => chmodSync(path, 0o460)],
    ['a folder open to all', () => chmodSync(folder, 0o755)],
    ['a folder of another group', () => chownSync(folder, 0, 65_534)],
  ])('is refused with %s', (_, spoil) => {
    spoil();
    expect(credential).toThrow(expect.objectContaining(unsafe));
  });
});

// Goal: nobody but root and us decides what such a file says.
describe('a file that is trusted', () => {
  const read = (name = path) => readTrustedFile(name, { bytesMax });
  const refused = expect.objectContaining(unsafe);
  beforeEach(() => writeFileSync(path, 'x', { mode: 0o644 }));

  it('may be read by all, lie in a sticky folder, and be reached over links as a mounted ConfigMap is', () => {
    expect(String(read())).toBe('x');
    chmodSync(folder, 0o1777);
    expect(String(read())).toBe('x');
    mkdirSync(join(folder, '..2026'));
    writeFileSync(join(folder, '..2026', 'c'), 'mounted');
    symlinkSync('..2026', join(folder, '..data'));
    symlinkSync('..data/c', join(folder, 'c'));
    expect(String(read(join(folder, 'c')))).toBe('mounted');
    expect(read(join(folder, 'none'))).toBeUndefined();
  });

  it.each([0o664, 0o646])('is refused with mode %o, as others may write it', (mode) => {
    chmodSync(path, mode);
    expect(() => read()).toThrow(refused);
    expect(() => read()).toThrow(`${path} may be written by others; chmod go-w it`);
  });

  it.each([0o775, 0o757])('is refused in a folder of mode %o, or below one', (mode) => {
    mkdirSync(join(folder, 'below'));
    writeFileSync(join(folder, 'below', 'a'), 'x');
    chmodSync(folder, mode);
    expect(() => read()).toThrow(`${folder}, on the way to ${path}, may be written by others`);
    expect(() => read(join(folder, 'below', 'a'))).toThrow(refused);
  });

  it('is refused where a link on the way leads through such a folder', () => {
    mkdirSync(join(folder, 'open'));
    symlinkSync('../a', join(folder, 'open', 'middle'));
    symlinkSync('open/middle', join(folder, 'first'));
    expect(String(read(join(folder, 'first')))).toBe('x');
    chmodSync(join(folder, 'open'), 0o777);
    expect(() => read(join(folder, 'first'))).toThrow(refused);
  });

  it.runIf(root)('is refused when it, a folder or a link on the way belongs to another user', () => {
    symlinkSync('a', join(folder, 'link'));
    lchownSync(join(folder, 'link'), 65_534, 65_534);
    expect(() => read(join(folder, 'link'))).toThrow(refused);
    chownSync(path, 65_534, 65_534);
    expect(() => read()).toThrow(refused);
    chownSync(path, 0, 0);
    chownSync(folder, 65_534, 65_534);
    expect(() => read()).toThrow(refused);
  });

  it('is refused when it is no plain file, too large, or at the end of links without end', () => {
    expect(() => read(folder)).toThrow(refused);
    writeFileSync(path, Buffer.alloc(bytesMax + 1));
    expect(() => read()).toThrow(expect.objectContaining({ code: 'ERR_PRIVATE_FILE_SIZE' }));
    symlinkSync('round', join(folder, 'round'));
    expect(() => read(join(folder, 'round'))).toThrow(refused);
    expect(() => read(join(path, 'below'))).toThrow(expect.objectContaining({ code: 'ERR_PRIVATE_FILE_IO' }));
  });

  it.each(['/dev/stdin', '/dev/fd/0'])('is what was handed over when its name is %s', (name) => {
    const script = `import { readTrustedFile } from ${JSON.stringify(join(import.meta.dirname, 'given-file.ts'))};
      process.stdout.write(readTrustedFile(${JSON.stringify(name)}, { bytesMax: 3 }));`;
    const run = (input: string) => spawnSync(process.execPath, ['--input-type=module', '-e', script], { input });
    expect(String(run('abc').stdout)).toBe('abc');
    expect(String(run('abcd').stderr)).toContain('ERR_PRIVATE_FILE_SIZE');
  });
});

describe('a folder that all may write by its mode', () => {
  const mounts = [
    '22 1 8:1 / / ro,relatime shared:1 - ext4 /dev/sda1 rw',
    '30 22 8:1 /a /etc/config rw - ext4 /dev/sda1 rw',
    '31 22 8:1 /b /etc/config ro,relatime - ext4 /dev/sda1 rw',
    '32 22 8:1 /c /etc/with\\040blank ro - ext4 /dev/sda1 rw',
    '33 22 8:1 /d /srv rw - ext4 /dev/sda1 rw',
    '',
  ].join('\n');

  it.each([
    ['/etc/config', true],
    ['/etc/with blank', true],
    ['/etc', false], // Read-only for this process alone, as ProtectSystem=strict makes all of its view.
    ['/srv', false],
  ])('%s is good enough where a read-only file system is mounted, and only there: %s', (at, expected) => {
    expect(isReadOnlyMountIn(mounts, at)).toBe(expected);
  });
});

describe('a secret that an operator gave', () => {
  const read = (reference: string, env = {}) => readGivenSecret(reference, { env, bytesMax });

  it.each([
    ['one\n', 'one'],
    ['one\r\n', 'one'],
    ['one\n\n', 'one\n'],
    ['one\r', 'one\r'],
    [' one ', ' one '],
  ])('is %j without the newline of an editor', async (text, expected) => {
    writeFileSync(path, text, { mode: 0o600 });
    expect((await read(`file:${path}`))?.revealText()).toBe(expected);
    expect((await read('env:GIVEN', { GIVEN: text }))?.revealText()).toBe(expected);
  });

  it.each(['', '\n', '\r\n'])('is missing when it is %j', async (text) => {
    writeFileSync(path, text, { mode: 0o600 });
    expect(await read(`file:${path}`)).toBeUndefined();
    expect(await read('env:GIVEN', { GIVEN: text })).toBeUndefined();
  });

  it.each(['env:NOT_SET', 'env:', 'file:/none/such', 'plain', ':x', ''])('is missing by %j', async (reference) => {
    expect(await read(reference, { x: 'x', plain: 'x' })).toBeUndefined();
  });

  it('is refused in a file that others may read', async () => {
    writeFileSync(path, 'x', { mode: 0o600 });
    chmodSync(path, 0o640);
    await expect(read(`file:${path}`)).rejects.toMatchObject(unsafe);
  });
});

describe('who may write', () => {
  const alice = { uid: 1000, gid: 1000 };
  it.each([
    ['nobody but its owner', { mode: 0o755, uid: 1000, gid: 1000 }, alice, false],
    ['the group that came with the account', { mode: 0o775, uid: 1000, gid: 1000 }, alice, false],
    ['everybody', { mode: 0o777, uid: 1000, gid: 1000 }, alice, true],
    ['a group of several', { mode: 0o775, uid: 1000, gid: 50 }, alice, true],
    ['a group of several that the user acts with', { mode: 0o775, uid: 1000, gid: 1000 }, { uid: 1000, gid: 50 }, true],
    ['our group, what is root’s', { mode: 0o775, uid: 0, gid: 1000 }, alice, true],
    ['the group of root, who has no account of his own', { mode: 0o775, uid: 0, gid: 0 }, { uid: 0, gid: 0 }, true],
  ])('is read off the mode: %s', (_who, stat, self, others) => {
    expect(othersMayWrite(stat, self)).toBe(others);
  });
});

describe('what is told of a mode that is too open', () => {
  const file = (uid: number) => ({ mode: 0o100_644, uid, isFile: () => true });

  it('is to close it, where it is ours', () => {
    expect(() => checkMode('/etc/pw', file(1000), 0o600, 1000)).toThrow(
      '/etc/pw has mode 0644, allowed is 0600; chmod 600 it',
    );
  });

  it('is to give it to us first, where it is root’s: closed, it would be closed to us', () => {
    expect(() => checkMode('/etc/pw', file(0), 0o600, 1000)).toThrow(
      '/etc/pw has mode 0644, allowed is 0600; chown it to uid 1000, then chmod 600 it',
    );
  });
});
