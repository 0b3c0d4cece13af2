import type { LedgerSource, ShippingBound, SizedCheckpoint } from '../../ledger/index.ts';
import type { LogBatch, LogStand } from '../../records/index.ts';
import {
  type Clock,
  codeOf,
  type Log,
  messageOf,
  type Random,
  type Service,
  sleep,
  timeoutSignal,
} from '../../std/index.ts';

/** A way to a server, by which one ledger is shipped: over the network, or within a server. */
export interface ShippingLine {
  /** Where the log stood when the line was opened. */
  readonly stand: LogStand;
  /** Resolves when the batch is kept for good; rejects when it is not, or nobody knows. */
  take(batch: LogBatch): Promise<LogStand>;
  close(): void;
}

/** How shipping fares. */
export interface ShippingLag {
  /** Entries that were signed here, and no server is known to keep. */
  readonly entries: number;
  /** For how long there have been such entries, ms. */
  readonly forMs: number;
  /** Why nothing is shipped; undefined while it is. */
  readonly problem: { readonly error: unknown; readonly forMs: number } | undefined;
}

/** Ships a ledger for as long as it runs. */
export interface LedgerShipping extends Service {
  lag(): ShippingLag;
}

/**
 * Ships what is signed, in order, from where the server stands, one batch under way at a time; says every ten seconds that it is there. It reads
 * what is on disk and never waits for the writer, nor the writer for it: a server that is away costs nothing but lag. `stop` ships what the
 * writer signed last, for at most three seconds.
 */
export function createLedgerShipping(deps: {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly source: LedgerSource;
  readonly connect: (signal: AbortSignal) => Promise<ShippingLine>;
  /** Is told of all that is kept for good. */
  readonly bound?: Pick<ShippingBound, 'shipped'>;
}): LedgerShipping {
  const { clock, random, log, source } = deps;
  const cut = new AbortController();
  let stopping = false;
  let isOpen = false;
  let running: Promise<void> = Promise.resolve();
  let shipped: number | undefined;
  let behindSince: number | undefined;
  let problem: { readonly error: unknown; readonly sinceMs: number } | undefined;

  const { pause, wake } = createPause(clock, () => stopping);
  const note = (stand: LogStand) => {
    shipped = stand.size;
    deps.bound?.shipped(stand.size);
    problem = undefined;
  };
  const shipOn = async (line: ShippingLine) => {
    let { stand } = line;
    let saidMs = Number.NEGATIVE_INFINITY;
    for (;;) {
      const isDue = clock.monotonicMs() - saidMs >= SAY_EVERY_MS;
      const batch = nextBatch(source, stand, isDue);
      if (batch !== undefined) {
        stand = await line.take(batch);
        saidMs = clock.monotonicMs();
        note(stand);
        continue;
      }
      behindSince = undefined;
      if (stopping) return;
      await pause(LOOK_EVERY_MS);
    }
  };
  const run = async () => {
    let pauseMs = PAUSE_MS_MIN;
    while (!stopping) {
      let line: ShippingLine | undefined;
      try {
        line = await deps.connect(cut.signal);
        isOpen = true;
        note(line.stand);
        pauseMs = PAUSE_MS_MIN;
        await shipOn(line);
      } catch (error) {
        if (cut.signal.aborted) return;
        const isNew = problem === undefined || messageOf(problem.error) !== messageOf(error);
        if (isNew) log.warn('app.shipping.failed', { problem: messageOf(error), code: codeOf(error) });
        problem = { error, sinceMs: problem?.sinceMs ?? clock.monotonicMs() };
        await pause(pauseMs * (0.5 + random.fraction()));
        pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
      } finally {
        isOpen = false;
        line?.close();
      }
    }
  };

  return {
    lag() {
      const nowMs = clock.monotonicMs();
      const entries = Math.max(0, (sizeOf(source) ?? 0) - (shipped ?? 0));
      behindSince = entries === 0 ? undefined : (behindSince ?? nowMs);
      return {
        entries,
        forMs: behindSince === undefined ? 0 : nowMs - behindSince,
        problem: problem && { error: problem.error, forMs: nowMs - problem.sinceMs },
      };
    },
    async start() {
      running = run();
    },
    async stop() {
      stopping = true;
      wake();
      // There is nobody to ship the last of it to.
      if (!isOpen) cut.abort();
      const limit = timeoutSignal(clock, LAST_MS_MAX);
      limit.signal.addEventListener('abort', () => cut.abort(), { once: true });
      await Promise.race([running, sleep(clock, LAST_MS_MAX * 2, cut.signal).catch(() => {})]);
      cut.abort();
      limit.cancel();
      source.close();
    },
  };
}

/** A pause that whoever stops ends. */
function createPause(clock: Clock, isOver: () => boolean) {
  let wake = () => {};
  return {
    wake: () => wake(),
    pause: (pauseMs: number) =>
      new Promise<void>((resolve) => {
        if (isOver()) return resolve();
        const timer = clock.after(pauseMs, resolve);
        wake = () => {
          timer.cancel();
          resolve();
        };
      }),
  };
}

/** What to hand over next; undefined when there is nothing to say. */
function nextBatch(source: LedgerSource, stand: LogStand, isDue: boolean): LogBatch | undefined {
  const { size, signedSize } = stand;
  const newest = source.newest();
  if (newest === undefined) return undefined;
  // Whatever that means is for the server to say: this folder is not what was shipped of it.
  if (newest.size < signedSize) return { first: newest.size, entries: [], checkpoint: newest.note, consistency: [] };
  const target = source.next(size);
  if (target === undefined) return isDue || signedSize < newest.size ? standing(source, stand, newest) : undefined;
  const entries = source.read(size, Math.min(target.size, size + ENTRIES_A_BATCH), BYTES_A_BATCH);
  const end = size + entries.length;
  // Signed, and not to be read: told by the checkpoint that covers it.
  if (end < target.size && entries.length > 0) return { first: size, entries, consistency: [] };
  const consistency = end < target.size ? [] : source.consistency(signedSize, target.size);
  return { first: size, entries, checkpoint: target.note, consistency };
}

/** Nothing is new: the newest checkpoint says so. */
function standing(source: LedgerSource, { size, signedSize }: LogStand, newest: SizedCheckpoint): LogBatch | undefined {
  if (newest.size !== size) return undefined;
  return {
    first: size,
    entries: [],
    checkpoint: newest.note,
    consistency: source.consistency(signedSize, newest.size),
  };
}

function sizeOf(source: LedgerSource): number | undefined {
  try {
    return source.newest()?.size;
  } catch {
    return undefined; // Whoever writes it is told by its own conditions.
  }
}

/** Read in a millisecond or so: what else the process does waits for no longer. */
const ENTRIES_A_BATCH = 500;
const BYTES_A_BATCH = 512 * 1024;
/** As often as there is a new checkpoint. */
const LOOK_EVERY_MS = 1000;
/** A third of the time after which a server calls a log silent. */
const SAY_EVERY_MS = 10_000;
const PAUSE_MS_MIN = 500;
const PAUSE_MS_MAX = 15_000;
/** A stop waits so long for a server that does not answer. */
const LAST_MS_MAX = 3000;
