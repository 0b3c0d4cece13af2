import { createListener, createTurns, defaultLimits, type Listen, type Peer, type RpcLimits } from '../../rpc/index.ts';
import { type Clock, createSampledLog, type Log, type Service, sleep } from '../../std/index.ts';
import type { RestApp } from './rest-app.ts';

/** Where REST is served. */
export interface RestServer extends Service {
  /** Where it listens, once started, in the order given. */
  addresses(): readonly ({ readonly unix: string } | { readonly host: string; readonly port: number })[];
}

/**
 * Serves REST at each of the places: with the admission of strangers, handshakes and sockets that gRPC has. The app is loaded when somebody comes for
 * the first time.
 */
export function createRestServer(deps: {
  readonly clock: Clock;
  readonly log: Log;
  readonly listen: readonly Listen[];
  readonly load: () => Promise<RestApp>;
  readonly limits?: Partial<RpcLimits>;
}): RestServer {
  const { clock, log } = deps;
  const refused = createSampledLog({ clock, log });
  const limits: RpcLimits = { ...defaultLimits, ...REST_LIMITS, ...deps.limits };
  let app: Promise<RestApp> | undefined;
  let stopping = false;

  const take = async (peer: Peer, known: () => void) => {
    try {
      app ??= deps.load();
      const loaded = await app;
      if (stopping || peer.socket.destroyed) return void peer.socket.destroy();
      loaded.take(peer, known);
    } catch (error) {
      log.error('api.rest.not_loaded', { error });
      app = undefined;
      peer.socket.destroy();
    }
  };
  const listeners = deps.listen.map((listen) => {
    const listener = createListener({
      ...{ clock, log, refused, listen, limits, turns: createTurns(), alpn: 'http/1.1' },
      accept(peer) {
        peer.socket.on('error', () => {}); // 'close' follows and says all there is to know.
        if (stopping) return void peer.socket.destroy();
        void take(peer, () => listener.vouch(peer));
      },
    });
    return listener;
  });
  return {
    async start() {
      for (const listener of listeners) await listener.open();
    },
    async stop() {
      stopping = true;
      for (const listener of listeners) listener.close();
      const over = new AbortController();
      const grace = sleep(clock, limits.graceMs, over.signal).then(
        () => over.abort(),
        () => {},
      );
      await (await app?.catch(() => undefined))?.drain(over.signal);
      over.abort();
      await grace;
      for (const listener of listeners) listener.destroy();
      refused.stop();
    },
    addresses: () => listeners.map((listener) => listener.address()),
  };
}

/** People and scripts, not every node of a company. */
const REST_LIMITS = {
  connectionsMax: 2000,
  connectionsPerSourceMax: 1000,
  strangersMax: 200,
  strangersPerSourceMax: 100,
} as const satisfies Partial<RpcLimits>;
