import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeOf } from '../../std/index.ts';
import { noteKeyOf } from '../../wire/tlog/index.ts';
import { type CheckpointKeeper, createLedger, verifyLedger } from '../index.ts';
import { never, ORIGIN, realDeps, testDirectory, testSigner } from '../testing/ledger-fixture.ts';
import { buildLog, copyLog } from '../testing/tamper.ts';
import { acts } from '../testing/tamperings.ts';

// Goal: whatever is done to a ledger's folder, it is known what is answered. Each row: what is done, what `verify` finds first ("whole"
// for nothing that is broken), what it finds with the newest checkpoint kept elsewhere, what the writer's start answers, and what it answers
// when the newest checkpoint is kept beside the key. What a start goes on from is as broken afterwards as it was before.
//
// Whole without being harmless: a folder put back to an earlier state, and what a crash left unsigned. A checkpoint kept beside the key
// shows both to the start, one kept elsewhere to `verify`; nothing shows them to who has neither (docs/guide/operations.md).

type Row = readonly [done: string, verify: string, elsewhere: string, start: string, besideKey: string];

const table: readonly Row[] = [
  ['nothing is done', 'whole', 'whole', 'goes on', 'goes on'],
  ['an entry is changed, its checksum right', 'entry-changed', 'entry-changed', 'goes on', 'goes on'],
  ['an entry is changed, its checksum wrong', 'entry-changed', 'entry-changed', 'goes on', 'goes on'],
  ['the first entry is changed', 'entry-changed', 'entry-changed', 'goes on', 'goes on'],
  ['the last entry is changed', 'entry-changed', 'entry-changed', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_CORRUPT'],
  [
    'an entry is changed, with its tiles',
    'entries-rewritten',
    'entries-rewritten',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  ['an entry is dropped', 'entry-dropped', 'entry-dropped', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_CORRUPT'],
  [
    'an entry is dropped, the rest numbered anew',
    'entry-dropped',
    'entry-dropped',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  ['many entries are dropped', 'entry-dropped', 'entry-dropped', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_CORRUPT'],
  ['an entry is doubled', 'entry-inserted', 'entry-inserted', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_CORRUPT'],
  [
    'an entry is inserted, the rest numbered anew',
    'entry-inserted',
    'entry-inserted',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  ['two entries change places', 'entries-reordered', 'entries-reordered', 'goes on', 'goes on'],
  ['all entries are in reverse', 'entry-changed', 'entry-changed', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_CORRUPT'],
  ['an entry is replaced by what is none', 'entry-changed', 'entry-changed', 'goes on', 'goes on'],
  ['an entry is added behind the last', 'unsigned-tail', 'unsigned-tail', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_CORRUPT'],
  [
    'an hour of entries is added behind the last',
    'unsigned-tail',
    'unsigned-tail',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  ['the last entry is cut off', 'truncated', 'truncated', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_CORRUPT'],
  ['the last 300 entries are cut off', 'truncated', 'truncated', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_CORRUPT'],
  ['all entries are cut off', 'truncated', 'truncated', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_CORRUPT'],
  ['a segment is removed', 'segment-missing', 'segment-missing', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_CORRUPT'],
  ['the first segment is removed', 'segment-missing', 'segment-missing', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_CORRUPT'],
  [
    'the last used segment is removed',
    'segment-missing',
    'segment-missing',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  [
    'the last used segment and all unused ones are removed',
    'truncated',
    'truncated',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  ['a segment is zeroed', 'entry-dropped', 'entry-dropped', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_CORRUPT'],
  ['the last used segment is zeroed', 'truncated', 'truncated', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_CORRUPT'],
  ['a segment is cut in half', 'entry-dropped', 'entry-dropped', 'goes on', 'goes on'],
  ['a segment is emptied', 'entry-dropped', 'entry-dropped', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_CORRUPT'],
  ['two segments change places', 'entry-dropped', 'entry-dropped', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_CORRUPT'],
  [
    'a segment is replaced by a copy of another',
    'entry-changed',
    'entry-changed',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  [
    'a copy of a segment is added behind the last',
    'entry-changed',
    'entry-changed',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  [
    'an unused segment is added far behind',
    'segment-missing',
    'segment-missing',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  [
    "a segment's header is of another log",
    'segment-damaged',
    'segment-damaged',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  [
    "a segment's header says another first entry",
    'segment-damaged',
    'segment-damaged',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  ["a segment's header says another oldest intent", 'segment-damaged', 'segment-damaged', 'goes on', 'goes on'],
  [
    "a segment's header has lost its checksum",
    'segment-damaged',
    'segment-damaged',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  ['noise follows the entries of a segment', 'segment-damaged', 'segment-damaged', 'goes on', 'goes on'],
  ['noise follows the entries of the last segment', 'whole', 'whole', 'goes on', 'goes on'],
  [
    'the newest checkpoints are cut off, the one beside them left',
    'checkpoints-cut',
    'checkpoints-cut',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  [
    'the checkpoints are cut back to the first, an entry changed',
    'unsigned-tail',
    'entry-changed',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_ROLLED_BACK',
  ],
  [
    'the checkpoints are cut back to the first, an entry changed, the tiles removed',
    'unsigned-tail',
    'entries-rewritten',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_ROLLED_BACK',
  ],
  [
    'the checkpoints are cut back to the first, an entry changed, the tiles made anew',
    'unsigned-tail',
    'entries-rewritten',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_ROLLED_BACK',
  ],
  ['all checkpoints are removed', 'unsigned', 'whole', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_ROLLED_BACK'],
  ['all checkpoints and tiles are removed', 'unsigned', 'whole', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_ROLLED_BACK'],
  ['the checkpoints are emptied', 'unsigned', 'whole', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_ROLLED_BACK'],
  [
    'the file of all checkpoints is removed',
    'checkpoints-cut',
    'checkpoints-cut',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  ['the checkpoint beside is removed', 'whole', 'whole', 'goes on', 'goes on'],
  ['the checkpoint beside is an earlier one', 'whole', 'whole', 'goes on', 'goes on'],
  ['the checkpoint beside is zeroed', 'whole', 'whole', 'goes on', 'goes on'],
  ['a checkpoint in the middle is removed', 'whole', 'whole', 'goes on', 'goes on'],
  ['a checkpoint says another size', 'checkpoint-forged', 'checkpoint-forged', 'goes on', 'goes on'],
  [
    'two checkpoints change places',
    'checkpoints-contradict',
    'checkpoints-contradict',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  ['a checkpoint of another key is added', 'wrong-key', 'wrong-key', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_CORRUPT'],
  [
    'a checkpoint of another log is added',
    'checkpoint-forged',
    'checkpoint-forged',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  [
    'a checkpoint that contradicts is added, of the same key',
    'truncated',
    'truncated',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  [
    'noise follows the checkpoints',
    'checkpoint-forged',
    'checkpoint-forged',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  ['a torn checkpoint follows the last', 'whole', 'whole', 'goes on', 'goes on'],
  ['what a crash left unsigned is changed', 'whole', 'truncated', 'goes on', 'ERR_LEDGER_ROLLED_BACK'],
  ['the tiles of entries are removed', 'whole', 'whole', 'goes on', 'goes on'],
  ['the tiles of entries are cut short', 'whole', 'whole', 'goes on', 'goes on'],
  ['the tiles of entries are emptied', 'whole', 'whole', 'goes on', 'goes on'],
  ['the tiles of entries are zeroed', 'whole', 'whole', 'goes on', 'goes on'],
  ['a hash is changed', 'whole', 'whole', 'goes on', 'goes on'],
  ['the hash of the last entry is changed', 'whole', 'whole', 'goes on', 'goes on'],
  ['a hash of the level above is changed', 'whole', 'whole', 'goes on', 'goes on'],
  ['a hash is zeroed', 'whole', 'whole', 'goes on', 'goes on'],
  ['the tiles above are removed', 'whole', 'whole', 'goes on', 'goes on'],
  ['half a hash follows the last', 'whole', 'whole', 'goes on', 'goes on'],
  ['all tiles are removed', 'whole', 'whole', 'goes on', 'goes on'],
  [
    'a hash of an entry that is not there follows the last',
    'truncated',
    'truncated',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  [
    'a hash of entries that are not there follows the last above',
    'truncated',
    'truncated',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  ['an empty file of later tiles is added', 'truncated', 'truncated', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_CORRUPT'],
  ['an unknown file lies among the tiles', 'whole', 'whole', 'goes on', 'goes on'],
  ['the folder is put back to an earlier state', 'whole', 'truncated', 'goes on', 'ERR_LEDGER_ROLLED_BACK'],
  ['the folder is put back to its first entry', 'whole', 'truncated', 'goes on', 'ERR_LEDGER_ROLLED_BACK'],
  ['the folder is emptied', 'nothing-to-verify', 'truncated', 'goes on', 'ERR_LEDGER_ROLLED_BACK'],
  ['every file is zeroed', 'truncated', 'truncated', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_ROLLED_BACK'],
  ['another folder stands in its place', 'nothing-to-verify', 'truncated', 'goes on', 'ERR_LEDGER_ROLLED_BACK'],
  ['an unknown file is added', 'whole', 'whole', 'goes on', 'goes on'],
  ['a segment is a pipe', 'not-a-ledger-file', 'not-a-ledger-file', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_CORRUPT'],
  ['a segment is a link', 'not-a-ledger-file', 'not-a-ledger-file', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_CORRUPT'],
  ['a segment is a folder', 'not-a-ledger-file', 'not-a-ledger-file', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_CORRUPT'],
  [
    'a segment is a link to a device',
    'not-a-ledger-file',
    'not-a-ledger-file',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  ['a segment is a second name of its file', 'whole', 'whole', 'goes on', 'goes on'],
  [
    'a segment is 3 GiB of nothing',
    'not-a-ledger-file',
    'not-a-ledger-file',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  [
    'a segment is 16 MiB of what looks like entries',
    'segment-damaged',
    'segment-damaged',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  ['the checkpoints are a pipe', 'not-a-ledger-file', 'not-a-ledger-file', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_CORRUPT'],
  [
    'the checkpoints are 3 GiB of nothing',
    'checkpoint-forged',
    'checkpoint-forged',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  [
    'the checkpoint beside is a pipe',
    'not-a-ledger-file',
    'not-a-ledger-file',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  [
    'the tiles of entries are a pipe',
    'not-a-ledger-file',
    'not-a-ledger-file',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  [
    'the tiles of entries are a link',
    'not-a-ledger-file',
    'not-a-ledger-file',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  [
    'the tiles of entries are a folder',
    'not-a-ledger-file',
    'not-a-ledger-file',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  [
    'the tiles of entries are 3 GiB of nothing',
    'not-a-ledger-file',
    'not-a-ledger-file',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  [
    'the tiles above are one byte too long',
    'not-a-ledger-file',
    'not-a-ledger-file',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  ['the lock is a pipe', 'whole', 'whole', 'ERR_LEDGER_CORRUPT', 'ERR_LEDGER_CORRUPT'],
  ['the folder of segments is a file', 'not-a-ledger-file', 'not-a-ledger-file', 'ERR_LEDGER_IO', 'ERR_LEDGER_IO'],
  [
    'the folder of tiles is a pipe',
    'not-a-ledger-file',
    'not-a-ledger-file',
    'ERR_LEDGER_CORRUPT',
    'ERR_LEDGER_CORRUPT',
  ],
  ['a newer version wrote it', 'other-version', 'other-version', 'ERR_LEDGER_VERSION', 'ERR_LEDGER_VERSION'],
  ['an older version wrote it', 'other-version', 'other-version', 'ERR_LEDGER_VERSION', 'ERR_LEDGER_VERSION'],
];

/** Nothing is left to go on from: what starts is another log. */
const BEGUN_ANEW: ReadonlySet<string> = new Set(['the folder is emptied', 'another folder stands in its place']);

const key = noteKeyOf(ORIGIN, testSigner().publicKey);
const original = testDirectory();
let newest: string;
beforeAll(async () => {
  await buildLog(original.directory, 3, 200);
  newest = readFileSync(join(original.directory, 'checkpoint'), 'utf8');
});
afterAll(() => original.remove());

const keeper: CheckpointKeeper = { read: async () => newest, write: async () => {} };

describe('the table of tampering', () => {
  it('has a row for everything that can be done, and no other', () => {
    expect(table.map(([done]) => done).sort()).toEqual(Object.keys(acts).sort());
    expect(table.length).toBeGreaterThanOrEqual(78);
  });

  it.each(
    table,
  )('%s: verify says %s (with a checkpoint kept elsewhere %s); a start %s (kept beside the key %s)', async (...row) => {
    const [done, expected, elsewhere, starts, startsKept] = row;
    const one = testDirectory();
    const two = testDirectory();
    try {
      for (const { directory } of [one, two]) {
        copyLog(original.directory, directory);
        await acts[done]?.(directory);
      }
      expect(await verify(one.directory)).toBe(expected);
      expect(await verify(one.directory, [newest])).toBe(elsewhere);
      expect(await start(one.directory)).toBe(starts);
      expect(await start(two.directory, keeper)).toBe(startsKept);
      if (starts === 'goes on') expect(await verify(one.directory)).toBe(BEGUN_ANEW.has(done) ? 'whole' : expected);
    } finally {
      one.remove();
      two.remove();
    }
  });
});

/** The first thing broken. */
async function verify(directory: string, knownCheckpoints: string[] = []): Promise<string> {
  const report = await verifyLedger(directory, key, { signal: never, knownCheckpoints });
  const broken = report.findings.find((finding) => finding.broken);
  expect(report.ok).toBe(broken === undefined);
  return broken?.kind ?? 'whole';
}

async function start(directory: string, kept?: CheckpointKeeper): Promise<string> {
  const ledger = createLedger({ ...realDeps(directory), ...(kept && { keeper: kept }) });
  try {
    await ledger.start(never);
    return 'goes on';
  } catch (error) {
    return codeOf(error) ?? String(error);
  } finally {
    await ledger.stop();
  }
}
