import { type Connect, createRpcClient, type RpcClient } from '../../rpc/index.ts';
import { type Clock, type Log, messageOf, type Random, type Service, sleep } from '../../std/index.ts';

/** The stream of updates from the server. */
export interface ControlWatch extends Service {
  /** Calls the server over the connection that the stream has. @throws RpcError */
  readonly unary: RpcClient['unary'];
  /** What it last failed with, and for how long it has brought nothing; undefined while it is open. */
  problem(): { readonly error: unknown; readonly forMs: number } | undefined;
}

/**
 * Follows a stream of updates from the server for as long as it runs: applies each one, in order, and connects again when the stream
 * ends. What was applied last stays in force meanwhile. `start` does not wait for the first update.
 */
export function createControlWatch<Update>(deps: {
  clock: Clock;
  random: Random;
  log: Log;
  connect: Connect;
  follow: (client: RpcClient, signal: AbortSignal) => AsyncIterable<Update>;
  /** A throw leaves what is in force as it is. */
  apply: (update: Update) => Promise<void>;
  /** Is told the server's clock each time the stream begins. */
  onServerTime: (epochMs: number) => void;
}): ControlWatch {
  const { clock, random, log } = deps;
  const stop = new AbortController();
  const client = createRpcClient({
    ...{ clock, log, connect: deps.connect, onServerTime: deps.onServerTime },
    pings: SERVER_PINGS,
  });
  let problem: { readonly error: unknown; readonly sinceMonoMs: number } | undefined;
  let running: Promise<void> = Promise.resolve();

  async function run(): Promise<void> {
    let pauseMs = PAUSE_MS_MIN;
    while (!stop.signal.aborted) {
      try {
        for await (const update of deps.follow(client, stop.signal)) {
          pauseMs = PAUSE_MS_MIN;
          problem = undefined;
          await deps.apply(update).catch((error) => log.error('app.update.refused', { error }));
        }
      } catch (error) {
        if (!stop.signal.aborted) log.warn('app.watch.ended', { problem: messageOf(error) });
        problem = { error, sinceMonoMs: problem?.sinceMonoMs ?? clock.monotonicMs() };
      }
      client.reconnect();
      await sleep(clock, pauseMs * (0.5 + random.fraction()), stop.signal).catch(() => {}); // Stopping ends the loop.
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
    }
  }

  return {
    unary: client.unary,
    problem: () => problem && { error: problem.error, forMs: clock.monotonicMs() - problem.sinceMonoMs },
    async start() {
      running = run();
    },
    async stop() {
      stop.abort();
      await client.close();
      await running;
    },
  };
}

/** A server that vanished is left within six seconds; one whose event loop stands still for four counts as that, and is come back to. */
const SERVER_PINGS = { intervalMs: 2_000, timeoutMs: 4_000 };
const PAUSE_MS_MIN = 200;
/** With what chance adds, half of the time that a server that has just started gives its gateways to come back. */
const PAUSE_MS_MAX = 2_500;
