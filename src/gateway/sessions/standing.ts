import type { SpiffeId } from '@countersign/sdk/identity';
import {
  type Barred,
  barredText,
  type CurrentRevocations,
  type RevocationFacts,
  type RevocationVerdict,
} from '../../model/index.ts';
import { type Clock, createListeners, type Log, type Timer } from '../../std/index.ts';
import type { SessionRefusal } from '../protocol.ts';

/** What a gateway knows of revocations, and what it does when that has become old. */
export interface RevocationRules {
  readonly current: CurrentRevocations;
  /** Milliseconds without a word of the server after which nobody knows any more who is revoked. */
  readonly maxAgeMs: number;
  /** What may be done then; undefined: everything, as before. */
  readonly whenStale: ReadonlySet<string> | undefined;
}

/** Why whoever uses a credential may not do everything, whatever policy says. */
export interface Standing {
  readonly reason: Barred['reason'];
  /** Actions that go on all the same. */
  readonly allow: ReadonlySet<string>;
  /** Ids of those that end sessions which they have found running; the others keep them, and let them do what is in `allow`. */
  readonly ends: readonly string[];
  /** What is known is too old. */
  readonly isStale: boolean;
  /** The id of the first of those that stand. */
  readonly revocation: string | undefined;
  /** Equal for equal answers. */
  readonly key: string;
}

/** Whom a gateway serves, as far as revocations go. */
export interface Standings {
  /** Grows with each change of what `of` answers. */
  readonly version: number;
  /** What stands against it by the revocations alone; undefined: nothing. */
  of(facts: RevocationFacts): Standing | undefined;
  /** The same where what is known has become too old. Asked each time. */
  now(standing: Standing | undefined): Standing | undefined;
  /** Calls when either may answer otherwise; returns how to stop. */
  onChange(listener: () => void): () => void;
  stop(): void;
}

/** Creates them; without rules nothing ever stands against anybody. */
export function createStandings(
  { clock, log }: { readonly clock: Clock; readonly log: Log },
  rules: RevocationRules | undefined,
): Standings {
  if (rules === undefined)
    return { version: 0, of: () => undefined, now: (standing) => standing, onChange: () => () => {}, stop() {} };
  const { current, maxAgeMs, whenStale } = rules;
  // One session's failure must not keep the others from hearing.
  const listeners = createListeners((error) => log.error('gateway.revocations.listener_failed', { error }));
  const olds = new WeakMap<Standing, Standing>();
  // Looked at with each question too: a process that was stopped for an hour goes on before its timers do.
  const isStale = () => whenStale !== undefined && current.ageMs() > maxAgeMs;
  const stale = whenStale && Object.freeze({ ...STALE, allow: whenStale });
  const stopListening = current.onChange(listeners.tell);
  let wasStale = isStale();
  let timer: Timer | undefined;
  const look = () => {
    timer = clock.after(LOOK_EVERY_MS, look);
    if (isStale() === wasStale) return;
    wasStale = !wasStale;
    listeners.tell();
  };
  if (whenStale !== undefined) look();
  return {
    get version() {
      return current.version;
    },
    of(facts) {
      const verdict = current.verdictOn(facts);
      return verdict && standingOf(verdict);
    },
    now(standing) {
      if (stale === undefined || standing?.reason === 'revoked' || !isStale()) return standing;
      if (standing === undefined) return stale;
      const known = olds.get(standing) ?? both(standing, stale);
      olds.set(standing, known);
      return known;
    },
    onChange: listeners.add,
    stop() {
      stopListening();
      timer?.cancel();
    },
  };
}

/**
 * What tells whose a session is. A node and a process are what an agent says, or whoever holds the workload's key: it can keep a session out, never
 * let one in. By which entry a certificate was given it does not say.
 */
export function factsOf(session: {
  readonly identity: SpiffeId;
  readonly thumbprint: string | undefined;
  readonly caller:
    | { readonly nodeId: string; readonly process: { readonly pid: number; readonly startTime?: string | undefined } }
    | undefined;
}): Omit<RevocationFacts, 'labels'> {
  const { identity, thumbprint, caller } = session;
  const { uri } = identity;
  // A node that comes by itself is the node.
  const nodeId = identity.path.startsWith(AGENT_PATH) ? uri : caller?.nodeId;
  return { spiffeId: uri, thumbprint, nodeId, process: caller?.process };
}

/** What is answered in the place of policy. */
export function barredBy({ reason, revocation }: Standing): Barred {
  return { allow: false, reason, policies: [], revocation };
}

/** How a session ends for it. */
export function endFor(barred: Barred): SessionRefusal {
  const { reason, revocation } = barred;
  const { what } = barredText(barred);
  const text = reason === 'quarantined' ? `it is in quarantine (${revocation})` : what;
  return { code: reason, what: `this session is ended: ${text}`, ...(revocation === undefined ? {} : { revocation }) };
}

function standingOf(verdict: RevocationVerdict): Standing {
  const { mode, allow, revocations } = verdict;
  return Object.freeze({
    reason: mode,
    allow: new Set(mode === 'revoked' ? [] : allow),
    ends: revocations.flatMap(({ id, running }) => (running === 'end' ? [id] : [])),
    isStale: false,
    revocation: revocations[0]?.id,
    key: JSON.stringify([mode, ...revocations.map(({ id }) => id)]),
  });
}

function both(standing: Standing, stale: Standing): Standing {
  const allow = new Set([...standing.allow].filter((action) => stale.allow.has(action)));
  return { ...standing, allow, isStale: true, key: `${standing.key} ${stale.key}` };
}

const STALE: Omit<Standing, 'allow'> = {
  ...{ reason: 'revocations-stale', ends: [], isStale: true, revocation: undefined, key: 'stale' },
};
const LOOK_EVERY_MS = 1_000;
const AGENT_PATH = '/spire/agent/';
