import { connect, type Socket } from 'node:net';
import { type Clock, codeOf } from '../../std/index.ts';
import { encodeMessage, type Message, parseMessage } from './messages.ts';

/** One agent's end of its talk with another. */
export interface Channel {
  send(message: Message): void;
  /** The next message; undefined when the other side has gone. Rejects when none comes in time, or something that is none. */
  next(withinMs?: number): Promise<Message | undefined>;
  /** One has come that was not asked for yet. */
  hasMore(): boolean;
  /** The other side has gone. */
  isOver(): boolean;
  /** Once it has; what it says until then is of no account. */
  over(): Promise<void>;
  close(): void;
}

/** Speaks on a socket, and closes it. */
export function createChannel(socket: Socket, clock: Clock): Channel {
  const messages: (Message | Error)[] = [];
  let text = '';
  let isOver = false;
  let wake = () => {};
  const ended = Promise.withResolvers<void>();
  const over = () => {
    isOver = true;
    ended.resolve();
    wake();
  };
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    text += chunk;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      messages.push(parseMessage(text.slice(0, end)) ?? new Error(NO_MESSAGE));
      text = text.slice(end + 1);
    }
    if (text.length > LINE_CHARS_MAX || messages.length > MESSAGES_MAX) {
      messages.push(new Error(NO_MESSAGE));
      socket.destroy();
    }
    wake();
  });
  socket.on('error', () => {}); // 'close' follows and says all there is to know.
  socket.on('end', over).on('close', over);
  return {
    send(message) {
      if (!socket.destroyed) socket.write(encodeMessage(message));
    },
    async next(withinMs) {
      let isLate = false;
      const beLate = () => {
        isLate = true;
        wake();
      };
      // Where this process was held up, what came meanwhile is heard of before it counts as late.
      let late = withinMs === undefined ? undefined : clock.after(withinMs, () => (late = clock.after(0, beLate)));
      try {
        for (;;) {
          const message = messages.shift();
          if (message instanceof Error) throw message;
          if (message !== undefined || isOver) return message;
          if (isLate) throw new Error(`it says nothing for ${withinMs} ms`);
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      } finally {
        late?.cancel();
      }
    },
    hasMore: () => messages.length > 0,
    isOver: () => isOver,
    over: () => ended.promise,
    close: () => void socket.end(() => socket.destroy()),
  };
}

/** Opens a channel to whoever listens at `path`; undefined when nobody does. */
export function openChannel(path: string, clock: Clock): Promise<Channel | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(createChannel(socket, clock)));
    socket.on('error', (error) => {
      // The last is said of a path that is too long for a socket.
      if (['ENOENT', 'ECONNREFUSED', 'EINVAL'].includes(codeOf(error) ?? '')) resolve(undefined);
      else reject(error);
    });
  });
}

const NO_MESSAGE = 'what it says is not understood';
/** A thousand doors of a hundred characters. */
const LINE_CHARS_MAX = 256 * 1024;
const MESSAGES_MAX = 16;
