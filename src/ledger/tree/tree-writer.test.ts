import { expect, test } from 'vitest';
import { codeOf } from '../../std/index.ts';
import { noteKeyOf } from '../../wire/tlog/index.ts';
import { createLedger, verifyLedger } from '../index.ts';
import { never, ORIGIN, operation, testDeps, testSigner } from '../testing/ledger-fixture.ts';
import { createMemoryDisk, systemError } from '../testing/memory-disk.ts';
import { createTreeWriter } from './tree-writer.ts';

// Goal: many tiles at once cost few open files, and one sync of many that fails costs a second attempt and nothing else.

const DIRECTORY = '/ledger';
const key = noteKeyOf(ORIGIN, testSigner().publicKey);

/** A log of 33 full tiles of entries, none of them hashed yet. */
async function startLong() {
  const disk = createMemoryDisk();
  const deps = { ...testDeps(DIRECTORY), files: disk };
  const ledger = createLedger({ ...deps, options: { segmentBytes: 4 * 1024 * 1024, checkpointEveryMs: 1000 } });
  await ledger.start(never);
  for (let i = 0; i < 33; i++) {
    ledger.appendAll(Array.from({ length: 128 }, (_, k) => operation(i * 128 + k)).flat());
  }
  await ledger.synced(ledger.sequence);
  return { disk, ledger, clock: deps.clock };
}

const fresh = (paths: readonly string[]) => paths.filter((path) => path.includes('/tile/') && path.endsWith('.new'));

test('tiles that fill together are synced together, a few at a time', async () => {
  const { disk, ledger } = await startLong();
  let openMax = 0;
  disk.faults.sync = () => {
    openMax = Math.max(openMax, fresh(disk.openFiles()).length);
  };
  await ledger.stop();
  expect(openMax).toBeGreaterThan(1);
  expect(openMax).toBeLessThanOrEqual(16);
  expect(disk.openFiles()).toEqual([]);
  expect(await verifyLedger(DIRECTORY, key, { files: disk, signal: never })).toMatchObject({ ok: true, findings: [] });
});

test.each([
  0, 7, 20, 32,
])('when the sync of tile %i of them fails, no file stays open and the next attempt writes all', async (failing) => {
  const { disk } = await startLong();
  const files = disk.nextProcess();
  const tree = createTreeWriter({ files, directory: DIRECTORY });
  await tree.open();
  let syncs = 0;
  files.faults.sync = () => {
    if (syncs++ === failing) throw systemError('EIO');
  };
  const size = 33 * 256;
  expect(await tree.advance(size).then(() => 'advanced', codeOf)).toBe('EIO');
  expect(fresh(files.openFiles())).toEqual([]);
  const head = await tree.advance(size);
  expect(head.size).toBe(size);
  const names = files.list(`${DIRECTORY}/tile/0`).filter((name) => !name.endsWith('.p'));
  expect(names).toEqual(Array.from({ length: 33 }, (_, i) => String(i).padStart(3, '0')));
  const whole = createTreeWriter({ files: files.nextProcess(), directory: DIRECTORY });
  await whole.open();
  expect((await whole.advance(size)).root).toEqual(head.root);
});
