import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../std/index.ts';
import { RestError } from './errors.ts';

/** How long a client may take, ms. */
export interface ConnectionTimes {
  /** From its first moment, and after each answer, until the next request's headers are whole, however many bytes of them trickle in. */
  readonly headersMs: number;
  /** From there until its body is whole. */
  readonly bodyMs: number;
  /** From its headers until the answer is taken; not of one that goes on. */
  readonly answerMs: number;
}

export const connectionTimes: ConnectionTimes = { headersMs: 15_000, bodyMs: 30_000, answerMs: 120_000 };

/** Ends connections of clients that are too slow, in whatever they do slowly. */
export function createConnectionWatch(timers: Pick<Clock, 'after'>, times: ConnectionTimes) {
  const states = new WeakMap<Socket, State>();

  const idle = (socket: Socket, state: State) => {
    state.timer?.cancel();
    state.timer = timers.after(times.headersMs, () => socket.destroy());
  };

  return {
    begin(socket: Socket): void {
      const state: State = { open: 0, timer: undefined };
      states.set(socket, state);
      idle(socket, state);
      socket.once('close', () => state.timer?.cancel());
    },
    /** `isLive`: asked once the body's time is over, and the answer's. */
    request(request: IncomingMessage, response: ServerResponse, isLive: () => boolean): void {
      const { socket } = request;
      const state = states.get(socket);
      if (state === undefined) return;
      state.open++;
      state.timer?.cancel();
      request.on('error', () => {}); // Told to whoever reads the body; an end without a reader ends nothing else.
      const late = timers.after(times.bodyMs, () => {
        if (request.complete) return;
        request.emit('error', new RestError('ERR_REST_TIMEOUT', `the body was not whole within ${times.bodyMs} ms`));
      });
      const untaken = timers.after(times.answerMs, () => {
        if (!isLive()) socket.destroy();
      });
      response.once('close', () => {
        late.cancel();
        untaken.cancel();
        state.open--;
        if (state.open === 0 && !socket.destroyed) idle(socket, state);
      });
    },
  };
}

interface State {
  open: number;
  timer: Timer | undefined;
}
