import type { Revocation, RevocationState } from '../model/index.ts';
import { type Clock, codeOf, type Log, sha256 } from '../std/index.ts';
import { type RevocationUpdate, revocationClaims, revocationFeed } from '../wire/revocations/index.ts';
import { RevocationError } from './errors.ts';
import type { StandingSource } from './revocations.ts';
import type { Standing } from './rows.ts';
import type { StateName, Verifier, WatchingVerifier } from './types.ts';
import type { Verifiers } from './verifiers.ts';

/** Signs what a server says; see `Authority.signStatement`. */
export type SignStatement = (statement: {
  readonly type: string;
  readonly claims: ReturnType<typeof revocationClaims>['claims'];
}) => Promise<string>;

/** What one verifier is told on one stream. */
export interface RevocationStream {
  /** The next message: what has changed since the last, or that nothing has. Reads the store first, so that what it says is of now. @throws StoreError */
  next(): Promise<RevocationUpdate>;
}

/** A verifier has a state that this store does not: by its word, which may be a lie. */
export interface UnknownState {
  readonly spiffeId: string;
  readonly sequence: number;
  /** Since when it says so, epoch milliseconds. */
  readonly sinceMs: number;
}

/** Tells verifiers what stands. */
export interface RevocationFeed {
  /**
   * The verifier watches while `work` runs. @throws RevocationError ERR_REVOCATION_PUT_BACK, ERR_REVOCATION_LIMIT; StoreError
   */
  during<T>(
    watch: {
      readonly verifier: WatchingVerifier;
      readonly nonce: Uint8Array;
      /** What it has in effect. */
      readonly known: StateName;
      readonly draining: AbortSignal;
      /** What it can read: 0 that of a first version, 1 members of labels too. */
      readonly format: number;
      /** Which public key its connection has proven: SHA-256, in hex. */
      readonly key: string;
    },
    work: (stream: RevocationStream) => Promise<T>,
  ): Promise<T>;
  /** `nonce`: of the verifier's newest stream; what others say counts for nothing. */
  acknowledge(verifier: Verifier, state: StateName, nonce: Uint8Array): Promise<void>;
  onChange(listener: () => void): () => void;
  /** Of verifiers that were refused for what they have, within the last two minutes: one for each SPIFFE ID. */
  unknownStates(): readonly UnknownState[];
}

/** Creates the feed of one server. */
export function createRevocationFeed(deps: {
  readonly source: StandingSource;
  readonly verifiers: Verifiers;
  readonly sign: SignStatement;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly log: Log;
}): RevocationFeed {
  const { source, verifiers, log } = deps;
  /** Streams of each verifier: a new one may come before the old one is known to be gone. */
  const streams = new Map<string, number>();
  const unknown = createUnknownStates(deps.clock);
  const leave = async (verifier: Verifier) => {
    const key = JSON.stringify([verifier.kind, verifier.spiffeId, verifier.address, verifier.instance]);
    const left = (streams.get(key) ?? 1) - 1;
    if (left > 0) {
      streams.set(key, left);
      return;
    }
    streams.delete(key);
    // The stream's own end is what it must hear of, not that noting it failed.
    await verifiers
      .left(verifier, 'away')
      .catch((error: unknown) => log.warn('revocation.verifier.unnoted', { verifier: verifier.spiffeId, error }));
  };
  return {
    onChange: source.onChange,
    unknownStates: unknown.list,
    acknowledge: (verifier, state, nonce) => verifiers.acknowledged(verifier, { state, stream: streamOf(nonce) }),
    async during({ verifier, nonce, known, format, key: publicKey }, work) {
      await source.checkKnown(known).catch((error: unknown) => {
        if (codeOf(error) === 'ERR_REVOCATION_PUT_BACK') unknown.note(verifier.spiffeId, known.sequence);
        log.error('revocation.state.unknown', { verifier: verifier.spiffeId, sequence: known.sequence, error });
        throw error;
      });
      unknown.forget(verifier.spiffeId);
      const key = JSON.stringify([verifier.kind, verifier.spiffeId, verifier.address, verifier.instance]);
      const others = streams.get(key) ?? 0;
      if (others >= STREAMS_MAX)
        throw new RevocationError('ERR_REVOCATION_LIMIT', `${verifier.spiffeId} has ${others} streams already`);
      streams.set(key, others + 1);
      try {
        const stream = format > 0 ? streamOf(nonce) : '';
        await verifiers.joined(verifier, { state: known, stream, key: publicKey });
        return await work(createStream(deps, { nonce, known, format }));
      } finally {
        await leave(verifier);
      }
    },
  };
}

/** Each comes again every some seconds for as long as it is so. */
function createUnknownStates(clock: Clock) {
  const byId = new Map<string, UnknownState & { readonly seenMs: number }>();
  return {
    note(spiffeId: string, sequence: number) {
      const sinceMs = byId.get(spiffeId)?.sinceMs ?? clock.now();
      byId.set(spiffeId, { spiffeId, sequence, sinceMs, seenMs: clock.monotonicMs() });
    },
    forget: (spiffeId: string) => void byId.delete(spiffeId),
    list(): readonly UnknownState[] {
      const nowMs = clock.monotonicMs();
      for (const { spiffeId, seenMs } of byId.values()) if (nowMs - seenMs > UNKNOWN_MS) byId.delete(spiffeId);
      return [...byId.values()];
    },
  };
}

function createStream(
  deps: { source: StandingSource; sign: SignStatement; trustDomain: string; clock: Clock },
  { nonce, known, format }: { nonce: Uint8Array; known: StateName; format: number },
): RevocationStream {
  const { source, sign, trustDomain, clock } = deps;
  let count = 0;
  let told: RevocationState | undefined;
  return {
    async next() {
      const standing = readableBy(format, await source.read());
      const state = { ...standing.state, issuedAtMs: clock.now() };
      const isOther = told !== undefined && told.incarnation !== state.incarnation;
      const before = isOther ? undefined : told;
      // A store that was put back beneath this server, and has gone on, lacks what was told: that is not lifted.
      if (before !== undefined && before.sequence !== state.sequence) await source.checkKnown(before);
      const stream = { trustDomain, nonce, count };
      const { claims, body } = revocationClaims(
        { state, follows: standing.follows, ...(before ? since(before, standing) : whole(standing, told ?? known)) },
        stream,
      );
      const statement = await sign({ type: revocationFeed.type, claims });
      count += 1;
      told = state;
      return { statement, body };
    },
  };
}

/** By which a stream is known in the store; one whose verifier says no nonce with its word has none. */
function streamOf(nonce: Uint8Array): string {
  return nonce.length === 0 ? '' : sha256(nonce).toString('hex');
}

/** A verifier of a first version takes nothing that it can't read: it finds those of a label by what it knows of labels. */
function readableBy(format: number, standing: Standing): Standing {
  // People come to servers, not to verifiers.
  const told = standing.state.revocations.filter(({ subject }) => subject.kind !== 'person');
  const revocations = format > 0 ? told : told.map(({ members: _, ...one }) => one);
  return { ...standing, state: { ...standing.state, revocations } };
}

/** All that stand, for one who has `known`, which has been found in the history of this store, or is of one that it follows. */
function whole({ state }: Standing, known: StateName) {
  const isOwn = known.incarnation === state.incarnation;
  const from = isOwn ? { sequence: known.sequence, mark: known.mark } : { sequence: 0, mark: '' };
  return { from, what: { kind: 'full' as const, revocations: state.revocations } };
}

function since(told: RevocationState, { state }: Standing) {
  const from = { sequence: told.sequence, mark: told.mark };
  if (told.sequence === state.sequence) return { from, what: { kind: 'delta' as const, added: [], lifted: [] } };
  const had = new Set(told.revocations.map(idOf));
  const has = new Set(state.revocations.map(idOf));
  const added = state.revocations.filter((one) => !had.has(one.id));
  const lifted = told.revocations.filter((one) => !has.has(one.id)).map(idOf);
  const before = new Map(told.revocations.map((one) => [one.id, one]));
  const joined = state.revocations.flatMap(({ id, members = [] }) => {
    const { members: known = [] } = before.get(id) ?? { members };
    if (known.length === members.length) return [];
    const those = new Set(known);
    return [{ id, members: members.filter((member) => !those.has(member)) }];
  });
  const more = joined.length === 0 ? {} : { joined };
  return { from, what: { kind: 'delta' as const, added, lifted, ...more } };
}

function idOf({ id }: Revocation): string {
  return id;
}

/** Of one verifier at one server: it needs one, and a few more until those that were cut are known to be gone. Each costs a signature with every heartbeat. */
const STREAMS_MAX = 8;
/** Longer than any of them waits before it comes again. */
const UNKNOWN_MS = 120_000;
