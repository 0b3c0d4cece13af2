import koffi from 'koffi';
import { type Clock, followAbort } from '../../std/index.ts';

/** Whether standard output still has a reader. */
export interface ReaderWatch {
  /** Aborts once it has none, and when the signal does that was given. */
  readonly signal: AbortSignal;
  readonly isGone: boolean;
  /** Looks no more. */
  release(): void;
}

/**
 * Looks four times a second whether the reader of standard output has left, as `head` does: who writes nothing is not told. Where the system
 * can't be asked it is told with its next line.
 */
export function watchReader(clock: Clock, signal: AbortSignal): ReaderWatch {
  const { signal: either, abort, release } = followAbort(signal);
  const isReaderGone = pollOf(process.stdout.fd);
  let isGone = false;
  let timer = clock.after(0, look);
  function look() {
    isGone = isReaderGone();
    if (isGone) abort();
    else timer = clock.after(LOOK_MS, look);
  }
  return {
    signal: either,
    get isGone() {
      return isGone;
    },
    release() {
      timer.cancel();
      release();
    },
  };
}

/** Node asks the system about a pipe only while it has something to write. @see poll(2) */
function pollOf(fd: number): () => boolean {
  try {
    const poll = koffi.load(null).func('int poll(_Inout_ void *, unsigned long, int)');
    return () => {
      const asked = Buffer.alloc(8); // struct pollfd: int fd; short events; short revents
      asked.writeInt32LE(fd);
      const answered: number = poll(asked, 1, 0);
      return answered > 0 && (asked.readInt16LE(6) & (POLLERR | POLLHUP)) !== 0;
    };
  } catch {
    return () => false;
  }
}

const LOOK_MS = 250;
const POLLERR = 8;
const POLLHUP = 16;
