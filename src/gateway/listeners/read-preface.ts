import type { Duplex } from 'node:stream';
import { abortError } from '../../std/index.ts';
import { type LinkPreface, type LinkVersion, parseLinkPreface } from '../../wire/link/index.ts';

/**
 * Reads what an agent says before it carries a client's bytes. Undefined when the peer went away or said something else. The stream is left
 * paused; bytes behind the preface are put back.
 */
export function readPreface(link: Duplex, version: LinkVersion, signal: AbortSignal): Promise<LinkPreface | undefined> {
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
      const read = parseLinkPreface(bytes, version);
      if (read === 'more') return;
      finish(() => {
        if (read === 'wrong') return resolve(undefined);
        if (bytes.length > read.bytes) link.unshift(bytes.subarray(read.bytes));
        resolve(read.preface);
      });
    };
    if (signal.aborted) return reject(abortError(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    link.on('data', onData).on('end', onGone).on('close', onGone).resume();
  });
}
