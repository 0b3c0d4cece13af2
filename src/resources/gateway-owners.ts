import type { Kysely } from 'kysely';
import { type Clock, type Log, messageOf, type Service, type Timer } from '../std/index.ts';
import { type Lease, type Store, StoreError } from '../store/index.ts';
import { createBeats } from './beats.ts';
import type { Write } from './gateway-connections.ts';
import { disconnectOwners } from './gateway-rows.ts';
import type { ResourcesTables } from './migrations.ts';
import { createServerLease, RENEW_MS } from './server-lease.ts';
import type { Resources } from './types.ts';

/** Which servers are there: what one of them says of its gateways is true for as long as it is. */
export interface GatewayOwners extends Service {
  /** Writes in the name of this server, never as one that others have taken for gone: it is there again before. */
  readonly write: Write;
  readonly servers: Resources['servers'];
}

interface OwnersDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly owner: string;
  /** Runs a change of gateways. */
  readonly write: Write;
  /** Writes the gateways that are here once more where they are connected nowhere; called now and then, and when this server was taken for gone. */
  readonly restore: (gone?: 'all') => Promise<void>;
}

/**
 * Creates them. Nobody says goodbye for a server that was killed: its gateways would stay connected for ever. Each server holds a lease; whoever sees
 * that one is over takes it away, and in the same transaction the gateways that its server reported are gone. Such a server, if it merely stood
 * still, finds its lease lost at its next write or renewal and begins anew.
 */
export function createGatewayOwners(deps: OwnersDeps): GatewayOwners {
  const { clock, log } = deps;
  const lease = createServerLease(deps);
  const beats = createBeats(deps);
  const seenServers = { held: 0, gone: 0 };
  let timer: Timer | undefined;
  let stopped = false;
  let running: Promise<unknown> = Promise.resolve();

  const guarded: Write = (work) =>
    deps.write(async (trx) => {
      await lease.guard(asNever(trx));
      return work(trx);
    });
  const write: Write = async (work) => {
    try {
      return await guarded(work);
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'ERR_STORE_LEASE')) throw error;
      const wasLost = await lease.renew();
      const isNews = await guarded(work);
      if (wasLost) await deps.restore('all');
      return isNews;
    }
  };
  const bury = async (over: readonly Lease[]) => {
    let gone: readonly Lease[] = [];
    await deps.write(async (trx) => {
      gone = await lease.removeGone(asNever(trx), over);
      const owners = gone.map(({ name }) => name);
      return disconnectOwners(trx, owners, clock.now());
    });
    seenServers.gone += gone.length;
    for (const { name } of gone) log.warn('resources.server.gone', { server: name });
  };
  const look = async () => {
    const wasLost = await lease.renew();
    const seen = await lease.look();
    seenServers.held = seen.held.length;
    if (seen.gone.length > 0) await bury(seen.gone);
    await beats.beat(new Set([...seen.held, ...seen.over].map(({ name }) => name)));
    await deps.restore(wasLost ? 'all' : undefined);
  };
  const lookSoon = () => {
    timer = clock.after(RENEW_MS, () => {
      running = look()
        .catch((error: unknown) => log.warn('resources.server.not_renewed', { problem: messageOf(error) }))
        .finally(() => {
          if (!stopped) lookSoon();
        });
    });
  };
  return {
    write,
    servers: () => ({
      ...seenServers,
      ...{ selfGone: lease.timesLost(), selfGoneForMs: lease.lostForMs(), selfUnheardMs: lease.unheardMs() },
    }),
    async start() {
      await look();
      lookSoon();
    },
    async stop() {
      stopped = true;
      timer?.cancel();
      await running;
      // The lease ends by itself: until then the gateways find another server, and are not gone.
    },
  };
}

function asNever(trx: Kysely<ResourcesTables>): Kysely<never> {
  return trx as unknown as Kysely<never>; // The tables of leases are in the same database.
}
