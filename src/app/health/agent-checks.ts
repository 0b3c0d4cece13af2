import { lstatSync } from 'node:fs';
import type { AgentStatus } from '../../agent/index.ts';
import { type Clock, formatTime, messageOf } from '../../std/index.ts';
import type { Found, HealthCheck, HealthChecks } from './conditions.ts';
import { problemFound, unkeptFound } from './revocation-checks.ts';
import { isOverdue, remedyOfLink } from './server-link.ts';

/** The checks of the parts that only an agent has. `fatal` is why the server shut this node out for good. */
export function createAgentChecks(parts: {
  readonly clock: Clock;
  readonly config: { readonly server: string; readonly socket: string };
  readonly status: () => AgentStatus;
  readonly fatal: () => Error | undefined;
}): Omit<HealthChecks<'agent'>, 'clock' | 'room' | 'event-loop' | 'descriptors'> {
  const { clock, config, status, fatal } = parts;
  return {
    identity: () => checkIdentity(status(), { fatal: fatal(), nowMs: clock.now() }),
    'server-link'() {
      const { attested, ready, problem, identity, svidsUntilMs } = status();
      if (!ready && fatal() === undefined)
        return [{ severity: 'failed', found: 'nothing was fetched from the server yet' }];
      // Without an identity the same is told there.
      if (problem === undefined || !attested || problem.forMs < LOST_MS_MAX) return [];
      const good =
        identity === undefined ? '' : `; the node’s identity is good until ${formatTime(identity.expiresMs)}`;
      const first = Number.isFinite(svidsUntilMs)
        ? `, the first of its workloads’ until ${formatTime(svidsUntilMs)}`
        : '';
      const found = `no news from the server at ${config.server}: ${messageOf(problem.error)}; what it has is served${good}${first}`;
      return [{ severity: 'degraded', key: 'sync', found, sinceMs: clock.now() - problem.forMs, ...remedyOf(problem) }];
    },
    push() {
      const { pushLostForMs: lostForMs, problem } = status();
      if (lostForMs === undefined || lostForMs < PUSH_LOST_MS_MAX || problem !== undefined) return [];
      const found = 'the server does not push: changes are noticed within seconds, not at once';
      return [{ severity: 'warning', found, sinceMs: clock.now() - lostForMs }];
    },
    revocations() {
      const { revocationsProblem: problem, revocationsUnkept: unkept } = status();
      return [
        ...(unkept === undefined ? [] : [unkeptFound(unkept)]),
        ...(problem === undefined
          ? []
          : problemFound(problem, { maxAgeMs: REVOCATIONS_MS_MAX, setting: 'agent.server' })),
      ];
    },
    // What it waits for while it starts is told by identity.
    starting: () =>
      status().stage !== 'starting' || status().identity === undefined
        ? []
        : [{ severity: 'failed', found: 'the agent is starting' }],
    socket: createSocketCheck(config.socket, () => status().stage === 'serving'),
    cache() {
      const { cacheProblem } = status();
      if (cacheProblem === undefined) return [];
      return [{ severity: 'degraded', key: 'file', found: `the sealed cache: ${messageOf(cacheProblem)}` }];
    },
  };
}

function checkIdentity(
  { attested, identity, problem }: AgentStatus,
  { fatal, nowMs }: { fatal: Error | undefined; nowMs: number },
): readonly Found[] {
  const one = { what: 'identity of the node', key: 'life' };
  if (fatal !== undefined) return [{ severity: 'failed', ...one, found: fatal.message, ...remedyOf({ error: fatal }) }];
  if (attested) {
    if (identity === undefined || !isOverdue(identity, nowMs)) return [];
    const found = `the node’s identity was not renewed; it is good until ${formatTime(identity.expiresMs)}`;
    return [{ severity: 'degraded', ...one, found, ...(problem === undefined ? {} : remedyOf(problem)) }];
  }
  const state =
    identity === undefined
      ? 'the node has no identity yet'
      : `the node’s identity expired at ${formatTime(identity.expiresMs)}`;
  if (problem === undefined) return [{ severity: 'failed', ...one, found: state }];
  return [{ severity: 'failed', ...one, found: `${state}: ${messageOf(problem.error)}`, ...remedyOf(problem) }];
}

/** Whether the socket that was there once is still the one that processes find. */
function createSocketCheck(path: string, serves: () => boolean): HealthCheck {
  let known: { readonly ino: number; readonly dev: number } | undefined;
  return () => {
    // Until then it is what an agent that was killed has left there.
    if (!serves()) {
      known = undefined; // It may have to be made anew, after a successor that failed.
      return [];
    }
    const stat = statOf(path);
    if (known === undefined) {
      // Not before it was seen: a start that can't make it fails by itself.
      if (stat?.isSocket()) known = { ino: stat.ino, dev: stat.dev };
      return [];
    }
    if (stat === undefined) return [{ severity: 'failed', found: `there is no ${path} any more` }];
    if (stat.ino === known.ino && stat.dev === known.dev) return [];
    return [{ severity: 'failed', found: `${path} is no longer the socket of this agent` }];
  };
}

function statOf(path: string) {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined; // A way that can't be gone is no way to it.
  }
}

function remedyOf({ error }: { readonly error: unknown }): { remedy?: string } {
  const remedy = remedyOfLink(error, 'agent.server');
  return remedy === undefined ? {} : { remedy };
}

/** A server that is restarted is back before. */
const LOST_MS_MAX = 10_000;
/** A stream that the server ended is opened anew with the next sync, ten seconds on at most. */
const PUSH_LOST_MS_MAX = 60_000;
/** As a gateway has it where nothing else is said. */
const REVOCATIONS_MS_MAX = 60_000;
