import { setImmediate as turn } from 'node:timers/promises';
import { throwIfAborted } from '../../std/index.ts';
import { formatCanonicalJson, leafHash } from '../../wire/tlog/index.ts';
import { readLastCheckpoint } from '../checkpoints/checkpoint-file.ts';
import type { LedgerFiles } from '../files.ts';
import { entryIn } from '../segments/torn-tail.ts';
import { createTileLeaves } from '../tree/tile-leaves.ts';
import type { VerifyFinding } from './verify.ts';
import { type WalkNote, walkEntries } from './walk.ts';

/**
 * What became of entry `at`, where the entries first differ from tiles that lead to a signed root. The entries from there are
 * matched with the hashes around, as they are and with the number they would have had: so a dropped entry is told from a changed
 * one even if everything behind it was numbered anew.
 */
export async function locateDifference(where: {
  readonly files: LedgerFiles;
  readonly directory: string;
  readonly at: number;
  readonly size: number;
  readonly notes: readonly WalkNote[];
  readonly signal: AbortSignal;
}): Promise<VerifyFinding> {
  const { at, size, notes } = where;
  const note = notes.find((each) => each.at === at);
  if (note?.kind === 'segment-missing') {
    return {
      kind: 'segment-missing',
      broken: true,
      sequence: at,
      message: `entries from ${at} on are gone: ${note.message}`,
    };
  }
  const found = await readWindow(where);
  if (found.length === 0) return ending(at, size, note);
  const tiles = createTileLeaves(where);
  // Entries that moved up from behind the checkpoint are known from the tiles of later ones.
  const listed = Math.max(size, readLastCheckpoint(where.files, where.directory)?.claim?.size ?? 0);
  const isEntry = (payload: Buffer, sequence: number): boolean => {
    const hash = sequence < listed ? tiles.leaf(sequence) : undefined;
    return (
      hash !== undefined && (leafHash(payload).equals(hash) || (renumbered(payload, sequence)?.equals(hash) ?? false))
    );
  };
  const [first] = found;
  const claimed = first ? entryIn(first)?.seq : undefined;
  const laterPlaces = [...Array(WINDOW).keys()].map((step) => at + 1 + step);
  if (claimed !== undefined && claimed > at) laterPlaces.push(claimed);
  const belongsAt = laterPlaces.find((sequence) => first && isEntry(first, sequence));
  const standsAt = found.findIndex((payload, step) => step > 0 && isEntry(payload, at));
  if (belongsAt !== undefined && standsAt > 0) {
    const message = `entry ${at} was moved: it stands ${standsAt} places later, and entry ${belongsAt} in its place`;
    return { kind: 'entries-reordered', broken: true, sequence: at, message };
  }
  if (belongsAt !== undefined) {
    const which = belongsAt === at + 1 ? `entry ${at} was` : `entries ${at} to ${belongsAt - 1} were`;
    const message = `${which} dropped: entry ${belongsAt} stands there`;
    return { kind: 'entry-dropped', broken: true, sequence: at, untilSequence: belongsAt, message };
  }
  if (standsAt > 0) {
    const message = `${standsAt === 1 ? 'an entry was' : `${standsAt} entries were`} inserted before entry ${at}`;
    return { kind: 'entry-inserted', broken: true, sequence: at, message };
  }
  const because = note ? ` (${note.message})` : '';
  return { kind: 'entry-changed', broken: true, sequence: at, message: `entry ${at} was changed${because}` };
}

function ending(at: number, size: number, note: WalkNote | undefined): VerifyFinding {
  if (note) {
    const message = `entry ${at}, which is signed, is damaged: ${note.message}`;
    return { kind: 'entry-changed', broken: true, sequence: at, message };
  }
  const message = `the log ends before entry ${at}, but a signed checkpoint covers ${size} entries`;
  return { kind: 'truncated', broken: true, sequence: at, untilSequence: size, message };
}

/** The entries from number `at` on, as they stand. */
async function readWindow(where: {
  readonly files: LedgerFiles;
  readonly directory: string;
  readonly at: number;
  readonly signal: AbortSignal;
}): Promise<Buffer[]> {
  const payloads: Buffer[] = [];
  let position = 0;
  for (const { payload } of walkEntries(where, () => {})) {
    if (position % ENTRIES_A_TURN === 0) {
      await turn();
      throwIfAborted(where.signal);
    }
    if (position++ < where.at) continue;
    payloads.push(Buffer.from(payload));
    if (payloads.length > WINDOW) break;
  }
  return payloads;
}

/** The leaf hash that an entry would have under another number; undefined when it is none. */
function renumbered(payload: Buffer, sequence: number): Buffer | undefined {
  const entry = entryIn(payload);
  return entry && leafHash(Buffer.from(formatCanonicalJson({ ...entry, seq: sequence }), 'utf8'));
}

/** How far apart a moved entry and its place may be to be told from a dropped one. */
const WINDOW = 64;
const ENTRIES_A_TURN = 1024;
