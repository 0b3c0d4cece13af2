import {
  errorTable,
  type KnownRevocations,
  KnownRevocationsError,
  type RevocationWatch,
} from '../../known-revocations/index.ts';
import type { RevocationState } from '../../model/index.ts';
import type { RevocationFeed, VerifierCounts } from '../../revocation/index.ts';
import { Code, RpcError } from '../../rpc/index.ts';
import { type Clock, formatDurationMs, messageOf } from '../../std/index.ts';
import type { Found, HealthCheck } from './conditions.ts';
import type { Metric } from './metrics.ts';
import { remedyOfLink } from './server-link.ts';

/** What a role does when what it knows of revocations has become old. */
interface Freshness {
  readonly maxAgeMs: number;
  /** Undefined: it goes on. */
  readonly whenStale?: ReadonlySet<string> | undefined;
}

type Watched = Pick<RevocationWatch, 'problem' | 'keepProblem' | 'acknowledged'>;

/** Whether this role knows who is revoked. */
export function createRevocationCheck(parts: {
  readonly clock: Clock;
  readonly known: Pick<KnownRevocations, 'ageMs'>;
  readonly watch: Pick<Watched, 'problem' | 'keepProblem'>;
  readonly freshness: Freshness;
  /** By which setting the server is found. */
  readonly setting: string;
}): HealthCheck {
  const { clock, known, watch, freshness } = parts;
  const startedMs = clock.monotonicMs();
  return () => {
    const problem = watch.problem();
    const found: Found[] = [];
    const kept = watch.keepProblem();
    if (kept !== undefined) found.push(unkeptFound(kept));
    if (problem !== undefined) found.push(...refusedFound(problem.error));
    // Before the first word since its start nobody knows how old it is.
    const sinceStartMs = clock.monotonicMs() - startedMs;
    if (Math.min(known.ageMs(), sinceStartMs) > freshness.maxAgeMs)
      found.push(staleFound(Math.min(known.ageMs(), sinceStartMs), { freshness, problem, setting: parts.setting }));
    return found;
  };
}

/** What is known can not be kept over a restart. */
export function unkeptFound(error: unknown): Found {
  return { severity: 'degraded', key: 'kept', found: `who is revoked can not be kept: ${messageOf(error)}` };
}

/** What of the feed is wrong, of a role that goes on without it. */
export function problemFound(
  problem: { readonly error: unknown; readonly forMs: number },
  { maxAgeMs, setting }: { readonly maxAgeMs: number; readonly setting: string },
): readonly Found[] {
  const refused = refusedFound(problem.error);
  if (refused.length > 0 || problem.forMs <= maxAgeMs) return refused;
  return [staleFound(problem.forMs, { freshness: { maxAgeMs }, problem, setting })];
}

/** The server says what can not be, or that it has not what is known here. */
function refusedFound(error: unknown): readonly Found[] {
  const isOlder = error instanceof RpcError && error.code === Code.FAILED_PRECONDITION;
  if (!isOlder && !(error instanceof KnownRevocationsError && error.code === 'ERR_REVOCATIONS_REFUSED')) return [];
  const found = `${messageOf(error)}; what was known stays in force`;
  return [{ severity: 'degraded', key: 'refused', found, remedy: errorTable.ERR_REVOCATIONS_REFUSED.remedy }];
}

function staleFound(
  forMs: number,
  {
    freshness: { whenStale },
    problem,
    setting,
  }: { readonly freshness: Freshness; readonly problem: ReturnType<Watched['problem']>; readonly setting: string },
): Found {
  const does =
    whenStale === undefined
      ? 'those known before are refused, and all others served'
      : whenStale.size === 0
        ? 'nobody is served'
        : `only ${[...whenStale].join(', ')} may be done`;
  const why = problem === undefined ? '' : `: ${messageOf(problem.error)}`;
  const remedy = problem && remedyOfLink(problem.error, setting);
  return {
    ...{ severity: whenStale?.size === 0 ? 'failed' : 'degraded', key: 'stale' },
    found: `the server has not said for ${formatDurationMs(Math.floor(forMs / 1000) * 1000)} who is revoked${why}; ${does}`,
    ...(remedy === undefined ? {} : { remedy }),
  };
}

/** The same in figures. */
export function revocationMetrics(
  known: Pick<KnownRevocations, 'state' | 'sequence' | 'ageMs'>,
  watch: Pick<Watched, 'acknowledged'>,
): readonly Metric[] {
  const of = (name: string, help: string, read: () => number): Metric => ({
    ...{ name: `countersign_revocations_${name}`, help, read },
  });
  return [
    of('standing', 'Revocations and quarantines in force.', () => known.state?.revocations.length ?? 0),
    of('sequence', 'Of the state that is in force.', () => known.sequence),
    of('acknowledged', 'Sequence that the server was last told is in effect.', watch.acknowledged),
    of(
      'age_seconds',
      'Since the server has last said that these are all; +Inf before the first time.',
      () => known.ageMs() / 1000,
    ),
  ];
}

/** Whether the store lacks what verifiers have. */
export function createPutBackCheck(feed: Pick<RevocationFeed, 'unknownStates'>): HealthCheck {
  return () => {
    const states = feed.unknownStates();
    const [first] = states;
    if (first === undefined) return [];
    const more = states.length === 1 ? '' : ` and ${states.length - 1} more`;
    const found = `${first.spiffeId}${more} has state ${first.sequence} of revocations, which the store has not: it was put back`;
    return [{ severity: 'degraded', found, sinceMs: Math.min(...states.map(({ sinceMs }) => sinceMs)) }];
  };
}

/** What a server knows of revocations and of its verifiers, in figures. */
export function serverRevocationMetrics(parts: {
  readonly standing: () => { readonly state: Omit<RevocationState, 'issuedAtMs'> } | undefined;
  readonly feed: Pick<RevocationFeed, 'unknownStates'>;
  readonly verifierCounts: () => VerifierCounts | undefined;
}): readonly Metric[] {
  const { standing, feed, verifierCounts } = parts;
  const of = (name: string, help: string, read: () => number): Metric => ({
    ...{ name: `countersign_revocation${name}`, help, read },
  });
  return [
    of('s_standing', 'Revocations and quarantines in force.', () => standing()?.state.revocations.length ?? Number.NaN),
    of('s_sequence', 'Of the state that is in force.', () => standing()?.state.sequence ?? Number.NaN),
    of(
      '_verifiers_behind',
      'Agents and gateways that are connected to any server and have not said that the newest state is in effect; NaN while that is not known.',
      () => verifierCounts()?.behind ?? Number.NaN,
    ),
    of(
      '_verifiers_away',
      'Agents and gateways that are known and not connected; NaN while that is not known.',
      () => verifierCounts()?.away ?? Number.NaN,
    ),
    of(
      '_verifiers_put_back',
      'Agents and gateways that have a state of revocations which the store has not.',
      () => feed.unknownStates().length,
    ),
  ];
}
