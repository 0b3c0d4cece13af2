import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { own } from '../../test/support/owned.ts';
import { codeOf } from '../std/index.ts';
import { noteKeyOf } from '../wire/tlog/index.ts';
import { createDirectoryReader, createLedger, type LedgerEntry, openSignerFile, verifyLedger } from './index.ts';
import {
  event,
  never,
  ORIGIN,
  operation,
  realDeps,
  testDeps,
  testDirectory,
  testSigner,
} from './testing/ledger-fixture.ts';

// Real processes, a real thread, a real full disk.

let folder: ReturnType<typeof testDirectory>;
beforeEach(() => {
  folder = testDirectory();
  return () => folder.remove();
});

const key = noteKeyOf(ORIGIN, testSigner().publicKey);
const all = async (entries: AsyncIterable<LedgerEntry>): Promise<LedgerEntry[]> => {
  const list: LedgerEntry[] = [];
  for await (const entry of entries) list.push(entry);
  return list;
};

describe('kill -9', () => {
  it.each([400, 3000])('loses no entry that append accepted (after %i)', async (lines) => {
    const script = fileURLToPath(new URL('./testing/append-forever.ts', import.meta.url));
    const child = own(spawn(process.execPath, [script, folder.directory], { stdio: ['ignore', 'pipe', 'inherit'] }));
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.split('\n').length > lines) child.kill('SIGKILL');
    });
    expect(await once(child, 'close')).toEqual([null, 'SIGKILL']);
    const accepted = output
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split(' '));
    const ledger = createLedger(realDeps(folder.directory));
    await ledger.start(never);
    const entries = await all(ledger.search({}, never));
    for (const [sequence, name] of accepted) expect(entries[Number(sequence)]?.operation).toBe(name);
    const intents = entries.filter((entry) => entry.kind === 'intent').map((entry) => entry.operation);
    const outcomes = entries.filter((entry) => entry.kind === 'outcome').map((entry) => entry.operation);
    expect(outcomes.sort()).toEqual(intents.sort());
    await ledger.stop();
    expect(await verifyLedger(folder.directory, key, { signal: never })).toMatchObject({
      ok: true,
      signedEntries: entries.length + 1,
    });
  });
});

describe('hashing in a thread', () => {
  const deps = () => ({
    ...realDeps(folder.directory),
    options: { hashing: 'thread', checkpointEveryMs: 20 } as const,
  });

  it('signs while entries come, and what it signs verifies', async () => {
    const ledger = createLedger(deps());
    await ledger.start(never);
    let signed: string | undefined;
    for (let i = 0; signed === undefined; i++) {
      await ledger.synced(ledger.appendAll(operation(i)));
      signed = await ledger.checkpoint();
    }
    await ledger.stop();
    const report = await verifyLedger(folder.directory, key, { signal: never, knownCheckpoints: [signed] });
    expect(report).toMatchObject({ ok: true, findings: [] });
    expect(report.checkpoints).toBeGreaterThan(1);
  });

  it('refuses to go on from entries that are not those signed', async () => {
    const ledger = createLedger(deps());
    await ledger.start(never);
    ledger.appendAll(operation(1));
    await ledger.stop();
    const { rewriteLog, forge } = await import('./testing/tamper.ts');
    rewriteLog(folder.directory, (payloads) => payloads.map((payload, i) => (i === 1 ? forge(payload) : payload)));
    const again = createLedger(deps());
    await expect(again.start(never)).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' });
    await again.stop();
  });
});

describe('a reader in another process', () => {
  it('follows what the writer adds, by the clock', async () => {
    const ledger = createLedger(realDeps(folder.directory));
    await ledger.start(never);
    ledger.append(event({ operation: 'first' }));
    const { clock } = testDeps(folder.directory);
    const reader = createDirectoryReader({ clock, directory: folder.directory });
    const entries = reader.tail({ count: 1, follow: true, signal: never })[Symbol.asyncIterator]();
    expect((await entries.next()).value?.operation).toBe('first');
    const second = entries.next();
    ledger.append(event({ operation: 'second' }));
    for (let turn = 0; clock.pending() === 0 && turn < 1000; turn++)
      await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(250);
    expect((await second).value?.operation).toBe('second');
    await entries.return?.(undefined);
    expect(clock.pending()).toBe(0);
    await ledger.stop();
    expect((await reader.prove(1, never)).format).toBe('countersign-ledger-proof/1');
    expect(await reader.proveConsistency(1, 4, never)).not.toHaveLength(0);
    await expect(reader.proveConsistency(1, 5, never)).rejects.toMatchObject({ code: 'ERR_LEDGER_NOT_FOUND' });
  });
});

describe('files on disk', () => {
  it('are for their owner alone', async () => {
    const ledger = createLedger(realDeps(folder.directory));
    await ledger.start(never);
    for (let i = 0; i < 130; i++) ledger.appendAll(operation(i));
    await ledger.stop();
    const mode = (path: string) => statSync(join(folder.directory, path)).mode & 0o777;
    for (const path of ['', 'segments', 'tile', 'tile/0']) expect(mode(path)).toBe(0o700);
    for (const path of ['lock', 'checkpoint', 'checkpoints', 'segments/0000000000.seg', 'tile/0/0000000000.tiles'])
      expect(mode(path)).toBe(0o600);
  });
});

describe('a signer file', () => {
  it('is made once, for its owner alone, and found again', () => {
    mkdirSync(folder.directory);
    const path = join(folder.directory, 'key');
    const first = openSignerFile(path, ORIGIN);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(openSignerFile(path, ORIGIN).publicKey.equals(first.publicKey)).toBe(true);
  });

  it('is refused when others may read it, or when it holds something else', () => {
    mkdirSync(folder.directory);
    const path = join(folder.directory, 'key');
    openSignerFile(path, ORIGIN);
    chmodSync(path, 0o640);
    expect(() => openSignerFile(path, ORIGIN)).toThrow(expect.objectContaining({ code: 'ERR_LEDGER_IO' }));
    chmodSync(path, 0o600);
    writeFileSync(path, 'no key');
    expect(() => openSignerFile(path, ORIGIN)).toThrow(expect.objectContaining({ code: 'ERR_LEDGER_IO' }));
  });
});

// Mounting needs root; without it the same promises are tested on the disk in memory (faults.test.ts).
describe.skipIf(process.getuid?.() !== 0)('a file system that is full', () => {
  let mounted: string;
  beforeEach(() => {
    mounted = join(folder.directory, '..', 'small');
    mkdirSync(mounted);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', mounted]);
  });
  afterEach(() => {
    execFileSync('umount', [mounted]);
  });

  it('stops intents before they happen, never outcomes, and is left behind when there is room', async () => {
    const deps = testDeps(join(mounted, 'log'));
    const ledger = createLedger({ ...deps, options: { ...deps.options, segmentBytes: 256 * 1024 } });
    await ledger.start(never);
    const append = (given: ReturnType<typeof event>) => {
      try {
        return ledger.append(given);
      } catch (error) {
        return codeOf(error);
      }
    };
    const filler = join(mounted, 'filler');
    for (let bytes = 1024 * 1024; bytes >= 4096; bytes /= 2) {
      try {
        writeFileSync(filler, Buffer.alloc(bytes), { flag: 'a' });
      } catch (error) {
        expect(codeOf(error)).toBe('ENOSPC');
      }
    }
    let open = 0;
    while (typeof append(operation(open)[0]) === 'number') open++;
    expect(append(operation(open)[0])).toBe('ERR_LEDGER_FULL');
    for (let i = 0; i < open; i++) expect(append(operation(i)[1])).toEqual(expect.any(Number));
    await ledger.synced(ledger.sequence);
    rmSync(filler);
    const big = event({ kind: 'admin', detail: { pad: 'x'.repeat(60_000) } });
    for (let turn = 0; turn < 2000 && append(big) !== 'ERR_LEDGER_FULL'; turn++);
    for (let turn = 0; turn < 2000 && append(big) === 'ERR_LEDGER_FULL'; turn++) await deps.clock.advance(100);
    expect(append(big)).toEqual(expect.any(Number));
    await ledger.stop();
    expect(await verifyLedger(join(mounted, 'log'), key, { signal: never })).toMatchObject({ ok: true });
  });
});
