import type { Duplex } from 'node:stream';
import { abortError } from '../std/index.ts';

/** What a link is for: a session, or, `aside`, a word about one that there is, such as that its statement is to be cancelled. */
export interface Preface {
  readonly kind: 'session' | 'aside';
  readonly target: string;
}

/**
 * Reads what an agent says before it carries a client's bytes: `CSL1`, or for a word aside `CSA1`, length (16 bits), the target's name. Undefined
 * when the peer went away or said something else. The stream is left paused; bytes behind the preface are put back.
 */
export function readPreface(link: Duplex, signal: AbortSignal): Promise<Preface | undefined> {
  return new Promise((resolve, reject) => {
    let bytes: Buffer = Buffer.alloc(0);
    const finish = (act: () => void) => {
      link.pause();
      link.off('data', onData).off('end', onGone).off('close', onGone);
      signal.removeEventListener('abort', onAbort);
      act();
    };
    const onAbort = () => finish(() => reject(abortError(signal)));
    const onGone = () => finish(() => resolve(undefined));
    const onData = (chunk: Buffer) => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      const preface = parsePreface(bytes);
      if (preface === 'more') return;
      finish(() => {
        if (preface !== undefined && bytes.length > preface.bytes) link.unshift(bytes.subarray(preface.bytes));
        resolve(preface);
      });
    };
    if (signal.aborted) return reject(abortError(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    link.on('data', onData).on('end', onGone).on('close', onGone).resume();
  });
}

/** What stands at the start of a link: `'more'` while it is incomplete, undefined when it is no preface. */
export function parsePreface(bytes: Buffer): (Preface & { bytes: number }) | 'more' | undefined {
  const magic = bytes.toString('latin1', 0, MAGIC_BYTES);
  const kind = magic === 'CSL1' ? 'session' : 'aside';
  if (!'CSL1'.startsWith(magic) && !'CSA1'.startsWith(magic)) return undefined;
  if (bytes.length < HEADER_BYTES) return 'more';
  const length = bytes.readUInt16BE(MAGIC_BYTES);
  if (length === 0 || length > TARGET_BYTES_MAX) return undefined;
  if (bytes.length < HEADER_BYTES + length) return 'more';
  return { kind, target: bytes.toString('utf8', HEADER_BYTES, HEADER_BYTES + length), bytes: HEADER_BYTES + length };
}

/**
 * Why a link is not taken: one sentence that the workload may see. `not-now`: whoever asks, so the agent leaves this gateway alone for some
 * seconds; `no`: by what was asked.
 */
export interface LinkRefusal {
  readonly status: 'no' | 'not-now';
  readonly what: string;
}

/** The answer: undefined = yes. */
export function encodePrefaceAnswer(refusal: LinkRefusal | undefined): Buffer {
  if (refusal === undefined) return Buffer.from([0]);
  const reason = Buffer.from(refusal.what, 'utf8').subarray(0, REASON_BYTES_MAX);
  // An agent that knows only yes and no takes anything but 0 for a no.
  const header = Buffer.from([refusal.status === 'no' ? 1 : 2, 0, 0]);
  header.writeUInt16BE(reason.length, 1);
  return Buffer.concat([header, reason]);
}

const MAGIC_BYTES = 4;
const HEADER_BYTES = MAGIC_BYTES + 2;
/** Names of targets are shorter. */
const TARGET_BYTES_MAX = 255;
const REASON_BYTES_MAX = 1024;
