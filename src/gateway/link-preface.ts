import type { Duplex } from 'node:stream';
import { abortError } from '../std/index.ts';

/**
 * Reads what an agent says before it carries a client's bytes: `CSL1`, length (16 bits), the target's name. Undefined when the peer
 * went away or said something else. The stream is left paused; bytes behind the preface are put back.
 */
export function readPreface(link: Duplex, signal: AbortSignal): Promise<string | undefined> {
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
        resolve(preface?.target);
      });
    };
    if (signal.aborted) return reject(abortError(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    link.on('data', onData).on('end', onGone).on('close', onGone).resume();
  });
}

/** What stands at the start of a link: `'more'` while it is incomplete, undefined when it is no preface. */
export function parsePreface(bytes: Buffer): { target: string; bytes: number } | 'more' | undefined {
  const known = Math.min(bytes.length, MAGIC.length);
  if (!bytes.subarray(0, known).equals(MAGIC.subarray(0, known))) return undefined;
  if (bytes.length < HEADER_BYTES) return 'more';
  const length = bytes.readUInt16BE(MAGIC.length);
  if (length === 0 || length > TARGET_BYTES_MAX) return undefined;
  if (bytes.length < HEADER_BYTES + length) return 'more';
  return { target: bytes.toString('utf8', HEADER_BYTES, HEADER_BYTES + length), bytes: HEADER_BYTES + length };
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

const MAGIC = Buffer.from('CSL1');
const HEADER_BYTES = MAGIC.length + 2;
/** Names of targets are shorter. */
const TARGET_BYTES_MAX = 255;
const REASON_BYTES_MAX = 1024;
