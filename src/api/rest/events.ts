import type { ServerResponse } from 'node:http';
import { abortError, type Clock } from '../../std/index.ts';

/** A stream of server-sent events to one caller. */
export interface EventStream {
  /** `data`: one line; undefined: the id alone. Otherwise as `SendEvent`. */
  readonly send: (data: string | undefined, id: string) => Promise<void>;
  /** Ends it in order: the caller comes again, later, by itself. */
  end(): void;
}

/**
 * Begins one on an answer of which nothing was said yet. Every quarter of a minute the caller hears something; one that takes nothing for a minute is
 * cut off. `check` is asked as often, and whenever `onChange` calls, and ends the stream by throwing. `signal` ends it.
 * @see HTML Living Standard §9.2
 */
export function openEvents(options: {
  response: ServerResponse;
  headers: Readonly<Record<string, string>>;
  /** The name of the events. */
  name: string;
  clock: Pick<Clock, 'after'>;
  signal: AbortSignal;
  check: () => Promise<void>;
  /** Calls when somebody may be a caller no more; returns how to stop. */
  onChange?: (listener: () => void) => () => void;
}): EventStream {
  const { response, name, signal, clock } = options;
  response.writeHead(200, { ...options.headers, 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
  response.write(`retry: ${RETRY_MS}\n\n`);
  let waitsSince = 0;
  let timer = clock.after(BEAT_MS, beat);
  let isEnded = false;

  /** Nothing is written after it, and whoever does not take what is left by the next beat is cut off. */
  function end(): void {
    if (isEnded) return;
    isEnded = true;
    timer.cancel();
    if (response.closed) return;
    timer = clock.after(BEAT_MS, () => response.destroy());
    response.end();
  }
  function beat(): void {
    if (response.destroyed || signal.aborted) return;
    waitsSince = response.writableNeedDrain ? waitsSince + 1 : 0;
    if (waitsSince >= BEATS_WITHOUT_ROOM_MAX) return void response.destroy();
    // Whoever does not read is not given more to read.
    if (waitsSince === 0) response.write(': \n\n');
    timer = clock.after(BEAT_MS, beat);
    look();
  }
  const look = () => void options.check().catch(end);
  const stopListening = options.onChange?.(look);
  response.once('close', () => {
    timer.cancel();
    stopListening?.();
  });

  return {
    async send(data, id) {
      if (isEnded || signal.aborted || response.destroyed) throw abortError(signal);
      const said = data === undefined ? '' : `event: ${name}\ndata: ${data}\n`;
      const hasRoom = response.write(`id: ${id}\n${said}\n`);
      if (!hasRoom) await drained(response, signal);
    },
    end,
  };
}

function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = () => {
      response.off('drain', finish).off('close', finish);
      signal.removeEventListener('abort', finish);
      if (signal.aborted || response.destroyed) reject(abortError(signal));
      else resolve();
    };
    response.once('drain', finish).once('close', finish);
    signal.addEventListener('abort', finish);
  });
}

const RETRY_MS = 2000;
/** Below the half minute after which proxies take a connection for dead. */
const BEAT_MS = 15_000;
const BEATS_WITHOUT_ROOM_MAX = 4;
