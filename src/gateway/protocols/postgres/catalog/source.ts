import { type Log, messageOf, raceAbort, sleep, type Timer, timeoutSignal } from '../../../../std/index.ts';
import {
  Backend,
  encodeQuery,
  encodeTerminate,
  Framer,
  readDataRow,
  readErrorFields,
  readReadyForQuery,
} from '../../../../wire/postgres/index.ts';
import { GatewayError } from '../../../errors.ts';
import { endTarget } from '../end-connections.ts';
import {
  CONNECT_MS_MAX,
  openUpstream,
  REQUIRED_PARAMETERS,
  type Upstream,
  type UpstreamDeps,
} from '../login/upstream.ts';
import { type Catalog, type CatalogQuestion, createCatalogMirror } from '../sql/index.ts';

/** Snapshots of one database's catalog, read over a connection of the gateway's own and shared by its sessions. */
export interface CatalogSource {
  /** The newest snapshot; undefined when none could be taken for {@link SNAPSHOT_MS_MAX}. */
  current(): Catalog | undefined;
  /** True once nobody knows which path the session has: it can only be made anew. */
  readonly isOutdated: boolean;
  /** Takes a snapshot that begins after this call, or shares one that is about to begin. @throws GatewayError; the abort error */
  refresh(signal: AbortSignal): Promise<void>;
  /** Keeps snapshots coming while held; makes sure that there is one of the last second. Call the result to let go. @throws as `refresh` */
  hold(signal: AbortSignal): Promise<() => void>;
  /** Closes the connection; running snapshots fail. */
  close(): void;
}

/**
 * The source that sessions of one database share, as long as they logged in under the same search path: names mean what a snapshot says only to a
 * session whose path is that of the source's connection. ALTER ROLE and ALTER DATABASE change the path of later logins alone.
 */
export interface SharedCatalogs {
  /** The source as one session sees it, asked for before it logs in: it has no snapshot for a session whose path may be another. */
  forSession(options?: { readonly hasOwnPath: boolean }): CatalogSource;
  /** True once new logins have another path: they need another source. */
  readonly outdated: boolean;
  /** True when no session holds it. */
  readonly idle: boolean;
  /** What the snapshot takes in memory, about. */
  readonly bytes: number;
  /** As {@link CatalogSource.close}. */
  close(): void;
}

/** Creates the source for one database of a target. Connects when first held. */
export function createCatalogSource(deps: CatalogDeps): SharedCatalogs {
  return new Source(deps);
}

interface CatalogDeps extends UpstreamDeps {
  readonly log: Log;
  readonly database: string;
  /** Told of each snapshot that is not like the one before. */
  readonly taken?: (catalog: Catalog) => void;
}

type CatalogRows = readonly (readonly (string | null)[])[];
type Answers = ReadonlyMap<CatalogQuestion['name'], CatalogRows>;

class Source implements SharedCatalogs {
  readonly #deps: CatalogDeps;
  readonly #abort = new AbortController();
  #upstream: Upstream | undefined;
  readonly #mirror = createCatalogMirror();
  /** Who has answered what stays true for as long as the connection. */
  readonly #lasting = new WeakSet<Upstream>();
  /** The search path as set, of the connection and of every session that may rely on it. */
  #path: string | undefined;
  /** When it was last seen that new logins still get that path. */
  #provenMs = Number.NEGATIVE_INFINITY;
  #outdated = false;
  #takenMs = Number.NEGATIVE_INFINITY;
  #holders = 0;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(deps: CatalogDeps) {
    this.#deps = deps;
  }

  get outdated(): boolean {
    return this.#outdated;
  }

  get idle(): boolean {
    return this.#holders === 0;
  }

  get bytes(): number {
    return this.#mirror.bytes;
  }

  forSession({ hasOwnPath } = { hasOwnPath: false }): CatalogSource {
    let loggedInByMs = Number.POSITIVE_INFINITY;
    // A login that was over when the path was last proven has it still; of a later one nobody knows, unless it asked for its own.
    const isOutdated = () => !hasOwnPath && this.#outdated && loggedInByMs > this.#provenMs;
    return {
      current: () => (isOutdated() ? undefined : this.#current()),
      get isOutdated() {
        return isOutdated();
      },
      refresh: (signal) => this.#refresh(signal),
      hold: async (signal) => {
        loggedInByMs = this.#deps.clock.monotonicMs() + CONNECT_MS_MAX;
        return this.#hold(signal);
      },
      close: () => this.close(),
    };
  }

  #current(): Catalog | undefined {
    return this.#deps.clock.monotonicMs() - this.#takenMs > SNAPSHOT_MS_MAX ? undefined : this.#mirror.catalog;
  }

  #refresh(signal: AbortSignal): Promise<void> {
    return raceAbort(this.#enqueue(), signal);
  }

  async #hold(signal: AbortSignal): Promise<() => void> {
    const fresh = this.#deps.clock.monotonicMs() - this.#takenMs <= FRESH_MS;
    if (!fresh || this.#mirror.catalog === undefined) await raceAbort(this.#enqueue(), signal);
    this.#holders++;
    if (this.#holders === 1) this.#schedule();
    let held = true;
    return () => {
      if (held && --this.#holders === 0) this.#schedule();
      held = false;
    };
  }

  close(): void {
    this.#abort.abort();
    this.#timer?.cancel();
    this.#upstream?.socket.destroy();
    this.#upstream = undefined;
  }

  /** One at a time: who comes while one runs shares the next, which begins after the call and so sees what was done before it. */
  #enqueue(): Promise<void> {
    if (this.#running === undefined) return this.#begin();
    this.#next ??= this.#running
      .catch(() => {}) // Its own callers hear of it.
      .then(() => sleep(this.#deps.clock, REFRESH_GAP_MS, this.#abort.signal))
      .then(() => {
        this.#next = undefined;
        return this.#running ?? this.#begin();
      })
      .finally(() => {
        this.#next = undefined;
      });
    return this.#next;
  }

  #begin(): Promise<void> {
    this.#running = this.#take().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #take(): Promise<void> {
    const { clock, database } = this.#deps;
    // The target's own statement_timeout is a request; a target that hangs would hold up every session that waits for the snapshot.
    const timeout = timeoutSignal(clock, TAKE_MS_MAX, this.#abort.signal);
    const { signal } = timeout;
    const startedMs = clock.monotonicMs();
    const kept = this.#upstream !== undefined;
    try {
      this.#upstream ??= await openUpstream(this.#deps, { parameters: startParameters(database), minor: 0, signal });
      const answers = await this.#askAll(this.#upstream, signal);
      if (!this.#checkPath(answers.get('settings')?.[0] ?? [], { kept, startedMs })) {
        endTarget(this.#upstream.socket, clock, encodeTerminate());
        this.#upstream = undefined;
        return this.#take();
      }
      // An unchanged catalog keeps its version, and with it every verdict that was reached under it.
      const isOther = this.#mirror.take(answers);
      this.#lasting.add(this.#upstream);
      const { catalog } = this.#mirror;
      if (isOther && catalog !== undefined) this.#deps.taken?.(catalog);
      this.#takenMs = startedMs;
    } catch (error) {
      this.#upstream?.socket.destroy();
      this.#upstream = undefined;
      // A connection that stood idle may have died unnoticed, with the server behind it back since: a fresh one tells.
      if (kept && !signal.aborted) return this.#take();
      if (!timeout.isOver) throw error;
      throw new GatewayError('ERR_GATEWAY_TARGET_AWAY', `the target's catalog was not read within ${TAKE_MS_MAX} ms`, {
        cause: error,
      });
    } finally {
      timeout.cancel();
    }
  }

  /** Whether the connection still stands for sessions to come; false when it must be made anew, since nobody needs its path any more. */
  #checkPath(settings: readonly (string | null)[], seen: { kept: boolean; startedMs: number }): boolean {
    const path = settings[1] ?? undefined;
    if (!seen.kept && this.#path !== undefined && path !== this.#path && this.#holders > 0) {
      // The connection that had the path of these sessions is gone, and with it what their names mean.
      this.#outdate(Number.NEGATIVE_INFINITY);
      return true;
    }
    this.#path = path; // On a kept connection the server's own configuration changed it, and that of all sessions.
    if (settings[PATH_OF_NEXT_LOGIN] === 'false') {
      if (seen.kept && this.#holders === 0) return false;
      this.#outdate(this.#provenMs);
    } else if (!this.#outdated) {
      this.#provenMs = seen.startedMs;
    }
    return true;
  }

  #outdate(provenMs: number): void {
    if (!this.#outdated) this.#deps.log.info('gateway.postgres.search_path_changed', { sessions: this.#holders });
    this.#outdated = true;
    this.#provenMs = provenMs;
  }

  async #askAll(upstream: Upstream, signal: AbortSignal): Promise<Answers> {
    const answers: Map<CatalogQuestion['name'], CatalogRows> = new Map();
    const hasLasting = this.#lasting.has(upstream);
    for (const { name, sql, lasting, optional } of this.#mirror.questions()) {
      if (lasting && hasLasting) continue;
      try {
        answers.set(name, await runQuery(upstream, sql, signal));
      } catch (error) {
        // Without its rows what they would have proven counts as unproven; a lost connection fails the next query.
        if (!optional || signal.aborted || upstream.socket.destroyed) throw error;
      }
    }
    return answers;
  }

  #schedule(): void {
    this.#timer?.cancel();
    this.#timer = this.#deps.clock.after(this.#holders > 0 ? REFRESH_EVERY_MS : IDLE_MS, () => {
      if (this.#holders === 0) {
        this.#upstream?.socket.end(encodeTerminate());
        this.#upstream = undefined;
        return;
      }
      this.#enqueue()
        .catch((error) => this.#deps.log.warn('gateway.postgres.catalog_failed', { reason: messageOf(error) }))
        .finally(() => this.#schedule());
    });
  }
}

/** Runs one query in the simple protocol on an idle connection and gives its rows as text. @throws GatewayError */
export async function runQuery(upstream: Upstream, sql: string, signal: AbortSignal): Promise<(string | null)[][]> {
  const { socket } = upstream;
  const framer = new Framer({ messageBytesMax: ROW_BYTES_MAX });
  const rows: (string | null)[][] = [];
  let bytes = 0;
  let refused: GatewayError | undefined;
  const done = new Promise<void>((resolve, reject) => {
    const finish = (error?: Error) => {
      socket.pause();
      socket.off('data', onData).off('close', onClose);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onClose = () =>
      finish(new GatewayError('ERR_GATEWAY_TARGET_AWAY', 'the target closed the catalog connection'));
    const onData = (chunk: Buffer) => {
      bytes += chunk.length;
      framer.push(chunk);
      try {
        if (bytes > RESULT_BYTES_MAX)
          throw new GatewayError('ERR_GATEWAY_TARGET_PROTOCOL', 'the target’s catalog is too large');
        while (framer.next()) {
          if (framer.type === Backend.dataRow) {
            rows.push(readDataRow(framer).map((value) => value?.toString('utf8') ?? null));
          } else if (framer.type === Backend.error) {
            // The connection is of use again once ReadyForQuery has come.
            refused ??= new GatewayError(
              'ERR_GATEWAY_TARGET_AWAY',
              `the target refused a catalog query: ${readErrorFields(framer).get('M') ?? ''}`,
            );
          } else if (framer.type === Backend.readyForQuery) {
            readReadyForQuery(framer);
            return finish(refused);
          }
        }
      } catch (error) {
        finish(error instanceof Error ? error : new Error(String(error)));
      }
    };
    socket.on('data', onData).on('close', onClose).resume();
    if (socket.destroyed) onClose();
  });
  socket.write(encodeQuery(sql));
  await raceAbort(done, signal);
  return rows;
}

function startParameters(database: string): readonly (readonly [string, string])[] {
  return [
    ['database', database],
    ['application_name', 'countersign catalog'],
    ...REQUIRED_PARAMETERS,
    ['statement_timeout', String(QUERY_MS_MAX)],
    // A migration that holds a lock must not hold up snapshots: what needs the lock is left out of them.
    ['lock_timeout', String(LOCK_MS_MAX)],
  ];
}

/** Column of the query `settings`. */
const PATH_OF_NEXT_LOGIN = 5;
/** While sessions run; statements that change the catalog through the gateway take a snapshot at once. */
const REFRESH_EVERY_MS = 10_000;
/** A new session makes do with a snapshot of this age. */
const FRESH_MS = 1_000;
/** After this long without one, statements are refused: names may mean something else by now. */
const SNAPSHOT_MS_MAX = 60_000;
/** Bounds the load that unknown names put on the target. */
const REFRESH_GAP_MS = 200;
/** The connection is kept this long after the last session; DROP DATABASE waits 5 s for it to go. */
const IDLE_MS = 2_000;
const QUERY_MS_MAX = 30_000;
/** For a whole snapshot, which takes well under a second of a healthy target. */
const TAKE_MS_MAX = 45_000;
const LOCK_MS_MAX = 200;
const ROW_BYTES_MAX = 16 * 1024 * 1024;
/** Tens of thousands of tables. */
const RESULT_BYTES_MAX = 256 * 1024 * 1024;
