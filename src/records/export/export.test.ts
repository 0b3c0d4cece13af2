import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { useBothStores } from '../../../test/support/both-stores.ts';
import { verifyProof } from '../../ledger/index.ts';
import { createManualClock, createSeededRandom, createSilentLog } from '../../std/index.ts';
import type { Store } from '../../store/index.ts';
import { cosignatureKeyOf, formatWitnessKey, verifyCosignature } from '../../wire/tlog/index.ts';
import {
  createRecords,
  createWitness,
  type ExportFormat,
  formatManifest,
  linesOf,
  markOf,
  parseManifest,
  parseServerKey,
  type RecordFilter,
  type Records,
  recordsLaterMigrations,
  recordsMigrations,
  retentionMigrations,
  verifyLines,
  verifyManifest,
} from '../index.ts';
import type { RecordsTables } from '../migrations.ts';
import { ORIGIN, testEntry, testLog } from '../testing/log-fixture.ts';
import { cellOf } from './lines.ts';

// Goal: an export is all that was selected and nothing else, whoever reads it and however it was cut off, and anybody can find that out with public keys alone.

const { signal } = new AbortController();
const keys = generateKeyPairSync('ed25519');
const NAME = 'countersign.example/server/1/witness';
const SERVER_KEY = parseServerKey(formatWitnessKey(cosignatureKeyOf(NAME, createPublicKey(keys.privateKey))));
const OWNER = 'spiffe://countersign.example/auditor';
const asking = { owner: OWNER, origin: 'countersign.example/record-export', signal };
const { openPostgres, openSqlite } = useBothStores([
  ...recordsMigrations,
  ...recordsLaterMigrations,
  ...retentionMigrations,
]);
let clock: ReturnType<typeof createManualClock>;

beforeEach(() => {
  clock = createManualClock(1_700_000_000_000);
});

let servers = 0;
function serverOn(store: Store): Records {
  const random = createSeededRandom(`export ${servers++}`);
  const witness = createWitness(NAME, keys.privateKey);
  return createRecords({ store, clock, random, log: createSilentLog(), witness, write: async () => {}, silenceMs: 1 });
}

const logs = [0, 1].map((n) =>
  testLog(0, { seed: `${n}`, origin: `${ORIGIN}-${n}` }).with(
    Array.from({ length: 1500 }, (_, seq) =>
      testEntry(seq, { kind: seq % 3 === 0 ? 'denial' : 'intent', timeMs: 5000 + (seq >> 1), target: `=cmd|'${seq}'` }),
    ),
  ),
);

async function ship(server: Records, end: number): Promise<void> {
  for (const log of logs) {
    const shipment = await server.open({ ...log, owner: 'spiffe://x/gateway' });
    for (let { size } = shipment.stand; size < end; size = Math.min(end, size + 500))
      await shipment.take(log.batch(size, Math.min(end, size + 500), size));
  }
}

/** The whole of an export, each part from another server where there are several. */
async function exported(of: readonly Records[], filter: RecordFilter, format: ExportFormat = 'jsonl') {
  const serverAt = (n: number): Records => of[n % of.length] as Records; // There is one at least.
  const { id } = await serverAt(0).beginExport({ filter, format }, OWNER);
  const lines: string[] = [];
  let cursor: string | undefined;
  for (let n = 1; ; n++) {
    const page = await serverAt(n).readExport(id, { ...asking, cursor });
    lines.push(...page.lines);
    cursor = page.next;
    if (page.note === undefined) continue;
    const shown = await serverAt(0).showExport(id, OWNER);
    return { id, lines, manifest: formatManifest(page.note, shown.logs) };
  }
}

async function* chunksOf(lines: readonly string[], size = 1 << 16): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(lines.join(''));
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function* marksOf(lines: readonly string[]): AsyncGenerator<Buffer> {
  yield Buffer.concat(lines.map((line) => markOf(Buffer.from(line))));
}

const isDenial = (line: string) => line.includes('"kind":"denial"');

describe.each([
  ['SQLite', openSqlite],
  ['PostgreSQL', openPostgres],
])('an export on %s', (_, openStore) => {
  it('is all that was selected of the logs as they stood, in one order, byte for byte alike from any servers', async () => {
    const store = await openStore();
    const [one, other] = [serverOn(store), serverOn(store)];
    await ship(one, 1000);
    const { id } = await one.beginExport({ filter: { kind: 'denial' }, format: 'jsonl' }, OWNER);
    const first = await one.readExport(id, { ...asking, cursor: undefined });
    const whole = await exported([one], { kind: 'denial' });
    expect(whole.lines).toHaveLength(2 * 334);
    expect(whole.lines.every(isDenial)).toBe(true);
    // What comes while it is read, older or newer, is no part of it.
    await ship(other, 1500);
    let [lines, cursor, note] = [[...first.lines], first.next, first.note];
    while (note === undefined) {
      const page = await serverOn(store).readExport(id, { ...asking, cursor });
      lines = [...lines, ...page.lines];
      [cursor, note] = [page.next, page.note];
    }
    expect(lines.join('')).toBe(whole.lines.join(''));
    expect(formatManifest(note, (await other.showExport(id, OWNER)).logs)).toBe(whole.manifest);
    const now = await exported([one, other, serverOn(store)], { kind: 'denial' });
    const again = await exported([other], { kind: 'denial' });
    expect(now.lines).toHaveLength(1000);
    expect(again).toMatchObject({ lines: now.lines, manifest: now.manifest });
    expect(again.id).not.toBe(now.id);
  });

  it('has of each line what proves it, under what its log and a server have signed', async () => {
    const server = serverOn(await openStore());
    await ship(server, 1500);
    const { lines, manifest } = await exported([server], { log: 2 });
    const { exportedLogs } = verifyManifest(parseManifest(manifest), [SERVER_KEY]);
    for (const line of [lines[0], lines[700], lines.at(-1)]) {
      const { log, position, entry } = JSON.parse(line ?? '');
      const proof = await server.prove(log, position, signal);
      expect(JSON.parse(proof.entry)).toEqual(entry);
      const [of] = exportedLogs.filter((one) => one.log === log);
      expect(of?.origin).toBe(logs[1]?.origin);
      expect(
        verifyProof(proof, { origin: of?.origin ?? '', key: (logs[1] as (typeof logs)[0]).key }).checkpoint.size,
      ).toBe(1500);
      const key = cosignatureKeyOf(NAME, createPublicKey(keys.privateKey));
      expect(verifyCosignature(of?.checkpoint ?? '', key)).toEqual({ timeS: 1_700_000_000 });
    }
    await expect(server.prove(2, 1500, signal)).rejects.toMatchObject({ code: 'ERR_RECORDS_NOT_FOUND' });
  });

  it('is of whoever has begun it, goes on by cursors that it was given, and is there for a week', async () => {
    const store = await openStore();
    const server = serverOn(store);
    await ship(server, 1500);
    const { id } = await server.beginExport({ filter: {}, format: 'jsonl' }, OWNER);
    const other = await server.beginExport({ filter: {}, format: 'jsonl' }, OWNER);
    const { next = '' } = await server.readExport(id, { ...asking, cursor: undefined });
    const bytes = Buffer.from(next, 'base64url');
    const flipped = Buffer.from(bytes);
    flipped.writeUInt8(bytes.readUInt8(40) ^ 1, 40);
    for (const cursor of ['', 'x', flipped.toString('base64url'), bytes.subarray(0, 31).toString('base64url')])
      await expect(server.readExport(id, { ...asking, cursor })).rejects.toMatchObject({ code: 'ERR_RECORDS_REQUEST' });
    await expect(server.readExport(other.id, { ...asking, cursor: next })).rejects.toMatchObject({
      code: 'ERR_RECORDS_REQUEST',
    });
    const stranger = { ...asking, owner: 'spiffe://countersign.example/other', cursor: undefined };
    await expect(server.readExport(id, stranger)).rejects.toMatchObject({ code: 'ERR_RECORDS_NOT_FOUND' });
    await expect(server.showExport(id, stranger.owner)).rejects.toMatchObject({ code: 'ERR_RECORDS_NOT_FOUND' });
    await clock.advance(8 * 24 * 3_600_000);
    await expect(serverOn(store).readExport(id, { ...asking, cursor: next })).rejects.toMatchObject({
      code: 'ERR_RECORDS_NOT_FOUND',
    });
    await server.beginExport({ filter: {}, format: 'csv' }, OWNER);
    expect(await store.db<RecordsTables>().selectFrom('records_exports').select('id').execute()).toHaveLength(1);
  });

  it('has entries of any size in answers that are bounded, and keeps the hundred newest of a caller', async () => {
    const store = await openStore();
    const server = serverOn(store);
    const large = testLog(0).with(
      Array.from({ length: 12 }, (_, seq) => testEntry(seq, { timeMs: 7, detail: { text: 'x'.repeat(1_000_000) } })),
    );
    const shipment = await server.open({ ...large, owner: 'spiffe://x/gateway' });
    for (let n = 0; n < 12; n++) await shipment.take(large.batch(n, n + 1, n));
    const { id } = await server.beginExport({ filter: {}, format: 'jsonl' }, OWNER);
    const counts: number[] = [];
    const lines: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await server.readExport(id, { ...asking, cursor });
      counts.push(page.lines.length);
      lines.push(...page.lines);
      cursor = page.next;
    } while (cursor !== undefined);
    expect(Math.max(...counts)).toBeLessThanOrEqual(5);
    expect(lines.map((line) => JSON.parse(line).position)).toEqual(Array.from({ length: 12 }, (_, n) => 11 - n));
    for (let n = 0; n < 100; n++) {
      await clock.advance(1);
      await server.beginExport({ filter: {}, format: 'jsonl' }, OWNER);
    }
    expect(await store.db<RecordsTables>().selectFrom('records_exports').select('id').execute()).toHaveLength(100);
    await expect(serverOn(store).readExport(id, { ...asking, cursor: undefined })).rejects.toMatchObject({
      code: 'ERR_RECORDS_NOT_FOUND',
    });
  });

  it('of nothing is a statement of nothing', async () => {
    const server = serverOn(await openStore());
    const { lines, manifest } = await exported([server], { kind: 'denial' });
    expect(lines).toEqual([]);
    expect(
      await verifyLines(linesOf(chunksOf([])), verifyManifest(parseManifest(manifest), [SERVER_KEY]), undefined),
    ).toEqual({ ok: true });
  });
});

describe('the verification of an export', () => {
  let lines: string[];
  let manifest: string;
  beforeEach(async () => {
    const server = serverOn(await openSqlite());
    await ship(server, 1500);
    ({ lines, manifest } = await exported([server], { kind: 'denial' }));
  });
  const verify = (file: readonly string[], marks: readonly string[] | 'none' = lines, size?: number) =>
    verifyLines(
      linesOf(chunksOf(file, size)),
      verifyManifest(parseManifest(manifest), [SERVER_KEY]),
      marks === 'none' ? undefined : marksOf(marks),
    );

  it('finds nothing in what was exported, in whatever pieces it is read', async () => {
    for (const size of [1, 7, 4096, undefined]) expect(await verify(lines, lines, size)).toEqual({ ok: true });
    expect(await verify(lines, 'none')).toEqual({ ok: true });
  });

  const at = (n: number) => (file: string[]) => file[n] as string; // There are a thousand.
  it.each<[string, (file: string[]) => string[], object]>([
    ['the first is missing', (file) => file.slice(1), { what: 'missing', line: 1 }],
    ['one is missing', (file) => file.toSpliced(500, 1), { what: 'missing', line: 501 }],
    ['five are missing', (file) => file.toSpliced(500, 5), { what: 'missing', line: 501 }],
    ['the last is missing', (file) => file.slice(0, -1), { what: 'missing', line: 1000 }],
    ['all are missing', () => [], { what: 'missing', line: 1 }],
    [
      'one was added',
      (file) => file.toSpliced(17, 0, '{"entry":{},"log":1,"position":7}\n'),
      { what: 'added', line: 18 },
    ],
    ['one is there twice', (file) => file.toSpliced(17, 0, at(17)(file)), { what: 'added', line: 19 }],
    ['one was added behind the last', (file) => [...file, 'x\n'], { what: 'added', line: 1001 }],
    [
      'one byte was changed',
      (file) => file.with(30, at(30)(file).replace('denial', 'deniaI')),
      { what: 'changed', line: 31 },
    ],
    ['two were exchanged', (file) => file.with(30, at(31)(file)).with(31, at(30)(file)), { what: 'moved', line: 31 }],
    ['one was moved far away', (file) => [...file.toSpliced(3, 1), at(3)(file)], { what: 'missing', line: 4 }],
    [
      'an end of line is missing',
      (file) => [...file.slice(0, -1), at(999)(file).trimEnd()],
      { what: 'changed', line: 1000 },
    ],
    [
      'a line was ended otherwise',
      (file) => file.with(0, at(0)(file).replace('\n', '\r\n')),
      { what: 'changed', line: 1 },
    ],
  ])('finds that %s, and where', async (_, tamper, found) => {
    expect(await verify(tamper([...lines]))).toMatchObject({ ok: false, ...found });
    expect(await verify(tamper([...lines]), 'none')).toMatchObject({ ok: false, line: undefined });
    // Marks that were changed with it hide where, and never that.
    expect(await verify(tamper([...lines]), tamper([...lines]))).toMatchObject({ ok: false });
  });

  it('goes by what is signed where marks are wrong or gone and lines are not', async () => {
    expect(await verify(lines, lines.slice(3))).toEqual({ ok: true });
    expect(await verify(lines, [])).toEqual({ ok: true });
  });

  it('finds a manifest that was changed, or is signed by somebody else', () => {
    const wrong: [string, string][] = [
      ['no JSON', '{'],
      ['another format', manifest.replace('export/1', 'export/2')],
      ['fewer lines', manifest.replace('\\n1000\\n', '\\n999\\n')],
      ['another selection', manifest.replace('\\"denial\\"', '\\"intent\\"')],
      ['another size of a log', manifest.replace('"size":1500', '"size":1499')],
      ['a log less', JSON.stringify({ ...JSON.parse(manifest), logs: JSON.parse(manifest).logs.slice(1) })],
      [
        'no signature',
        JSON.stringify({ ...JSON.parse(manifest), note: `${JSON.parse(manifest).note.split('\n\n')[0]}\n` }),
      ],
      // Signed by the very key, and of a log.
      [
        'a checkpoint of a log',
        JSON.stringify({ ...JSON.parse(manifest), note: JSON.parse(manifest).logs[0].checkpoint }),
      ],
    ];
    for (const [what, text] of wrong)
      expect(() => verifyManifest(parseManifest(text), [SERVER_KEY]), what).toThrow(
        expect.objectContaining({ code: 'ERR_RECORDS_EXPORT' }),
      );
    const other = generateKeyPairSync('ed25519').publicKey;
    const stranger = parseServerKey(formatWitnessKey(cosignatureKeyOf(NAME, other)));
    expect(() => verifyManifest(parseManifest(manifest), [stranger])).toThrow('no key was given');
    expect(verifyManifest(parseManifest(manifest), [stranger, SERVER_KEY])).toMatchObject({
      lines: 1000,
      signer: NAME,
    });
  });
});

describe('an export as CSV', () => {
  it('is one line for each entry, with the entry as it was written, and nothing that is a formula', async () => {
    const server = serverOn(await openSqlite());
    await ship(server, 100);
    const { lines, manifest } = await exported([server], {}, 'csv');
    expect(lines[0]).toMatch(/^log,position,time,kind,.*,entry\r\n$/);
    expect(lines).toHaveLength(201);
    for (const line of lines) expect(line).toMatch(/^[^\r\n]*\r\n$/);
    expect(lines[1]).toContain(`,'=cmd|'99',`);
    const [, cell = ''] = /,"(\{.*\})"\r\n$/.exec(lines[1] ?? '') ?? [];
    const { position } = { position: Number(lines[1]?.split(',')[1]) };
    const of = logs[Number(lines[1]?.split(',')[0]) - 1];
    expect(cell.replaceAll('""', '"')).toBe(of?.entries[position]?.toString());
    expect(
      await verifyLines(
        linesOf(chunksOf(lines)),
        verifyManifest(parseManifest(manifest), [SERVER_KEY]),
        marksOf(lines),
      ),
    ).toEqual({ ok: true });
  });

  it.each([
    ['=1+1', "'=1+1"],
    ['+1', "'+1"],
    ['-1', "'-1"],
    ['@sum', "'@sum"],
    ['\t=1', "' =1"],
    ['  =1', "'  =1"],
    ['\uff1d1', "'\uff1d1"],
    ['a=1', 'a=1'],
    ['a,"b"', '"a,""b"""'],
    ['a\r\nb', 'a b'],
    ['\u2028=x', "' =x"],
    ["'=1", "'=1"],
    [' a', '" a"'],
    ['', ''],
  ])('shows %j as %j', (value, cell) => {
    expect(cellOf(value)).toBe(cell);
  });
});
