import { assert } from '../../std/index.ts';
import { formatCheckpoint, parseCheckpoint } from './checkpoint.ts';
import { TlogError } from './errors.ts';
import { formatInclusionText, parseInclusionText } from './inclusion-text.ts';
import { formatSignature, type Note, parseNote, parseVerifierKey } from './note.ts';

/** Notes, checkpoints, proofs and keys are read or refused; what is read is written back as it was. */
export function fuzz(input: Uint8Array): void {
  const text = Buffer.from(input).toString('utf8');
  attempt(() => parseVerifierKey(text));
  const path = attempt(() => parseInclusionText(text));
  if (path && !text.includes('\nextra ')) assert(formatInclusionText(path) === text, 'a proof has one spelling');
  const note: Note | undefined = attempt(() => parseNote(text));
  if (!note) return;
  assert(`${note.text}\n${note.signatures.map(formatSignature).join('')}` === text, 'a note has one spelling');
  const checkpoint = attempt(() => parseCheckpoint(note.text));
  if (!checkpoint) return;
  assert(note.text.startsWith(formatCheckpoint(checkpoint)), 'a checkpoint has one spelling');
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof TlogError) return undefined;
    throw error;
  }
}

const ROOT = 'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=';
const NOTE = `log.example/1\n20852163\n${ROOT}\n\n\u2014 log.example/1 AAAAAWFiY2Q=\n`;
export const seeds: readonly Uint8Array[] = [
  NOTE,
  `${NOTE}\u2014 witness.example AAAAAmFiY2Q=\n`,
  `c2sp.org/tlog-proof@v1\nindex 5\n${ROOT}\n\n${NOTE}`,
  `c2sp.org/tlog-proof@v1\nextra AA==\nindex 5\n\n${NOTE}`,
  'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW',
  `log.example/1\n020852163\n${ROOT}\next\n\n\u2014 log.example/1 AAAAAWFiY2Q=\n`,
].map((text) => Buffer.from(text));

export const tokens = [
  '\n',
  '\n\n',
  '\u2014 ',
  'log.example/1',
  ROOT,
  'AA==',
  '+',
  'index ',
  'extra ',
  'c2sp.org/tlog-proof@v1\n',
  '0',
  ' ',
];
