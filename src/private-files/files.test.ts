import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
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
import { readOrCreatePrivateFile } from './create-once.ts';
import { readGivenFile, readPrivateFile, removePrivateFile, removeUnfinished, writePrivateFile } from './files.ts';
import { readGivenSecret } from './given-secret.ts';

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

  it('may be reached by a link, as mounted secrets are, and may be without a right to write', async () => {
    chmodSync(path, 0o400);
    symlinkSync('a', join(folder, 'link'));
    expect(String(await readGivenFile(join(folder, 'link'), { bytesMax }))).toBe('x');
  });

  it('is shared with its group where that is said, and never with all', async () => {
    chmodSync(path, 0o640);
    await expect(readGivenFile(path, { bytesMax })).rejects.toMatchObject(unsafe);
    expect(String(await readGivenFile(path, { bytesMax, groupMayRead: true }))).toBe('x');
    chmodSync(path, 0o644);
    await expect(readGivenFile(path, { bytesMax, groupMayRead: true })).rejects.toMatchObject(unsafe);
  });

  it.runIf(root)('is refused when it is another user’s, who could change it', async () => {
    chownSync(path, 65_534, 65_534);
    await expect(readGivenFile(path, { bytesMax })).rejects.toMatchObject(unsafe);
  });

  it('is refused when it is too large or no file, and undefined when there is none', async () => {
    writeFileSync(path, Buffer.alloc(bytesMax + 1));
    await expect(readGivenFile(path, { bytesMax })).rejects.toMatchObject({ code: 'ERR_PRIVATE_FILE_SIZE' });
    await expect(readGivenFile(folder, { bytesMax })).rejects.toMatchObject(unsafe);
    expect(await readGivenFile(join(folder, 'none'), { bytesMax })).toBeUndefined();
    await expect(readGivenFile(join(path, 'below'), { bytesMax })).rejects.toMatchObject({
      code: 'ERR_PRIVATE_FILE_IO',
    });
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
