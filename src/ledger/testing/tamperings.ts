import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { FRAME_HEADER_BYTES, formatFrame, parseNote } from '../../wire/tlog/index.ts';
import { formatSegmentHeader, segmentPath } from '../segments/segment.ts';
import { PACK_BYTES } from '../tree/tile-pack.ts';
import { ORIGIN, signText } from './ledger-fixture.ts';
import { forge, renumber, rewriteLog, rewriteTiles } from './tamper.ts';

// What can be done to the folder of a stopped ledger: three rounds of 402 entries, over several segments, with a checkpoint behind the
// first and the last entry of each. The table in `tampering.test.ts` says what is answered to each.

/** Does something to the folder. */
export type Act = (directory: string) => void | Promise<void>;

const at = (directory: string, ...names: string[]) => join(directory, ...names);
const notesOf = (directory: string) =>
  readFileSync(at(directory, 'checkpoints'), 'utf8')
    .split(/(?<=\n)\n(?=countersign)/)
    .map((note) => note.replace(/\n\n$/, '\n'));
const writeNotes = (directory: string, notes: readonly string[]) =>
  writeFileSync(at(directory, 'checkpoints'), notes.map((note) => `${note}\n`).join(''));
/** Cuts both files of checkpoints back to the first `count`. */
const cutNotes = (directory: string, count: number) => {
  const kept = notesOf(directory).slice(0, count);
  writeNotes(directory, kept);
  writeFileSync(at(directory, 'checkpoint'), kept.at(-1) ?? '');
};
const dropTiles = (directory: string) => rmSync(at(directory, 'tile'), { recursive: true, force: true });
const forgeEntry = (directory: string, seq: number) =>
  rewriteLog(directory, (payloads) => payloads.with(seq, forge(payloads[seq] ?? Buffer.alloc(0))));
const lastUsed = (directory: string) => {
  for (let index = 0; ; index++) {
    if (readFileSync(segmentPath(directory, index + 1)).readUInt32BE(4) === 0) return index;
  }
};
/** Writes the log anew up to entry `count`, and puts the checkpoints and tiles back to that. */
const rollBack = (directory: string, count: number, notes: number) => {
  rewriteLog(directory, (payloads) => payloads.slice(0, count));
  cutNotes(directory, notes);
  dropTiles(directory);
};
const instead = (directory: string, name: string, put: (path: string) => void) => {
  const path = at(directory, name);
  rmSync(path, { recursive: true, force: true });
  put(path);
};
const fifo = (path: string) => void spawnSync('sh', ['-c', 'mkfifo "$0"', path]);
const link = (path: string) => {
  renameSync(path, `${path}.elsewhere`);
  symlinkSync(`${path}.elsewhere`, path);
};
const flip = (path: string, offset: number) => {
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(offset) ^ 1, offset);
  writeFileSync(path, bytes);
};
const sparse = (path: string) => {
  const file = openSync(path, 'w');
  ftruncateSync(file, 3 * 1024 ** 3);
  closeSync(file);
};
const SEGMENT = 'segments/0000000000.seg';
const TILES = 'tile/0/0000000000.tiles';
const TILES_ABOVE = 'tile/1/0000000000.tiles';
const bytesThatLookLikeEntries = () => {
  const unit = Buffer.concat([Buffer.alloc(FRAME_HEADER_BYTES), Buffer.from('{"action":"')]);
  unit.writeUInt32BE(1024 * 1024, 4);
  return Buffer.alloc(16 * 1024 * 1024, unit);
};

export const acts: Readonly<Record<string, Act>> = {
  // Entries.
  'nothing is done': () => {},
  'an entry is changed, its checksum right': (d) => forgeEntry(d, 700),
  'an entry is changed, its checksum wrong': (d) =>
    flip(segmentPath(d, 0), readFileSync(segmentPath(d, 0)).indexOf('"seq":77,') + 20),
  'the first entry is changed': (d) =>
    rewriteLog(d, (p) => p.with(0, Buffer.from(String(p[0]).replace('"start"', '"begin"')))),
  'the last entry is changed': (d) =>
    rewriteLog(d, (p) => p.with(1205, Buffer.from(String(p[1205]).replace('"stop"', '"halt"')))),
  'an entry is changed, with its tiles': async (d) => {
    forgeEntry(d, 700);
    await rewriteTiles(d);
  },
  'an entry is dropped': (d) => rewriteLog(d, (p) => p.toSpliced(300, 1)),
  'an entry is dropped, the rest numbered anew': (d) => rewriteLog(d, (p) => p.toSpliced(300, 1).map(renumber)),
  'many entries are dropped': (d) => rewriteLog(d, (p) => p.toSpliced(300, 400)),
  'an entry is doubled': (d) => rewriteLog(d, (p) => p.toSpliced(300, 0, p[300] ?? Buffer.alloc(0))),
  'an entry is inserted, the rest numbered anew': (d) =>
    rewriteLog(d, (p) => p.toSpliced(300, 0, forge(p[3] ?? Buffer.alloc(0))).map(renumber)),
  'two entries change places': (d) =>
    rewriteLog(d, (p) => p.with(400, p[403] ?? Buffer.alloc(0)).with(403, p[400] ?? Buffer.alloc(0))),
  'all entries are in reverse': (d) => rewriteLog(d, (p) => p.toReversed().map(renumber)),
  'an entry is replaced by what is none': (d) => rewriteLog(d, (p) => p.with(600, Buffer.from('{"seq":600}'))),
  'an entry is added behind the last': (d) =>
    rewriteLog(d, (p) => [...p, renumber(forge(p[1] ?? Buffer.alloc(0)), 1206)]),
  'an hour of entries is added behind the last': (d) =>
    rewriteLog(d, (p) => [...p, ...hourOf(p[1] ?? Buffer.alloc(0), 1206)]),
  'the last entry is cut off': (d) => rewriteLog(d, (p) => p.slice(0, -1)),
  'the last 300 entries are cut off': (d) => rewriteLog(d, (p) => p.slice(0, -300)),
  'all entries are cut off': (d) => rewriteLog(d, () => []),
  // Segments.
  'a segment is removed': (d) => rmSync(segmentPath(d, 1)),
  'the first segment is removed': (d) => rmSync(segmentPath(d, 0)),
  'the last used segment is removed': (d) => rmSync(segmentPath(d, lastUsed(d))),
  'the last used segment and all unused ones are removed': (d) => {
    for (const name of readdirSync(at(d, 'segments')).slice(lastUsed(d))) rmSync(at(d, 'segments', name));
  },
  'a segment is zeroed': (d) => writeFileSync(segmentPath(d, 1), Buffer.alloc(readFileSync(segmentPath(d, 1)).length)),
  'the last used segment is zeroed': (d) => writeFileSync(segmentPath(d, lastUsed(d)), Buffer.alloc(128 * 1024)),
  'a segment is cut in half': (d) => truncateSync(segmentPath(d, 0), 64 * 1024),
  'a segment is emptied': (d) => truncateSync(segmentPath(d, 1), 0),
  'two segments change places': (d) => {
    renameSync(segmentPath(d, 0), at(d, 'x'));
    renameSync(segmentPath(d, 1), segmentPath(d, 0));
    renameSync(at(d, 'x'), segmentPath(d, 1));
  },
  'a segment is replaced by a copy of another': (d) => copyFileSync(segmentPath(d, 0), segmentPath(d, 1)),
  'a copy of a segment is added behind the last': (d) =>
    copyFileSync(segmentPath(d, 0), segmentPath(d, lastUsed(d) + 1)),
  'an unused segment is added far behind': (d) => writeFileSync(segmentPath(d, 99), Buffer.alloc(1024)),
  "a segment's header is of another log": (d) => reheader(d, 1, { origin: 'countersign.example/other' }),
  "a segment's header says another first entry": (d) => reheader(d, 1, { firstSeq: 5 }),
  "a segment's header says another oldest intent": (d) => reheader(d, 1, { openFrom: 100_000 }),
  "a segment's header has lost its checksum": (d) => flip(segmentPath(d, 1), 0),
  'noise follows the entries of a segment': (d) => overwriteEnd(segmentPath(d, 0), Buffer.from('noise')),
  'noise follows the entries of the last segment': (d) =>
    overwriteEnd(segmentPath(d, lastUsed(d)), Buffer.from('noise')),
  // Checkpoints.
  'the newest checkpoints are cut off, the one beside them left': (d) => writeNotes(d, notesOf(d).slice(0, 1)),
  'the checkpoints are cut back to the first, an entry changed': (d) => {
    forgeEntry(d, 700);
    cutNotes(d, 1);
  },
  'the checkpoints are cut back to the first, an entry changed, the tiles removed': (d) => {
    forgeEntry(d, 700);
    cutNotes(d, 1);
    dropTiles(d);
  },
  'the checkpoints are cut back to the first, an entry changed, the tiles made anew': async (d) => {
    forgeEntry(d, 700);
    cutNotes(d, 1);
    await rewriteTiles(d);
  },
  'all checkpoints are removed': (d) => {
    rmSync(at(d, 'checkpoints'));
    rmSync(at(d, 'checkpoint'));
  },
  'all checkpoints and tiles are removed': (d) => {
    rmSync(at(d, 'checkpoints'));
    rmSync(at(d, 'checkpoint'));
    dropTiles(d);
  },
  'the checkpoints are emptied': (d) => cutNotes(d, 0),
  'the file of all checkpoints is removed': (d) => rmSync(at(d, 'checkpoints')),
  'the checkpoint beside is removed': (d) => rmSync(at(d, 'checkpoint')),
  'the checkpoint beside is an earlier one': (d) => writeFileSync(at(d, 'checkpoint'), notesOf(d)[0] ?? ''),
  'the checkpoint beside is zeroed': (d) => writeFileSync(at(d, 'checkpoint'), Buffer.alloc(200)),
  'a checkpoint in the middle is removed': (d) => writeNotes(d, notesOf(d).toSpliced(2, 1)),
  'a checkpoint says another size': (d) =>
    writeFileSync(at(d, 'checkpoints'), readFileSync(at(d, 'checkpoints'), 'utf8').replace('\n804\n', '\n803\n')),
  'two checkpoints change places': (d) => writeNotes(d, notesOf(d).toReversed()),
  'a checkpoint of another key is added': async (d) => {
    const text = parseNote(notesOf(d)[5] ?? '').text.replace(/\n\d+\n/, '\n1207\n');
    appendFileSync(at(d, 'checkpoints'), `${await signText(text, 'stranger')}\n`);
  },
  'a checkpoint of another log is added': async (d) => {
    const text = parseNote(notesOf(d)[5] ?? '').text.replace(ORIGIN, 'countersign.example/other');
    appendFileSync(at(d, 'checkpoints'), `${await signText(text)}\n`);
  },
  'a checkpoint that contradicts is added, of the same key': async (d) => {
    const text = parseNote(notesOf(d)[0] ?? '').text.replace(/\n\d+\n/, '\n1207\n');
    appendFileSync(at(d, 'checkpoints'), `${await signText(text)}\n`);
  },
  'noise follows the checkpoints': (d) => appendFileSync(at(d, 'checkpoints'), Buffer.alloc(256 * 1024, 'noise\n')),
  'a torn checkpoint follows the last': (d) => appendFileSync(at(d, 'checkpoints'), notesOf(d)[5]?.slice(0, 90) ?? ''),
  'what a crash left unsigned is changed': (d) => {
    rewriteLog(d, (p) => p.slice(0, -1));
    cutNotes(d, 5);
    dropTiles(d);
    forgeEntry(d, 900);
  },
  // Tiles.
  'the tiles of entries are removed': (d) => rmSync(at(d, TILES)),
  'the tiles of entries are cut short': (d) => truncateSync(at(d, TILES), 700 * 32),
  'the tiles of entries are emptied': (d) => truncateSync(at(d, TILES), 0),
  'the tiles of entries are zeroed': (d) => writeFileSync(at(d, TILES), Buffer.alloc(1206 * 32)),
  'a hash is changed': (d) => flip(at(d, TILES), 300 * 32),
  'the hash of the last entry is changed': (d) => flip(at(d, TILES), 1205 * 32),
  'a hash of the level above is changed': (d) => flip(at(d, TILES_ABOVE), 2 * 32),
  'a hash is zeroed': (d) => overwrite(at(d, TILES), 300 * 32, Buffer.alloc(32)),
  'the tiles above are removed': (d) => rmSync(at(d, 'tile/1'), { recursive: true }),
  'half a hash follows the last': (d) => appendFileSync(at(d, TILES), Buffer.alloc(16, 1)),
  'all tiles are removed': dropTiles,
  'a hash of an entry that is not there follows the last': (d) => appendFileSync(at(d, TILES), Buffer.alloc(32, 1)),
  'a hash of entries that are not there follows the last above': (d) =>
    appendFileSync(at(d, TILES_ABOVE), Buffer.alloc(32, 1)),
  'an empty file of later tiles is added': (d) => writeFileSync(at(d, 'tile/0/0000000001.tiles'), ''),
  'an unknown file lies among the tiles': (d) => writeFileSync(at(d, 'tile/0/000'), 'unknown'),
  // The whole folder.
  'the folder is put back to an earlier state': (d) => rollBack(d, 402, 2),
  'the folder is put back to its first entry': (d) => rollBack(d, 1, 1),
  'the folder is emptied': (d) => {
    for (const name of readdirSync(d)) rmSync(at(d, name), { recursive: true });
  },
  'every file is zeroed': (d) => {
    for (const name of readdirSync(d, { recursive: true, withFileTypes: true })) {
      const path = at(name.parentPath, name.name);
      if (name.isFile()) writeFileSync(path, Buffer.alloc(readFileSync(path).length));
    }
  },
  'another folder stands in its place': (d) => {
    for (const name of readdirSync(d)) rmSync(at(d, name), { recursive: true });
    mkdirSync(at(d, 'lost+found'));
    writeFileSync(at(d, 'README'), 'not a ledger');
  },
  'an unknown file is added': (d) => writeFileSync(at(d, 'unknown'), 'unknown'),
  // What is no file, has no end, or takes for ever.
  'a segment is a pipe': (d) => instead(d, SEGMENT, fifo),
  'a segment is a link': (d) => link(at(d, SEGMENT)),
  'a segment is a folder': (d) => instead(d, SEGMENT, mkdirSync),
  'a segment is a link to a device': (d) => instead(d, SEGMENT, (path) => symlinkSync('/dev/zero', path)),
  'a segment is a second name of its file': (d) => linkSync(at(d, SEGMENT), at(d, 'second')),
  'a segment is 3 GiB of nothing': (d) => instead(d, SEGMENT, sparse),
  'a segment is 16 MiB of what looks like entries': (d) =>
    writeFileSync(segmentPath(d, lastUsed(d) + 1), bytesThatLookLikeEntries()),
  'the checkpoints are a pipe': (d) => instead(d, 'checkpoints', fifo),
  'the checkpoints are 3 GiB of nothing': (d) => instead(d, 'checkpoints', sparse),
  'the checkpoint beside is a pipe': (d) => instead(d, 'checkpoint', fifo),
  'the tiles of entries are a pipe': (d) => instead(d, TILES, fifo),
  'the tiles of entries are a link': (d) => link(at(d, TILES)),
  'the tiles of entries are a folder': (d) => instead(d, TILES, mkdirSync),
  'the tiles of entries are 3 GiB of nothing': (d) => instead(d, TILES, sparse),
  'the tiles above are one byte too long': (d) => truncateSync(at(d, TILES_ABOVE), PACK_BYTES + 1),
  'the lock is a pipe': (d) => instead(d, 'lock', fifo),
  'the folder of segments is a file': (d) => instead(d, 'segments', (path) => writeFileSync(path, 'x')),
  'the folder of tiles is a pipe': (d) => instead(d, 'tile', fifo),
  // Other versions.
  'a newer version wrote it': (d) => reformat(d, 3),
  'an older version wrote it': (d) => reformat(d, 1),
};

/** Entries that go on from one, each a second after the other. */
function hourOf(payload: Buffer, from: number): Buffer[] {
  const { timeMs, v, ...entry } = JSON.parse(payload.toString('utf8'));
  return Array.from({ length: 3600 }, (_, i) => {
    // Names sorted, as canonical JSON has them: these are the last.
    const text = JSON.stringify({ ...entry, operation: `h${i}`, seq: from + i, timeMs: timeMs + i * 1000, v });
    return Buffer.from(text);
  });
}

function reheader(
  directory: string,
  index: number,
  fields: { origin?: string; firstSeq?: number; openFrom?: number },
): void {
  const bytes = readFileSync(segmentPath(directory, index));
  const length = FRAME_HEADER_BYTES + bytes.readUInt32BE(4);
  const header = JSON.parse(bytes.toString('utf8', FRAME_HEADER_BYTES, length));
  const { firstSeq, openFrom, origin } = { ...header, ...fields };
  const next = Buffer.concat([formatSegmentHeader({ index, origin, firstSeq, openFrom }), bytes.subarray(length)]);
  const whole = Buffer.alloc(bytes.length);
  next.copy(whole);
  writeFileSync(segmentPath(directory, index), whole);
}

function reformat(directory: string, version: number): void {
  const bytes = readFileSync(segmentPath(directory, 0));
  const length = FRAME_HEADER_BYTES + bytes.readUInt32BE(4);
  const header = bytes
    .toString('utf8', FRAME_HEADER_BYTES, length)
    .replace('countersign-segment/2', `countersign-segment/${version}`);
  formatFrame(Buffer.from(header), 0).copy(bytes);
  writeFileSync(segmentPath(directory, 0), bytes);
}

function overwriteEnd(path: string, noise: Buffer): void {
  overwrite(path, readFileSync(path).length - noise.length, noise);
}

function overwrite(path: string, offset: number, put: Buffer): void {
  const bytes = readFileSync(path);
  put.copy(bytes, offset);
  writeFileSync(path, bytes);
}
