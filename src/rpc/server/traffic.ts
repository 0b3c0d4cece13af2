import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../std/index.ts';

/** What the calls of a connection account for, counted since it began. */
export interface Traffic {
  /** Calls that were opened. */
  calls: number;
  /** Bytes of their headers, as many as they would have uncompressed, and of their requests. */
  callBytes: number;
}

/**
 * Looks once a second at what a connection is good for. `noisy` is called when it brings more than belongs to its calls: header blocks that
 * are refused, pings, settings, priorities, unknown and empty frames, whatever HTTP/2 allows to be sent without end. node:http2 tells of
 * few of them and counts fewer, so what has come is compared with what came of it. `idle` is called when it had no call for `idleMsMax`.
 */
export function watchTraffic(options: {
  socket: Pick<Socket, 'bytesRead' | 'bytesWritten'>;
  timers: Pick<Clock, 'after'>;
  traffic: Traffic;
  openCalls: () => number;
  idleMsMax: number;
  noisy: () => void;
  idle: () => void;
}): Timer {
  const { socket, timers, traffic } = options;
  let noiseBytes = 0;
  let accountedBytes = 0;
  let calls = 0;
  let idleMs = 0;
  const look = () => {
    timer = timers.after(LOOK_MS, look);
    const unaccounted = socket.bytesRead - traffic.callBytes - Math.floor(socket.bytesWritten / ANSWERED_PER_BYTE);
    noiseBytes = Math.max(0, noiseBytes + unaccounted - accountedBytes - NOISE_BYTES_PER_LOOK);
    accountedBytes = unaccounted;
    if (noiseBytes > NOISE_BYTES_MAX) options.noisy();
    idleMs = options.openCalls() > 0 || traffic.calls !== calls ? 0 : idleMs + LOOK_MS;
    calls = traffic.calls;
    if (idleMs >= options.idleMsMax) options.idle();
  };
  let timer = timers.after(LOOK_MS, look);
  return { cancel: () => timer.cancel() };
}

const LOOK_MS = 1000;
/** Updates of windows for what a client was sent: the least that clients wait for before they send one is more than four times its size. */
const ANSWERED_PER_BYTE = 4;
/** A busy client has some hundred bytes of pings and settings a minute, and nine a frame. */
const NOISE_BYTES_PER_LOOK = 64 * 1024;
/** On top at one time: the rest of requests that were answered before they had come, of a window each. */
const NOISE_BYTES_MAX = 1024 * 1024;
