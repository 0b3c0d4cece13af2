import type { TrustDomain } from '@countersign/sdk/identity';
import type { Approvals } from '../approval/index.ts';
import type { NodeAttestation, Nodes } from '../attestation/index.ts';
import type { Authority } from '../authority/index.ts';
import type { Questions } from '../questions/index.ts';
import type { Records } from '../records/index.ts';
import type { Registration } from '../registration/index.ts';
import type { Resources } from '../resources/index.ts';
import type { RevocationFeed, Revocations } from '../revocation/index.ts';
import { type CallContext, healthService, type Peer, type RpcService, sourceOf } from '../rpc/index.ts';
import type { LiveSessions } from '../sessions/index.ts';
import { type Clock, createSampledLog, type Log } from '../std/index.ts';
import type { Access } from './access/access.ts';
import { agentService } from './agent-service.ts';
import { createAudit, type WriteAudit } from './audit.ts';
import { createAuthorizer, type ReadOperator } from './authorize.ts';
import { bundleService } from './bundle-service.ts';
import { controlService } from './control-service.ts';
import { entryService } from './entry-service.ts';
import { approvalsService } from './gateways/approvals-service.ts';
import { questionsService } from './gateways/questions-service.ts';
import type { ParsePolicies } from './listed-resources.ts';
import { recordsService } from './records-service.ts';
import { createRefusalIntake } from './refusal-intake.ts';
import { revocationsService } from './revocations-service.ts';
import { sessionsService } from './sessions-service.ts';
import { svidService } from './svid-service.ts';

/** What the API stands on. */
export interface ServerApiDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly trustDomain: TrustDomain;
  readonly access: Access;
  readonly authority: Authority;
  readonly registration: Registration;
  readonly resources: Resources;
  readonly questions: Questions;
  readonly sessions: LiveSessions;
  readonly revocations: Pick<Revocations, 'checkSigned' | 'refuseUse'>;
  readonly feed: RevocationFeed;
  readonly approvals: Pick<Approvals, 'hold' | 'look' | 'withdraw' | 'spend' | 'onHold'>;
  readonly records: Records;
  readonly nodes: Nodes;
  readonly nodeAttestation: NodeAttestation;
  /** Called before and after each act of an operator; when it throws, the act does not happen. */
  readonly audit: WriteAudit;
  /** For operators that ask policies questions: they need not load a parser for it. */
  readonly parsePolicies: ParsePolicies;
  /** Whether the server is ready to serve, for the health check. */
  readonly ready: () => boolean;
  /** Life of the SVIDs that agents renew to, seconds; 0 = as the authority says. */
  readonly agentTtlS?: number;
  /** Who is at the other end of the operator's socket; without it acts that come in by it are those of `admin`. */
  readonly readOperator?: ReadOperator;
}

/** What to give to `createRpcServer`, for the TCP address and for the operator's local socket alike: the peer decides what it may. */
export interface ServerApi {
  readonly services: readonly RpcService[];
  readonly interceptor: (context: CallContext, next: () => Promise<void>) => Promise<void>;
  readonly pacedAs: (peer: Peer) => string | undefined;
}

/**
 * Creates the services of a server. A peer over TLS is an agent, an admin or a gateway by its SVID; a peer on a unix socket is the
 * operator, so that socket must be reachable by nobody else (mode 0600 in a folder 0700).
 */
export function createServerApi(deps: ServerApiDeps): ServerApi {
  // Callers that are refused, and calls that fail, are the callers' doing as often as not.
  const log = createSampledLog(deps);
  const authorizer = createAuthorizer({ ...deps, log });
  const audit = createAudit({ clock: deps.clock, authorizer, write: deps.audit });
  const refusals = createRefusalIntake({ clock: deps.clock, write: deps.audit });
  const shared = { ...deps, authorizer, audit, refusals };
  return {
    services: [
      agentService(shared),
      bundleService(shared),
      entryService(shared),
      svidService(shared),
      controlService(shared),
      questionsService(shared),
      sessionsService(shared),
      recordsService(shared),
      revocationsService(shared),
      approvalsService(shared),
      healthService((service) => (service === '' ? deps.ready() : undefined)),
    ],
    interceptor: authorizer.interceptor,
    pacedAs: (peer) => (authorizer.recognises(peer) ? undefined : sourceOf(peer)),
  };
}
