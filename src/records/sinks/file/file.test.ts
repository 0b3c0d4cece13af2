import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import * as fsPromises from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { sinkItems } from '../../../../test/conformance/sink-items.ts';
import { createFileSink } from './file-sink.ts';

// Goal: a line is whole or not there, also after a crash, a full disk and whatever rotates the file; nobody else can read it.

const { signal } = new AbortController();
const TAKEN = { kind: 'taken' };
let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cs-file-sink-'));
  path = join(folder, 'events.jsonl');
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

const sinkOf = ({ bytesMax = 1_000_000_000, keep = 3 } = {}) => createFileSink({ path, bytesMax, keep });
const idsIn = (file: string): string[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line).metadata.uid);
const ids = (items: ReturnType<typeof sinkItems>) => items.map(({ id }) => id);

describe('the file', () => {
  it('is closed to others', async () => {
    const sink = sinkOf();
    await sink.send(sinkItems(1), { signal });
    await sink.close();
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('is neither a link nor a folder', async () => {
    symlinkSync('/dev/null', path);
    expect(await sinkOf().send(sinkItems(1), { signal })).toMatchObject({ kind: 'away' });
    rmSync(path);
    symlinkSync(join(folder, 'elsewhere'), path);
    expect(await sinkOf().send(sinkItems(1), { signal })).toMatchObject({ kind: 'away' });
    expect(existsSync(join(folder, 'elsewhere'))).toBe(false);
  });

  it('loses what a crash left of a line, however long, and nothing else', async () => {
    const items = sinkItems(4);
    const first = sinkOf();
    await first.send(items.slice(0, 2), { signal });
    await first.close();
    appendFileSync(path, `{"half": "${'x'.repeat(200_000)}`);
    const second = sinkOf();
    expect(await second.send(items.slice(2), { signal })).toEqual(TAKEN);
    await second.close();
    expect(idsIn(path)).toEqual(ids(items));
    writeFileSync(path, 'torn from its beginning on', { mode: 0o600 });
    const third = sinkOf();
    await third.send(items, { signal });
    await third.close();
    expect(idsIn(path)).toEqual(ids(items));
  });

  it('keeps nothing of a batch that had no room, and takes it whole when there is', async () => {
    const items = sinkItems(20);
    const sink = sinkOf();
    await sink.send(items.slice(0, 10), { signal });
    const handle = await fsPromises.open(path);
    // As a disk that is full has it: a part is written, then nothing more.
    const own: FileHandle = Object.getPrototypeOf(handle);
    await handle.close();
    const write = own.write;
    let calls = 0;
    const full = vi.spyOn(own, 'write').mockImplementation(async function (this: FileHandle, bytes: unknown) {
      calls += 1;
      if (calls > 1) throw Object.assign(new Error('no room'), { code: 'ENOSPC' });
      return Reflect.apply(write, this, [(bytes as Buffer).subarray(0, 100)]);
    } as never);
    expect(await sink.send(items.slice(10), { signal })).toEqual({
      kind: 'away',
      reason: `${path} can't be written (ENOSPC)`,
    });
    expect(idsIn(path)).toEqual(ids(items.slice(0, 10)));
    full.mockRestore();
    expect(await sink.send(items.slice(10), { signal })).toEqual(TAKEN);
    await sink.close();
    expect(idsIn(path)).toEqual(ids(items));
  });
});

describe('rotation', () => {
  it('keeps as many files as it should, in their order', async () => {
    const items = sinkItems(12);
    const sink = sinkOf({ bytesMax: 1, keep: 3 });
    for (let at = 0; at < 12; at += 2) await sink.send(items.slice(at, at + 2), { signal });
    await sink.close();
    expect([`${path}.3`, `${path}.2`, `${path}.1`, path].flatMap(idsIn)).toEqual(ids(items.slice(4)));
    expect(existsSync(`${path}.4`)).toBe(false);
  });

  it('by others is followed: a file that was moved away, and one that was copied and cut off', async () => {
    const items = sinkItems(6);
    const sink = sinkOf({ keep: 0 });
    await sink.send(items.slice(0, 2), { signal });
    renameSync(path, `${path}.1`);
    writeFileSync(path, '', { mode: 0o600 });
    await sink.send(items.slice(2, 4), { signal });
    expect([idsIn(`${path}.1`), idsIn(path)]).toEqual([ids(items.slice(0, 2)), ids(items.slice(2, 4))]);
    truncateSync(path, 0);
    await sink.send(items.slice(4), { signal });
    rmSync(path);
    await sink.send(items.slice(0, 1), { signal });
    await sink.close();
    expect(idsIn(path)).toEqual(ids(items.slice(0, 1)));
  });
});
