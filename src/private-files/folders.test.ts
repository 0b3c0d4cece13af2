import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeFolders, openPrivateFolder, openSharedFolder, openSocketFolder } from './folders.ts';

const unsafe = 'ERR_PRIVATE_FILE_UNSAFE';
const root = process.getuid?.() === 0;
const refused = expect.objectContaining({ code: unsafe });
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'private-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

// Goal: what operators tell the server goes to no socket that somebody else put there.
describe('the folder of the socket of operators', () => {
  it('is made for its owner alone', () => {
    openSocketFolder(join(folder, 'run/server.sock'));
    expect(statSync(join(folder, 'run')).mode & 0o777).toBe(0o700);
  });

  it('may be looked into by others, and lie in a sticky folder', () => {
    mkdirSync(join(folder, 'run'), { mode: 0o755 });
    openSocketFolder(join(folder, 'run/server.sock'));
    chmodSync(folder, 0o1777);
    openSocketFolder(join(folder, 'run/server.sock'));
  });

  it('is refused where others may write, itself or a folder above it', () => {
    chmodSync(folder, 0o1777);
    expect(() => openSocketFolder(join(folder, 'server.sock'))).toThrow(refused);
    mkdirSync(join(folder, 'run'));
    chmodSync(folder, 0o777);
    expect(() => openSocketFolder(join(folder, 'run/server.sock'))).toThrow(refused);
  });

  it('is refused where a link leads to such a folder', () => {
    mkdirSync(join(folder, 'open'));
    chmodSync(join(folder, 'open'), 0o777);
    symlinkSync('open', join(folder, 'link'));
    expect(() => openSocketFolder(join(folder, 'link/server.sock'))).toThrow(refused);
  });

  it.runIf(root)('is refused when it, or a link on the way to it, belongs to another user', () => {
    mkdirSync(join(folder, 'run'));
    symlinkSync('run', join(folder, 'link'));
    openSocketFolder(join(folder, 'link/server.sock'));
    lchownSync(join(folder, 'link'), 65_534, 65_534);
    expect(() => openSocketFolder(join(folder, 'link/server.sock'))).toThrow(refused);
    chownSync(join(folder, 'run'), 65_534, 65_534);
    expect(() => openSocketFolder(join(folder, 'run/server.sock'))).toThrow(refused);
  });
});

describe.each([
  ['a private folder', openPrivateFolder, 0o700, 0o750],
  ['a shared folder', openSharedFolder, 0o755, 0o775],
] as const)('%s', (_, open, mode, tooOpen) => {
  it('is made with its mode, and opened again', () => {
    const path = join(folder, 'a/b');
    open(path);
    expect(statSync(path).mode & 0o777).toBe(mode);
    open(path);
  });

  it('is refused when it is open to others, a link or a file', () => {
    const path = join(folder, 'a');
    open(path);
    chmodSync(path, tooOpen);
    expect(() => open(path)).toThrow(refused);
    chmodSync(path, mode);
    symlinkSync('a', join(folder, 'link'));
    expect(() => open(join(folder, 'link'))).toThrow(refused);
    writeFileSync(join(folder, 'file'), '');
    expect(() => open(join(folder, 'file'))).toThrow(expect.objectContaining({ code: 'ERR_PRIVATE_FILE_IO' }));
  });

  it('is refused, and not tried for ever, where nothing can be made', () => {
    const io = expect.objectContaining({ code: 'ERR_PRIVATE_FILE_IO' });
    writeFileSync(join(folder, 'file'), '');
    for (const path of ['/proc/none/below', join(folder, 'file'), join(folder, 'file/below')])
      expect(() => open(path)).toThrow(io);
  });

  it.runIf(root)('is refused when it belongs to another user', () => {
    open(join(folder, 'a'));
    chownSync(join(folder, 'a'), 65_534, 65_534);
    expect(() => open(join(folder, 'a'))).toThrow(refused);
  });
});

describe('folders that are made', () => {
  it('are those that are missing, and the topmost of them is told', () => {
    expect(makeFolders(join(folder, 'a/b/c'), 0o700)).toBe(join(folder, 'a'));
    expect(makeFolders(join(folder, 'a/b/c'), 0o700)).toBeUndefined();
    expect(makeFolders(join(folder, 'a/b/d/'), 0o700)).toBe(join(folder, 'a/b/d'));
    expect(makeFolders('/', 0o700)).toBeUndefined();
    expect(statSync(join(folder, 'a/b')).mode & 0o777).toBe(0o700);
  });

  it('may lie behind a link', () => {
    mkdirSync(join(folder, 'real'));
    symlinkSync('real', join(folder, 'link'));
    expect(makeFolders(join(folder, 'link/a'), 0o700)).toBe(join(folder, 'link/a'));
    expect(statSync(join(folder, 'real/a')).isDirectory()).toBe(true);
  });
});
