import type { SpiffeId, TrustDomain } from '@countersign/sdk/identity';
import type { X509Authority } from '../../model/index.ts';
import type { Clock, Log, Timer } from '../../std/index.ts';
import { verifyX509Svid } from '../../wire/x509/index.ts';
import type { Companions } from '../companions.ts';
import type { SessionRefusal } from '../protocol.ts';
import type { SessionActivity } from './activity.ts';
import type { Answer, Place } from './quotas.ts';
import { EXPIRY_GRACE_S, SessionEnd, type ToldCaller } from './session.ts';

/** How many sessions there may be. */
export interface SessionLimits {
  readonly sessionsMax: number;
  readonly sessionsPerIdentityMax: number;
}

/** A session as the gateway keeps it: who it is, by which chain, and the switches that end it. */
export interface SessionHandle {
  readonly id: string;
  readonly identity: SpiffeId;
  readonly target: string;
  readonly door: 'agent' | 'direct';
  readonly isAside: boolean;
  /** Undefined of direct clients, and where the agent says nothing. */
  readonly caller: ToldCaller | undefined;
  readonly startedMs: number;
  /** Empty where it was proven by a token. */
  readonly chainDer: readonly Buffer[];
  /** Of the leaf, in decimal digits; empty where there is none. */
  readonly serial: string;
  /** Of the leaf's public key, as revocations name it; undefined where there is none. */
  readonly thumbprint: string | undefined;
  /** What it was proven by, where that was no certificate. */
  readonly token?: SessionToken | undefined;
  /** Of the other end of its connection. */
  readonly address: string | undefined;
  readonly expiresAtS: number;
  readonly activity: SessionActivity;
  readonly end: AbortController;
  readonly drain: AbortController;
}

/** The token that proves a session's identity; a later one of the same identity may have taken its place. */
export interface SessionToken {
  /** Of the authority that has signed it. */
  readonly keyId: string;
  /** Why it is no longer trusted, by the bundles of now. */
  fault(): string | undefined;
}

/** The running sessions: admits, and ends those whose identity no longer stands. */
export interface Sessions {
  /** Adds a session, or says why there is no room. It is there, to be ended, while companions are asked. */
  admit(session: SessionHandle): Answer<SessionRefusal | undefined>;
  remove(session: SessionHandle): void;
  /** Verifies every session's chain again: after a change of bundles. */
  reverify(): void;
  /** Asks sessions to end when they are idle. */
  drain(refusal: SessionRefusal, which?: (session: SessionHandle) => boolean): void;
  /** Ends sessions now. */
  end(refusal: SessionRefusal, which?: (session: SessionHandle) => boolean): void;
  list(): readonly SessionHandle[];
  /** Resolves when that session is over; at once where there is none. */
  over(session: SessionHandle): Promise<void>;
  /** Resolves when no session is left. */
  empty(): Promise<void>;
  stop(): void;
}

/** Creates the registry. `bundle` gives the newest authorities of a trust domain; limits are those of companions too, where there are any. */
export function createSessions(deps: {
  clock: Clock;
  log: Log;
  limits: SessionLimits;
  bundle: (trustDomain: TrustDomain) => readonly X509Authority[] | undefined;
  companions?: Pick<Companions, 'enter'> | undefined;
}): Sessions {
  const { clock, log, limits, companions } = deps;
  const sessions = new Set<SessionHandle>();
  /** Taken of what companions count as well. */
  const places = new Map<SessionHandle, Place>();
  const counts = new Map<string, number>();
  const waits = createWaits();
  let timer: Timer | undefined;
  const drain = (session: SessionHandle, refusal: SessionRefusal) => session.drain.abort(new SessionEnd(refusal));
  const end = (session: SessionHandle, refusal: SessionRefusal) => session.end.abort(new SessionEnd(refusal));
  /** By the wall clock, at each step: a timer set hours ago knows nothing of a clock that was put right since. */
  const sweep = () => {
    timer = clock.after(SWEEP_EVERY_MS, sweep);
    const nowS = clock.now() / 1000;
    for (const session of sessions) {
      if (nowS < session.expiresAtS) continue;
      const refusal = session.token === undefined ? EXPIRED : TOKEN_EXPIRED;
      if (nowS >= session.expiresAtS + EXPIRY_GRACE_S) end(session, refusal);
      else drain(session, refusal);
    }
  };
  const remove = (session: SessionHandle) => {
    if (!sessions.delete(session)) return;
    places.get(session)?.leave();
    places.delete(session);
    const { uri } = session.identity;
    const count = (counts.get(uri) ?? 1) - 1;
    if (count === 0) counts.delete(uri);
    else counts.set(uri, count);
    waits.removed(session, sessions.size);
  };
  const take = async (session: SessionHandle, asked: ReturnType<Companions['enter']>) => {
    try {
      const place = await asked;
      if ('leave' in place) return void places.set(session, place);
      remove(session);
      return place;
    } catch (error) {
      remove(session);
      throw error;
    }
  };
  return {
    admit(session) {
      const { uri } = session.identity;
      const count = counts.get(uri) ?? 0;
      if (sessions.size >= limits.sessionsMax)
        return { code: 'limit', what: 'the gateway has as many sessions as it may have' };
      if (count >= limits.sessionsPerIdentityMax) {
        return { code: 'limit', what: `this identity has ${count} sessions; it may have no more` };
      }
      sessions.add(session);
      counts.set(uri, count + 1);
      if (timer === undefined) timer = clock.after(SWEEP_EVERY_MS, sweep);
      return companions && take(session, companions.enter(uri));
    },
    remove,
    reverify() {
      const nowMs = clock.now();
      const faultOf = createFaultFinder(deps.bundle, nowMs);
      for (const session of sessions) {
        const reason = faultOf(session);
        // Expiry has its own, gentler way; every other reason means that this identity is no longer vouched for.
        if (reason === undefined || nowMs / 1000 >= session.expiresAtS) continue;
        log.warn('gateway.session.untrusted', {
          session: session.id,
          identity: session.identity.uri,
          reason,
        });
        end(session, { code: 'identity', what: 'the identity of this session is no longer trusted' });
      }
    },
    drain(refusal, which = () => true) {
      for (const session of sessions) if (which(session)) drain(session, refusal);
    },
    end(refusal, which = () => true) {
      for (const session of sessions) if (which(session)) end(session, refusal);
    },
    list: () => [...sessions],
    over: (session) => (sessions.has(session) ? waits.over(session) : Promise.resolve()),
    empty: () => (sessions.size === 0 ? Promise.resolve() : waits.empty()),
    stop: () => timer?.cancel(),
  };
}

/** Who waits for the end of a session, or of all. */
function createWaits() {
  const all = new Set<() => void>();
  const single = new Map<SessionHandle, (() => void)[]>();
  return {
    over: (session: SessionHandle) =>
      new Promise<void>((resolve) => single.set(session, [...(single.get(session) ?? []), resolve])),
    empty: () => new Promise<void>((resolve) => all.add(resolve)),
    removed(session: SessionHandle, left: number) {
      for (const resolve of single.get(session) ?? []) resolve();
      single.delete(session);
      if (left > 0) return;
      for (const resolve of all) resolve();
      all.clear();
    },
  };
}

/** Why what a session was proven by is no longer good; undefined: it is. */
function createFaultFinder(bundle: Parameters<typeof verifyX509Svid>[1], nowMs: number) {
  const results = new Map<string, ReturnType<typeof verifyX509Svid>>();
  return ({ token, chainDer }: SessionHandle): string | undefined => {
    if (token !== undefined) return token.fault();
    // A workload has many sessions by one SVID, and all of it happens at once: each chain is verified once.
    const chain = chainDer.map((der) => der.toString('latin1')).join();
    const result = results.get(chain) ?? verifyX509Svid(chainDer, bundle, nowMs);
    results.set(chain, result);
    return result.ok ? undefined : result.reason;
  };
}

const EXPIRED: SessionRefusal = { code: 'shutdown', what: 'the SVID of this session has expired; connect again' };
const TOKEN_EXPIRED: SessionRefusal = { code: 'shutdown', what: 'the token has expired; ask again with a fresh one' };
const SWEEP_EVERY_MS = 1_000;
