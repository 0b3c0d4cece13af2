import type { AccessPolicies } from '../../api/index.ts';
import type { AuthorityHealth } from '../../authority/index.ts';
import type { LedgerWatch } from '../../ledger/index.ts';
import type { Records, Sinks } from '../../records/index.ts';
import type { Resources } from '../../resources/index.ts';
import { type Clock, CodedError, formatTime, messageOf } from '../../std/index.ts';
import type { NewerMigration } from '../../store/index.ts';
import type { ServerIdentity } from '../server-identity.ts';
import type { LedgerShipping } from '../shipping/ship-ledger.ts';
import type { Found, HealthCheck, HealthChecks } from './conditions.ts';
import { createLedgerChecks } from './ledger-checks.ts';
import { createRecordCheck, createShippingCheck, createSinkCheck } from './record-checks.ts';
import { isOverdue } from './server-link.ts';
import type { StoreProbe } from './store-probe.ts';

/** The checks of the parts that only a server has. */
export function createServerChecks(parts: {
  readonly clock: Clock;
  readonly ledger: LedgerWatch;
  readonly access: Pick<AccessPolicies, 'current' | 'compiled'>;
  readonly authority: AuthorityHealth;
  readonly identity: Pick<ServerIdentity, 'life'>;
  readonly probe: Pick<StoreProbe, 'problem' | 'newer'>;
  readonly resources: Pick<Resources, 'servers'>;
  readonly records: Pick<Records, 'logs' | 'silentMs'>;
  readonly shipping: Pick<LedgerShipping, 'lag'>;
  readonly sinks: Pick<Sinks, 'views'>;
  readonly started: () => boolean;
}): Omit<HealthChecks<'server'>, 'clock' | 'room' | 'event-loop' | 'descriptors'> {
  const { clock, authority, identity, probe } = parts;
  return {
    ...createLedgerChecks(parts.ledger, {
      severity: 'degraded',
      effect: 'what operators do is refused',
    }),
    record: createRecordCheck(parts.records),
    shipping: createShippingCheck(parts.shipping),
    sinks: createSinkCheck(parts.sinks, clock),
    starting: () => (parts.started() ? [] : [{ severity: 'failed', found: 'the server is starting' }]),
    store() {
      const problem = probe.problem();
      if (problem === undefined) return [];
      const found = `the store does not answer: ${messageOf(problem.error)}; the server goes on with what it holds in memory`;
      return [
        {
          ...{ severity: 'degraded', key: 'away', found, sinceMs: clock.now() - problem.forMs },
          ...remedyOf(problem.error),
        },
      ];
    },
    presence: () => (parts.started() ? presenceOf(parts.resources.servers()) : []),
    release: () => probe.newer().map(releaseFound),
    access() {
      if (!parts.started() || parts.access.compiled().changeable !== undefined) return [];
      const [problem] = parts.access.current().problems;
      const found =
        problem === undefined
          ? 'the policies of access could not be read for half a minute, and permit nothing'
          : `the policies of access can not be evaluated, and permit nothing: ${problem}`;
      return [{ severity: 'degraded', found }];
    },
    keys: () =>
      authority.lost().map(({ kind, id, expiresAtS }) => ({
        severity: 'degraded',
        found: `the ${kind} authority ${id} was lost and another made in its place: agents and gateways that know only the lost one, good until ${formatTime(expiresAtS * 1000)}, do not know this server`,
      })),
    authority: checkAuthority(authority),
    identity() {
      const life = identity.life();
      if (life === undefined)
        return parts.started() ? [{ severity: 'failed', found: 'the server has no identity' }] : [];
      const until = formatTime(life.expiresMs);
      const remedy = 'See the condition authority, and the log (app.server.identity_not_renewed).';
      if (clock.now() >= life.expiresMs)
        return [
          {
            severity: 'failed',
            key: 'life',
            found: `the server’s identity expired at ${until}: nobody can connect`,
            remedy,
          },
        ];
      if (!isOverdue(life, clock.now())) return [];
      const found = `the server’s identity was not renewed; agents can connect until ${until}`;
      return [{ severity: 'degraded', key: 'life', found, remedy }];
    },
  };
}

function presenceOf({ selfUnheardMs, selfGoneForMs }: ReturnType<Resources['servers']>): readonly Found[] {
  if (selfUnheardMs >= UNHEARD_MS_MAX) {
    const found = `the database has not heard for ${Math.floor(selfUnheardMs / 1000)} s that this server is there: others that reach it take this one for gone`;
    return [{ severity: 'degraded', key: 'unheard', found }];
  }
  if (selfGoneForMs === undefined || selfGoneForMs >= TOLD_FOR_MS) return [];
  const found = `others took this server for gone, ${Math.floor(selfGoneForMs / 1000)} s ago; it is there again`;
  return [{ severity: 'warning', key: 'was-gone', found }];
}

function releaseFound({ name, release, hindrance }: NewerMigration): Found {
  const by = release === '' ? 'a newer release' : `release ${release}`;
  if (hindrance === undefined)
    return {
      severity: 'warning',
      key: name,
      found: `${name} of ${by} was applied to the store; this server passes over it`,
    };
  const found = `${name} of ${by} was applied to the store: ${hindrance}; this server does not understand it`;
  return { severity: 'degraded', key: name, found };
}

function checkAuthority(authority: AuthorityHealth): HealthCheck {
  return () => {
    const missing = authority.unable().map((kind): Found => {
      return { severity: 'failed', found: `no ${kind} authority is there to sign with` };
    });
    const problem = authority.problem();
    if (problem === undefined) return missing;
    const found = `the last look at the authorities failed: ${messageOf(problem)}`;
    return [...missing, { severity: 'degraded', key: 'check', found, ...remedyOf(problem) }];
  };
}

function remedyOf(error: unknown): { remedy?: string } {
  return error instanceof CodedError ? { remedy: error.entry.remedy } : {};
}

/** Its lease is over; see the resources. */
const UNHEARD_MS_MAX = 10_000;
/** Whoever looks after it was red wants to know why. */
const TOLD_FOR_MS = 60_000;
