import { join } from 'node:path';
import { assert } from '../std/index.ts';
import { formatCanonicalJson, formatFrame, HASH_BYTES, planInclusion } from '../wire/tlog/index.ts';
import { readCheckpoints, readLastCheckpoint } from './checkpoints/checkpoint-file.ts';
import { formatEntry, parseEntry } from './entry.ts';
import { LedgerError } from './errors.ts';
import { parseProof } from './reader/proof.ts';
import { formatSegmentHeader, readSegmentHeader, segmentPath } from './segments/segment.ts';
import { framesBehind } from './segments/torn-tail.ts';
import { createMemoryDisk } from './testing/memory-disk.ts';
import { readHashes } from './tree/tile-hashes.ts';
import { createTileLeaves } from './tree/tile-leaves.ts';
import { packPath } from './tree/tile-pack.ts';
import { entriesInTiles } from './tree/tiles-shown.ts';
import { walkEntries } from './verify/walk.ts';

/** A folder of noise, as a verifier may be handed it: two segments, the checkpoints and the tiles of two levels are all the input. Reading ends, and fails in no other way than the ledger's own. */
export function fuzz(input: Uint8Array): void {
  const bytes = Buffer.from(input);
  const files = createMemoryDisk();
  for (const path of PATHS) {
    const file = files.open(path, 'create');
    files.write(file, bytes, 0);
    files.close(file);
  }
  let entries = 0;
  attempt(() => {
    for (const { payload } of walkEntries({ files, directory: DIRECTORY }, () => {})) {
      entries++;
      assert(entries <= 2 * bytes.length, 'every entry takes bytes of its own');
      attempt(() => {
        const entry = parseEntry(payload);
        assert(formatCanonicalJson({ ...entry }) === payload.toString('utf8'), 'an entry has one spelling');
      });
    }
  });
  const tiled = entriesInTiles({ files, directory: DIRECTORY });
  assert(tiled >= Math.floor(bytes.length / HASH_BYTES), 'hashes are of entries');
  const tiles = createTileLeaves({ files, directory: DIRECTORY });
  for (const index of [0, 255, 256, 65_536]) {
    const hash = tiles.leaf(index);
    assert(hash === undefined || bytes.indexOf(hash) >= 0, 'a hash is what stands there');
  }
  if (tiled > 0) attempt(() => readHashes({ files, directory: DIRECTORY }, planInclusion(0, tiled), tiled));
  for (const frame of framesBehind(bytes, 0) ?? []) assert(Number.isSafeInteger(frame.seq), 'an entry has a number');
  attempt(() => readSegmentHeader(files, DIRECTORY, 0));
  attempt(() => parseProof(bytes.toString('utf8')));
  let last: string | undefined;
  for (const checkpoint of readCheckpoints(files, DIRECTORY)) last = checkpoint.note;
  assert(readLastCheckpoint(files, DIRECTORY)?.note === last, 'the last checkpoint is the last one, from either end');
}

function attempt(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
  }
}

const DIRECTORY = '/ledger';
const PATHS = [
  segmentPath(DIRECTORY, 0),
  segmentPath(DIRECTORY, 1),
  join(DIRECTORY, 'checkpoints'),
  packPath(DIRECTORY, 0, 0),
  packPath(DIRECTORY, 1, 0),
];
const header = formatSegmentHeader({ index: 0, origin: 'log.example/1', firstSeq: 0, openFrom: 0 });
const entry = (seq: number) => {
  const event = {
    kind: 'admin',
    timeMs: 5,
    actor: 'a',
    target: 't',
    action: 'x',
    session: '',
    operation: '',
    detail: { n: [1] },
  } as const;
  return formatFrame(Buffer.from(formatEntry(event, { seq, timeMs: 7 })), seq);
};
const NOTE = 'o\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u2014 o AAAAAWFiY2Q=\n\n';

export const seeds: readonly Uint8Array[] = [
  Buffer.concat([header, entry(0), entry(1), Buffer.alloc(64)]),
  Buffer.concat([header, entry(0), Buffer.alloc(30), entry(2)]),
  Buffer.concat([entry(0), header, entry(1).subarray(0, 40)]),
  Buffer.from(NOTE + NOTE + NOTE.slice(0, 30)),
  Buffer.from('{"format":"countersign-ledger-proof/1","entry":"{}","proof":""}'),
];

export const tokens = [
  '{"',
  '":',
  'seq',
  'timeMs',
  'wallMs',
  'firstSeq',
  'openFrom',
  '-',
  '\n\n',
  '\u2014 ',
  header,
  entry(0),
];

/** A folder is written and read from both ends. */
export const slow = true;
