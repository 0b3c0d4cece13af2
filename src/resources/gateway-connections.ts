import { parseSpiffeId } from '@countersign/sdk/identity';
import type { Kysely } from 'kysely';
import type { GatewayReport, GatewayState } from '../model/index.ts';
import { type Clock, createLimiter, type Log, sleep, type Timer } from '../std/index.ts';
import { ResourcesError } from './errors.ts';
import { createReportPace, type ReportPace } from './gateway-reports.ts';
import { type GatewayRow, instanceKey, writeGateway } from './gateway-rows.ts';
import type { ResourcesTables } from './migrations.ts';
import type { GatewayInstance, Resources } from './types.ts';

/** The gateways that watch this server, and their rows in the store. */
export interface GatewayConnections {
  report: Resources['reportGateway'];
  keepReport: Resources['keepReport'];
  /**
   * Writes those once more that are here and connected nowhere in the store: whichever server took this one for gone, or wrote late what was true before
   * they came here. `gone` tells of which the store says so; all are looked at where it is not given. @throws StoreError
   */
  restore(gone?: ReadonlySet<string>): Promise<void>;
  /** Writes nothing more. */
  stop(): void;
}

/** Runs a change of gateways, and tells all servers of it; true from `work` means that there was one. */
export type Write = (work: (trx: Kysely<ResourcesTables>) => Promise<boolean>) => Promise<boolean>;

/** Creates those of the server that calls itself `owner`; `keep` keeps what they say. */
export function createGatewayConnections(
  deps: WriterDeps & {
    keep: (gateway: GatewayInstance, report: GatewayReport, pace: ReportPace) => Promise<void>;
  },
): GatewayConnections {
  const connections = new Map<string, Connection>();
  const writer = createWriter(deps, (one) => void connections.delete(instanceKey(one)));
  return {
    async report({ spiffeId, address, instance = '', connected, state = 'serving' }) {
      checkAddress(address);
      const gateway = { spiffeId: parseSpiffeId(spiffeId).uri, address, instance };
      const one = connections.get(instanceKey(gateway)) ?? createConnection(gateway);
      connections.set(instanceKey(gateway), one);
      if (connected && one.count === 0) one.isNew = true;
      if (connected) Object.assign(one, { state, hasCome: true });
      one.count = Math.max(0, one.count + (connected ? 1 : -1));
      await writer.write(one);
    },
    async keepReport({ spiffeId, address, instance = '' }, report) {
      const gateway = { spiffeId, address, instance };
      const one = connections.get(instanceKey(gateway));
      if (one === undefined || one.count === 0)
        throw new ResourcesError('ERR_RESOURCES_GATEWAY', `no gateway at ${address} watches this server`);
      const isNews = one.state !== report.state || one.isUnwritten;
      one.state = report.state;
      // First: one that reports too often is heard out on this.
      const told = isNews ? writer.write(one) : undefined;
      told?.catch(() => {}); // Looked at below.
      await deps.keep(gateway, report, one.reports);
      await told;
    },
    async restore(gone) {
      // What is still to be written needs no second time.
      const lost = Array.from(connections).flatMap(([key, one]) =>
        one.count > 0 && (gone === undefined || (gone.has(key) && !one.isUnwritten)) ? [one] : [],
      );
      if (lost.length > 0) await deps.write((trx) => restoreAll(trx, lost, deps));
    },
    stop() {
      writer.stop();
      for (const { later } of connections.values()) later?.cancel();
    },
  };
}

async function restoreAll(
  trx: Kysely<ResourcesTables>,
  lost: readonly Connection[],
  deps: WriterDeps,
): Promise<boolean> {
  let isNews = false;
  for (const one of lost) {
    if (one.count === 0) continue;
    try {
      const { isChanged } = await writeGateway(trx, rowOf(one, deps), { hasCome: false });
      isNews ||= isChanged;
    } catch (error) {
      // Others came in its place. That it is not listed is no reason for all others not to be.
      if (!(error instanceof ResourcesError)) throw error;
      deps.log.warn('resources.gateway.unlisted', { ...whoIs(one), problem: error.message });
    }
  }
  return isNews;
}

interface WriterDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly owner: string;
  readonly write: Write;
}

/**
 * Writes what is new of an instance: at once, a few times; then at its pace, as it is by then, since each time all servers read it, and agents are
 * told. `forget` is called for one that is gone when its pace is as new.
 */
function createWriter(
  deps: WriterDeps,
  forget: (one: Connection) => void,
): { write(one: Connection): Promise<void>; stop(): void } {
  const { clock, log } = deps;
  const stopping = new AbortController();
  const inTurn = createLimiter({
    runningMax: 1,
    waitersMax: REPORTS_WAITING_MAX,
    full: () => new ResourcesError('ERR_RESOURCES_LIMIT', `${REPORTS_WAITING_MAX} reports of gateways wait already`),
  });
  /** Of identities: whoever makes up gateways without end must not have those of others wait for their turn. */
  const paces = new Map<string, ChangePace>();
  const paceOf = (spiffeId: string): ChangePace => {
    const pace = paces.get(spiffeId) ?? createChangePace(IDENTITY_PACE);
    paces.set(spiffeId, pace);
    for (const oldest of paces.keys()) if (paces.size > IDENTITIES_MAX) paces.delete(oldest);
    return pace;
  };
  const writeNow = async (one: Connection) => {
    one.writing = undefined; // What is new from here on is written after this.
    const { isNew, hasCome } = one;
    // What it said belongs to the connection over which it was said.
    const row = { ...rowOf(one, deps), ...(isNew ? { reported: null, findings: null } : {}) };
    Object.assign(one, { isNew: false, hasCome: false, isUnwritten: false });
    let shared = 0;
    try {
      await deps.write(async (trx) => {
        const written = await writeGateway(trx, row, { hasCome });
        shared = written.shared;
        return written.isChanged;
      });
    } catch (error) {
      one.isNew ||= isNew;
      one.hasCome ||= hasCome;
      throw error;
    }
    if (shared > 0) log.warn('resources.gateway.identity_shared', sharedBy(one, shared));
  };
  const begin = async (one: Connection): Promise<void> => {
    one.later?.cancel();
    try {
      const nowMs = clock.monotonicMs();
      const waitMs = Math.max(one.changes.next(nowMs), paceOf(one.spiffeId).next(nowMs));
      if (waitMs > 0) await sleep(clock, waitMs, stopping.signal);
      // One after the other, and each writes what is true when its turn comes: the last one written is the last that happened.
      await inTurn.run(() => writeNow(one), stopping.signal);
      if (one.count === 0 && !one.isUnwritten) one.later = clock.after(FORGOTTEN_MS, () => forget(one));
    } catch (error) {
      one.writing = undefined;
      one.isUnwritten = true;
      // Whoever said it hears of it; but one that is gone says nothing again, and must not count as there for ever.
      if (!stopping.signal.aborted) one.later = clock.after(RETRY_MS, () => void write(one).catch(() => {}));
      throw error;
    }
  };
  const write = (one: Connection): Promise<void> => {
    one.isUnwritten = true;
    one.writing ??= begin(one);
    return one.writing;
  };
  return { write, stop: () => stopping.abort() };
}

function rowOf({ spiffeId, address, instance, count, state }: Connection, { clock, owner }: WriterDeps): GatewayRow {
  const row = { spiffe_id: spiffeId, address, instance, since_ms: clock.now(), owner };
  // As what comes next: it may be to a server, or be a gateway, that knows nothing of states.
  return count > 0 ? { ...row, connected: 1, state } : { ...row, connected: 0, state: 'serving' };
}

/** An instance that watches this server, or did so just now. */
interface Connection extends GatewayInstance {
  /** Its streams: a new one may come before the old one is known to be gone. */
  count: number;
  state: GatewayState;
  /** It was not here when it was written last. */
  isNew: boolean;
  /** A stream of it has begun since it was written last. */
  hasCome: boolean;
  isUnwritten: boolean;
  /** Waits for its pace, or its turn. */
  writing: Promise<void> | undefined;
  later: Timer | undefined;
  readonly changes: ChangePace;
  readonly reports: ReportPace;
}

function createConnection(gateway: GatewayInstance): Connection {
  return {
    ...gateway,
    ...{ count: 0, state: 'serving', isNew: false, hasCome: false, isUnwritten: false },
    ...{ writing: undefined, later: undefined },
    ...{ changes: createChangePace(INSTANCE_PACE), reports: createReportPace() },
  };
}

/** How fast changes of one gateway, or of one identity, are written. */
interface ChangePace {
  /** In how many milliseconds the next one may be. */
  next(nowMs: number): number;
}

function createChangePace({ atOnce, everyMs }: { atOnce: number; everyMs: number }): ChangePace {
  let [left, atMs] = [atOnce, 0];
  return {
    next(nowMs) {
      left = Math.min(atOnce, left + (nowMs - atMs) / everyMs) - 1;
      atMs = nowMs;
      return Math.max(0, -left * everyMs);
    },
  };
}

/** For the log: its instance is not for others to know. */
function whoIs({ spiffeId, address }: GatewayInstance) {
  return { spiffeId, address };
}

/** One process may speak as another where both have one SPIFFE ID: who reads the log can give each its own. */
function sharedBy(one: GatewayInstance, others: number) {
  return {
    ...whoIs(one),
    others,
    next: 'give each gateway an entry of its own, unless one was killed and started again just now',
  };
}

function checkAddress(address: string): void {
  const port = Number(/^(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):(\d{1,5})$/.exec(address)?.[1] ?? 0);
  if (port >= 1 && port <= 65_535) return;
  throw new ResourcesError('ERR_RESOURCES_ADDRESS', 'a gateway advertises an address that is no host:port');
}

/** One starts, serves, leaves and is gone, and is there again. */
const INSTANCE_PACE = { atOnce: 6, everyMs: 2_500 };
/** A hundred gateways may come at once. */
const IDENTITY_PACE = { atOnce: 200, everyMs: 50 };
/** As many as there may be gateways. */
const IDENTITIES_MAX = 10_000;
/** By then its pace is as new. */
const FORGOTTEN_MS = INSTANCE_PACE.atOnce * INSTANCE_PACE.everyMs;
const RETRY_MS = 5_000;
const REPORTS_WAITING_MAX = 10_000;
