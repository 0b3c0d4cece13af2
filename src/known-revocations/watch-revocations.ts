import type { JwtAuthority, RevocationState } from '../model/index.ts';
import {
  type Clock,
  followAbort,
  type Log,
  messageOf,
  type Random,
  raceAbort,
  type Service,
  sleep,
  type Timer,
} from '../std/index.ts';
import {
  type RevocationFeedReason,
  type RevocationUpdate,
  revocationFeed,
  verifyRevocationUpdate,
} from '../wire/revocations/index.ts';
import { KnownRevocationsError } from './errors.ts';
import type { KeptRevocations } from './kept-revocations.ts';
import type { KnownRevocations } from './known-revocations.ts';

/** The feed of a server, followed for as long as it runs. */
export interface RevocationWatch extends Service {
  /** What it last failed with, and for how long nothing was taken; undefined while it brings what can be taken. */
  problem(): { readonly error: unknown; readonly forMs: number } | undefined;
  /** What keeps the last state from the disk, where something does: then it is not acknowledged. */
  keepProblem(): unknown;
  /** The sequence that servers were last told is in effect. */
  acknowledged(): number;
}

/** What a stream is asked with. */
export interface WatchRequest {
  readonly nonce: Uint8Array;
  readonly incarnation: string;
  readonly sequence: number;
  readonly mark: string;
  /** What this version reads. */
  readonly format: number;
}

/** What a server is told once a state is in effect; the nonce is that of the stream which brought it. */
export type Acknowledgement = Pick<RevocationState, 'incarnation' | 'sequence' | 'mark'> & {
  readonly nonce: Uint8Array;
};

export interface RevocationWatchDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly trustDomain: string;
  readonly known: KnownRevocations;
  readonly kept: KeptRevocations;
  /** Of the own trust domain, as they are now; undefined: not known yet. */
  authorities(): readonly JwtAuthority[] | undefined;
  open(request: WatchRequest, signal: AbortSignal): AsyncIterable<RevocationUpdate>;
  /** Tells that server. @throws RpcError */
  acknowledge(word: Acknowledgement, signal: AbortSignal): Promise<void>;
  /** Resolves once nothing that ends by what is known runs any more. */
  inEffect(signal: AbortSignal): Promise<void>;
  /** Of what a stream ended with: the server knows nothing of revocations. It is asked seldom then: it may be replaced by one that does. */
  isUnsupported?(error: unknown): boolean;
  /** Resolves once there is what a stream needs; it is waited for before each one. */
  ready?(signal: AbortSignal): Promise<void>;
  /** Is called before each further stream: the next one goes by a connection of its own. */
  reconnect?(): void;
}

/**
 * Creates it. Each message is verified against what is known, and in force before anything else is done with it; acknowledged once sessions are over
 * and it is on disk. A message that can't be taken ends its stream, of which nothing more counts, and what was known stays in force.
 */
export function createRevocationWatch(deps: RevocationWatchDeps): RevocationWatch {
  const { clock, random, log, known } = deps;
  const disk = createDisk(deps);
  const stop = new AbortController();
  let problem: { readonly error: unknown; readonly sinceMonoMs: number } | undefined;
  let acknowledged = 0;
  let running: Promise<void> = Promise.resolve();

  /** One stream. @throws what it ends with */
  const follow = async (taken: () => void): Promise<void> => {
    const end = followAbort(stop.signal);
    const nonce = random.bytes(NONCE_BYTES);
    const acks = createAcks({
      ...{ ...deps, nonce, signal: end.signal, keep: disk.keep },
      told: (sequence) => (acknowledged = sequence),
    });
    const { incarnation = '', sequence = 0, mark = '' } = known.state ?? {};
    const age = createAge(clock);
    let silence: Timer | undefined;
    const listen = () => {
      silence?.cancel();
      silence = clock.after(SILENT_MS_MAX, () => end.abort(silent()));
    };
    listen();
    try {
      let count = 0;
      for await (const update of deps.open(
        { nonce, incarnation, sequence, mark, format: revocationFeed.format },
        end.signal,
      )) {
        const { state, isHeartbeat } = verify(deps, update, { nonce, count });
        known.take(state, age.saidAt(state.issuedAtMs));
        taken();
        // The first too, where it is nothing new: another server may have heard it, or none.
        if (!isHeartbeat || count === 0) acks.next(state);
        count++;
        if (age.isBehind(state.issuedAtMs)) throw new KnownRevocationsError('ERR_REVOCATIONS_SILENT', BEHIND);
        listen();
      }
      throw new Error('the server has ended the stream');
    } catch (error) {
      throw end.signal.reason instanceof KnownRevocationsError ? end.signal.reason : error;
    } finally {
      silence?.cancel();
      end.abort();
      await acks.over();
    }
  };

  const run = async (): Promise<void> => {
    let pauseMs = PAUSE_MS_MIN;
    while (!stop.signal.aborted) {
      try {
        await deps.ready?.(stop.signal);
        await follow(() => {
          pauseMs = PAUSE_MS_MIN;
          problem = undefined;
        });
      } catch (error) {
        if (stop.signal.aborted) return;
        if (isRefusal(error)) log.error('revocations.feed_refused', { problem: messageOf(error) });
        else if (problem === undefined) log.warn('revocations.feed_ended', { problem: messageOf(error) });
        problem = { error, sinceMonoMs: problem?.sinceMonoMs ?? clock.monotonicMs() };
        if (deps.isUnsupported?.(error) === true) pauseMs = UNSUPPORTED_PAUSE_MS;
      }
      deps.reconnect?.();
      await sleep(clock, pauseMs * (0.5 + random.fraction()), stop.signal).catch(() => {}); // Stopping ends the loop.
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
    }
  };

  return {
    problem: () => problem && { error: problem.error, forMs: clock.monotonicMs() - problem.sinceMonoMs },
    keepProblem: disk.problem,
    acknowledged: () => acknowledged,
    async start() {
      const before = await disk.read();
      // What is known already is no older.
      if (before !== undefined && known.state === undefined) known.take(before, undefined);
      running = run();
    },
    async stop() {
      stop.abort();
      await running;
      await disk.over(); // The file is somebody else's then.
    },
  };
}

function silent(): KnownRevocationsError {
  return new KnownRevocationsError('ERR_REVOCATIONS_SILENT', SILENT);
}

function isRefusal(error: unknown): boolean {
  return error instanceof KnownRevocationsError && error.code === 'ERR_REVOCATIONS_REFUSED';
}

/** @throws KnownRevocationsError ERR_REVOCATIONS_REFUSED */
function verify(
  { clock, trustDomain, known, authorities }: RevocationWatchDeps,
  update: RevocationUpdate,
  stream: { readonly nonce: Uint8Array; readonly count: number },
) {
  const result = verifyRevocationUpdate({
    ...{ ...update, ...stream, trustDomain, nowMs: clock.now(), known: known.state },
    authorities: authorities() ?? [],
  });
  if (result.ok) return result;
  throw new KnownRevocationsError('ERR_REVOCATIONS_REFUSED', REFUSALS[result.reason]);
}

/** What is kept, and what is wrong with that. */
function createDisk({ log, kept }: Pick<RevocationWatchDeps, 'log' | 'kept'>) {
  let problem: unknown;
  let state: RevocationState | undefined;
  let writing: Promise<void> | undefined;
  let queued: { state: RevocationState; readonly done: Promise<void> } | undefined;
  const write = async (next: RevocationState): Promise<void> => {
    if (state?.incarnation === next.incarnation && state.sequence === next.sequence) return;
    try {
      await kept.write(next);
      state = next;
      problem = undefined;
    } catch (error) {
      if (problem === undefined) log.error('revocations.not_kept', { error });
      problem = error;
      throw error;
    }
  };
  const begin = (next: RevocationState): Promise<void> => {
    const own = write(next).finally(() => {
      if (writing === own) writing = undefined;
    });
    writing = own;
    return own;
  };
  const beginQueued = (): Promise<void> => {
    const next = queued?.state;
    queued = undefined;
    return next === undefined ? Promise.resolve() : begin(next);
  };
  return {
    problem: () => problem,
    async read(): Promise<RevocationState | undefined> {
      try {
        state = await kept.read();
      } catch (error) {
        // Whoever can change it can take it away too: it is no more than if there were none.
        log.error('revocations.unreadable', { error });
        problem = error;
      }
      return state;
    },
    /** Resolves once it, or one that came later, is on disk; one after another, however long that takes. */
    keep(next: RevocationState): Promise<void> {
      if (writing === undefined) return begin(next);
      queued ??= { state: next, done: writing.catch(() => {}).then(() => beginQueued()) };
      queued.state = next;
      return queued.done;
    },
    over: async () => void (await (queued?.done ?? writing)?.catch(() => {})), // Whoever asked for it has heard.
  };
}

/**
 * When a server has said something, by this machine's monotonic clock, at the earliest that it can have been: the first message of a stream was said
 * after that was asked for, and each other as much later as the server says. So messages that lay somewhere for a while, here too, are as old as they are.
 */
function createAge(clock: Clock) {
  const openedMs = clock.monotonicMs();
  let first: number | undefined;
  const saidAt = (issuedAtMs: number) => {
    first ??= issuedAtMs;
    return Math.min(openedMs + Math.max(0, issuedAtMs - first), clock.monotonicMs());
  };
  return {
    saidAt,
    /** A server whose clock was set back looks so too; by a new stream it is as young as it is. */
    isBehind: (issuedAtMs: number) => clock.monotonicMs() - saidAt(issuedAtMs) > SILENT_MS_MAX,
  };
}

/** Acknowledges the newest state that is in effect and kept, one after the other, for as long as its stream is there. */
function createAcks(
  deps: Pick<RevocationWatchDeps, 'clock' | 'log' | 'inEffect' | 'acknowledge'> & {
    readonly signal: AbortSignal;
    readonly nonce: Uint8Array;
    keep(state: RevocationState): Promise<void>;
    told(sequence: number): void;
  },
) {
  const { clock, log, signal, nonce } = deps;
  let wanted: RevocationState | undefined;
  let working: Promise<void> | undefined;
  const work = async () => {
    for (let failures = 0; wanted !== undefined && !signal.aborted; ) {
      const state = wanted;
      try {
        // A disk that hangs holds up the word, not the next stream.
        await Promise.all([raceAbort(deps.keep(state), signal), raceAbort(deps.inEffect(signal), signal)]);
        const { incarnation, sequence, mark } = state;
        await deps.acknowledge({ incarnation, sequence, mark, nonce }, signal);
        deps.told(state.sequence);
        failures = 0;
        if (wanted === state) wanted = undefined;
      } catch (error) {
        if (signal.aborted) return;
        if (failures++ === 0) log.warn('revocations.not_acknowledged', { problem: messageOf(error) });
        await sleep(clock, Math.min(ACK_AGAIN_MS * failures, PAUSE_MS_MAX), signal).catch(() => {});
      }
    }
  };
  const begin = () => {
    working ??= work().then(() => {
      working = undefined;
      // One may have come as the last was done.
      if (wanted !== undefined && !signal.aborted) begin();
    });
  };
  return {
    next(state: RevocationState) {
      wanted = state;
      begin();
    },
    over: async () => void (await working),
  };
}

const REFUSALS: Readonly<Record<RevocationFeedReason, string>> = {
  malformed: 'what the server says of revocations can not be read',
  'bad-claims': 'what the server says of revocations is not as this version knows it',
  'bad-body': 'what the server says of revocations is not what it has signed',
  'bad-signature': 'what the server says of revocations is not signed by the key that it names',
  'algorithm-mismatch': 'what the server says of revocations is not signed as its key signs',
  'unknown-key': 'what the server says of revocations is signed by a key that is not known here (yet)',
  'key-expired': 'what the server says of revocations is signed by a key that has expired',
  'tainted-key': 'what the server says of revocations is signed by a key that was called back',
  'other-stream': 'what the server says of revocations was said to somebody else, or before',
  'rolled-back': 'the server knows fewer revocations than were in force here, or others: its store was put back',
  'other-incarnation': 'the revocations of the server are of another store than those in force here',
};
const SILENT = 'the server has said nothing of revocations for 15 seconds';
const BEHIND = 'what the server says of revocations came late';
const NONCE_BYTES = 32;
/** Five heartbeats. */
const SILENT_MS_MAX = 15_000;
const PAUSE_MS_MIN = 200;
const PAUSE_MS_MAX = 10_000;
const UNSUPPORTED_PAUSE_MS = 30_000;
const ACK_AGAIN_MS = 500;
