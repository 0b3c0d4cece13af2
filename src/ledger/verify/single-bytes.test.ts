import { afterAll, expect, it } from 'vitest';
import { createSeededRandom } from '../../std/index.ts';
import { noteKeyOf, parseFrame } from '../../wire/tlog/index.ts';
import { createLedger, verifyLedger } from '../index.ts';
import { segmentPath } from '../segments/segment.ts';
import { never, ORIGIN, operation, testDeps, testSigner } from '../testing/ledger-fixture.ts';
import { createMemoryDisk } from '../testing/memory-disk.ts';
import { packPath } from '../tree/tile-pack.ts';

// Goal: no byte of a segment in use or of a tile can be another without `verify` finding it: as broken where the entries are not those that
// were signed, as a damaged tile where they are.

const DIRECTORY = '/ledger';
const CHANGES = 1000;
const key = noteKeyOf(ORIGIN, testSigner().publicKey);
const disk = createMemoryDisk();
const seen = { broken: 0, told: 0, tiles: 0 };
afterAll(() => expect(Math.min(...Object.values(seen)), JSON.stringify(seen)).toBeGreaterThanOrEqual(50));

async function build(): Promise<void> {
  const deps = { ...testDeps(DIRECTORY), files: disk };
  const ledger = createLedger({ ...deps, options: { segmentBytes: 64 * 1024 } });
  await ledger.start(never);
  for (let i = 0; i < 140; i++) {
    ledger.appendAll(operation(i));
    if (i % 10 === 0) await ledger.synced(ledger.sequence);
  }
  await ledger.stop();
}

/** A file, and how many of its bytes hold what was written there. */
interface Target {
  readonly path: string;
  readonly used: number;
}

function read(path: string): Buffer {
  const file = disk.open(path, 'read');
  const bytes = Buffer.alloc(disk.size(file));
  disk.read(file, bytes, 0);
  disk.close(file);
  return bytes;
}

function segmentsInUse(): Target[] {
  const all = disk.list(`${DIRECTORY}/segments`).map((_, index) => {
    const path = segmentPath(DIRECTORY, index);
    const bytes = read(path);
    let used = 0;
    for (let frame = parseFrame(bytes, 0); frame.kind === 'frame'; frame = parseFrame(bytes, used)) used = frame.end;
    return { path, used };
  });
  return all.filter(({ used }) => used > 0);
}

function put(path: string, at: number, byte: number): void {
  const file = disk.open(path, 'update');
  disk.write(file, Buffer.from([byte]), at);
  disk.close(file);
}

it('a byte that is changed is found, wherever it is', async () => {
  await build();
  const segments = segmentsInUse();
  const tiles = [0, 1].map((level) => packPath(DIRECTORY, level, 0)).map((path) => ({ path, used: read(path).length }));
  expect([segments.length, ...tiles.map(({ used }) => used)]).toEqual([2, 282 * 32, 32]);
  const random = createSeededRandom('single bytes');
  const below = (count: number) => Math.floor(random.fraction() * count);
  for (let change = 0; change < CHANGES; change++) {
    const isTile = change % 2 === 0;
    const { path, used } = (isTile ? tiles[below(8) === 0 ? 1 : 0] : segments[below(segments.length)]) ?? {
      path: '',
      used: 0,
    };
    const bytes = read(path);
    // Every tenth of the others lies in the padding behind the entries.
    const at = change % 20 === 1 ? used + below(bytes.length - used) : below(used);
    const was = bytes[at] ?? 0;
    put(path, at, was ^ (1 + below(255)));
    const report = await verifyLedger(DIRECTORY, key, { files: disk, signal: never });
    put(path, at, was);
    const kinds = report.findings.map(({ kind, broken }) => `${kind} ${broken}`);
    const told = `change ${change}: byte ${at} of ${path}: ${kinds.join(', ')}`;
    if (isTile) {
      expect(kinds, told).toEqual(['tile-damaged false']);
      expect(report.ok).toBe(true);
      seen.tiles++;
    } else {
      expect(kinds.length, told).toBeGreaterThan(0);
      if (at < used) expect(report.ok, told).toBe(false);
      seen[at < used ? 'broken' : 'told']++;
    }
  }
  expect(await verifyLedger(DIRECTORY, key, { files: disk, signal: never })).toMatchObject({ ok: true, findings: [] });
});
