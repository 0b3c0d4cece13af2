import pg from 'pg';
import { type Clock, type Log, messageOf, type Service, sleep, throwIfAborted } from '../../../std/index.ts';
import type { Client } from './client.ts';
import { storeErrorOf } from './postgres-errors.ts';

/**
 * Holds one connection that listens on `channel`. `start` resolves once it listens; when it breaks it is made again with a growing delay,
 * and `onReconnected` is called as soon as it listens again: whatever was notified between is lost.
 */
export function createNotificationListener(deps: {
  clock: Clock;
  log: Log;
  channel: string;
  connect: () => Client;
  onPayload: (payload: string) => void;
  onReconnected: () => void;
}): Service {
  const { clock, log, channel, onPayload } = deps;
  const ending = new AbortController();
  let current: Client | undefined;
  let loop: Promise<void> = Promise.resolve();

  const listen = async (): Promise<Listening> => {
    const client = deps.connect();
    current = client;
    const ended = new Promise<void>((resolve) => {
      client.on('end', resolve);
      client.on('error', () => resolve());
    });
    client.on('notification', (message) => onPayload(message.payload ?? ''));
    try {
      await client.connect();
      await client.query(`listen ${pg.escapeIdentifier(channel)}`);
    } catch (error) {
      client.cut();
      throw storeErrorOf(error);
    }
    return { client, ended };
  };

  const watch = async ({ client, ended }: Listening) => {
    let alive = true;
    const over = ended.then(() => {
      alive = false;
    });
    while (alive) {
      const pause = new AbortController();
      // Nobody else ever sends on this connection: without a question a dead peer would never be noticed.
      await Promise.race([over, sleep(clock, PING_EVERY_MS, pause.signal).catch(() => {})]);
      pause.abort();
      if (!alive) return;
      const ping: pg.QueryConfig & { query_timeout: number } = { text: 'select 1', query_timeout: PING_MS_MAX };
      await client.query(ping).catch((error: unknown) => {
        log.warn('store.listener.silent', { reason: messageOf(error) });
        alive = false;
      });
    }
  };

  const keepListening = async (first: Listening) => {
    for (let listening: Listening | undefined = first; listening; ) {
      await watch(listening);
      listening.client.cut();
      if (ending.signal.aborted) return;
      log.warn('store.listener.lost', { channel });
      listening = await reconnect();
      if (!listening) return;
      log.info('store.listener.restored', { channel });
      deps.onReconnected();
    }
  };

  /** Undefined once `stop` was called. */
  const reconnect = async (): Promise<Listening | undefined> => {
    for (let delayMs = RECONNECT_MS_MIN; !ending.signal.aborted; delayMs = Math.min(delayMs * 2, RECONNECT_MS_MAX)) {
      try {
        return await listen();
      } catch (error) {
        log.warn('store.listener.retry', { reason: messageOf(error), delayMs });
        // Rejects only when `stop` aborts it, which the loop looks for.
        await sleep(clock, delayMs, ending.signal).catch(() => {});
      }
    }
    return undefined;
  };

  return {
    async start(signal) {
      throwIfAborted(signal);
      loop = keepListening(await listen());
    },
    async stop() {
      ending.abort();
      // Without a word: the driver never tells whoever still waits for a connection that is ended.
      current?.cut();
      await loop;
    },
  };
}

/** A connection that listens, and the promise of its end. */
interface Listening {
  readonly client: Client;
  readonly ended: Promise<void>;
}

const RECONNECT_MS_MIN = 100;
/** A database that is back should be used within seconds. */
const RECONNECT_MS_MAX = 5000;
const PING_EVERY_MS = 30_000;
const PING_MS_MAX = 10_000;
