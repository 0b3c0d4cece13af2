import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createSystemClock } from '../std/index.ts';
import { noteKeyOf } from '../wire/tlog/index.ts';
import { copyLedger, createDirectoryReader, createLedger, verifyLedger } from './index.ts';
import { never, ORIGIN, realDeps, testDirectory, testSigner } from './testing/ledger-fixture.ts';
import { buildLog } from './testing/tamper.ts';
import { acts } from './testing/tamperings.ts';

// Goal: a folder whose tiles are files of their own, as the first format had them, is told to be of an older version, and left as it is.

let folder: ReturnType<typeof testDirectory>;
beforeEach(async () => {
  folder = testDirectory();
  await buildLog(folder.directory, 1, 10);
  await acts['an older version wrote it']?.(folder.directory);
  rmSync(join(folder.directory, 'tile'), { recursive: true });
  mkdirSync(join(folder.directory, 'tile/0/000.p'), { recursive: true });
  writeFileSync(join(folder.directory, 'tile/0/000.p/22'), Buffer.alloc(22 * 32, 1));
  writeFileSync(join(folder.directory, 'segments/0000000009.seg.new'), 'begun');
});
afterEach(() => folder.remove());

const contents = () =>
  readdirSync(folder.directory, { recursive: true, withFileTypes: true })
    .filter((name) => name.isFile() && name.name !== 'lock')
    .map(({ parentPath, name }) => [join(parentPath, name), readFileSync(join(parentPath, name)).toString('base64')]);
const older = {
  code: 'ERR_LEDGER_VERSION',
  message: 'the ledger was written by an older version: it has format 1, this version reads 2',
};

it('a writer does not start over it, and changes nothing', async () => {
  const before = contents();
  const ledger = createLedger(realDeps(folder.directory));
  await expect(ledger.start(never)).rejects.toMatchObject(older);
  await ledger.stop();
  expect(contents()).toEqual(before);
});

it('readers, verification and a copy say so', async () => {
  const reader = createDirectoryReader({ clock: createSystemClock(), directory: folder.directory });
  await expect(reader.show(1, never)).rejects.toMatchObject(older);
  const report = await verifyLedger(folder.directory, noteKeyOf(ORIGIN, testSigner().publicKey), { signal: never });
  expect(report.findings).toEqual([{ kind: 'other-version', broken: true, message: older.message }]);
  const copy = join(dirname(folder.directory), 'copy');
  await expect(copyLedger(folder.directory, copy, { signal: never })).rejects.toMatchObject({
    message: expect.stringContaining(older.message),
  });
  expect(existsSync(join(copy, 'checkpoint'))).toBe(false);
});
