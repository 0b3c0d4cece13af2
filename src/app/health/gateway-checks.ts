import type { Gateway } from '../../gateway/index.ts';
import type { LedgerWatch } from '../../ledger/index.ts';
import { type Clock, formatTime, messageOf } from '../../std/index.ts';
import { parseCertificate } from '../../wire/x509/index.ts';
import type { OwnIdentity, WorkloadIdentity } from '../../workload-identity/index.ts';
import type { ControlWatch } from '../control/control-watch.ts';
import type { GatewayUpdates } from '../control/gateway-updates.ts';
import type { LedgerShipping } from '../shipping/ship-ledger.ts';
import type { Found, HealthCheck, HealthChecks } from './conditions.ts';
import { createLedgerChecks } from './ledger-checks.ts';
import { createShippingCheck } from './record-checks.ts';
import { isOverdue, remedyOfLink } from './server-link.ts';

type TargetProblem = ReturnType<Gateway['problems']>[number];

/** The checks of the parts that only a gateway has. */
export function createGatewayChecks(parts: {
  readonly clock: Clock;
  readonly config: { readonly server: string; readonly workloadApi: string };
  readonly ledger: LedgerWatch;
  readonly identity: Pick<WorkloadIdentity, 'current'>;
  readonly gateway: Pick<Gateway, 'problems'>;
  readonly updates: Pick<GatewayUpdates, 'informed' | 'problems'>;
  readonly watch: Pick<ControlWatch, 'problem'>;
  readonly shipping: Pick<LedgerShipping, 'lag'>;
  readonly revoked: { readonly check: HealthCheck };
  readonly started: () => boolean;
}): Omit<HealthChecks<'gateway'>, 'clock' | 'room' | 'event-loop' | 'descriptors' | 'leaving' | 'workers'> {
  const { clock, config, identity, gateway, updates, watch } = parts;
  const aboutTargets = (about: TargetProblem['about'], severity: Found['severity']): HealthCheck => {
    return () =>
      gateway
        .problems()
        .filter((problem) => problem.about === about)
        .map(({ target, what, remedy }) => ({ severity, what: `target ${target}`, found: what, remedy }));
  };
  return {
    ...createLedgerChecks(parts.ledger, { severity: 'failed', effect: 'nothing is executed' }),
    shipping: createShippingCheck(parts.shipping),
    revocations: parts.revoked.check,
    // What it waits for while it starts is told by identity: the doors open with the first.
    starting: () =>
      parts.started() || identity.current() === undefined
        ? []
        : [{ severity: 'failed', found: 'the gateway is starting' }],
    identity() {
      const own = identity.current();
      if (own === undefined)
        return [
          {
            severity: 'failed',
            key: 'life',
            found: `no identity: does the agent at ${config.workloadApi} know this process?`,
            remedy: NO_IDENTITY,
          },
        ];
      const life = lifeOf(own);
      if (!isOverdue(life, clock.now())) return [];
      const found = `the gateway’s identity was not renewed; sessions can be opened until ${formatTime(life.expiresMs)}`;
      return [
        {
          severity: 'degraded',
          key: 'life',
          found,
          remedy: 'See /ready and the log of the agent, by which it is renewed.',
        },
      ];
    },
    'server-link'() {
      const problem = watch.problem();
      if (problem === undefined || problem.forMs < LOST_MS_MAX) return [];
      const own = identity.current();
      const until = own === undefined ? '' : `; the identity is good until ${formatTime(own.expiresAtS * 1000)}`;
      const found = `no news from the server at ${config.server}: ${messageOf(problem.error)}; what is in force stays${until}`;
      const remedy = remedyOfLink(problem.error, 'gateway.server');
      return [
        {
          ...{ severity: 'degraded', key: 'lost', found, sinceMs: clock.now() - problem.forMs },
          ...(remedy === undefined ? {} : { remedy }),
        },
      ];
    },
    policies() {
      const problems = updates.problems().map(({ what, found, remedy }): Found => {
        return { severity: 'degraded', what, found, remedy };
      });
      if (updates.informed()) return problems;
      const found = `the server at ${config.server} has not told targets and policies that can be used yet`;
      return [{ severity: 'failed', found }, ...problems];
    },
    targets: () => [...aboutTargets(undefined, 'degraded')(), ...aboutTargets('upstream', 'warning')()],
    certificates: () => [
      ...aboutTargets('certificate', 'degraded')(),
      ...aboutTargets('certificate-soon', 'warning')(),
    ],
    masks: aboutTargets('masks', 'degraded'),
    names: aboutTargets('names', 'warning'),
  };
}

function lifeOf({ chainDer, expiresAtS }: OwnIdentity): { readonly issuedMs: number; readonly expiresMs: number } {
  const expiresMs = expiresAtS * 1000;
  const [leaf] = chainDer;
  return { issuedMs: leaf === undefined ? expiresMs : parseCertificate(leaf).notBeforeS * 1000, expiresMs };
}

const NO_IDENTITY =
  'Apply an entry for it, with `unix:user:NAME` of the user that it runs as among its selectors and this node as parentId (`countersign apply`); else see the log of the agent.';
/** A server that is restarted, or streams that it ends to spread its clients, are back before; a lost network is seen by then as well. */
const LOST_MS_MAX = 10_000;
