import type { TrustDomain } from '@countersign/sdk/identity';
import type { Nodes } from '../../attestation/index.ts';
import type { Authority } from '../../authority/index.ts';
import { type Endpoint, openApiDocument } from '../../endpoint/index.ts';
import type { Persons } from '../../persons/index.ts';
import type { Registration } from '../../registration/index.ts';
import type { Revocations } from '../../revocation/index.ts';
import type { Listen } from '../../rpc/index.ts';
import { type Clock, createSampledLog, type Log, type Random } from '../../std/index.ts';
import type { Store } from '../../store/index.ts';
import type { Access } from '../access/access.ts';
import { createActAudit, type WriteAudit } from '../audit.ts';
import type { ReadOperator } from '../authorize.ts';
import { toldEntry } from '../status.ts';
import { type AdmissionLimits, createAdmission } from './admission.ts';
import { createCallers } from './callers.ts';
import { type ConnectionTimes, connectionTimes } from './connection-times.ts';
import { createIdempotency } from './idempotency.ts';
import { createRestServer, type RestServer } from './rest-server.ts';
import { createPeople } from './sign-in/people.ts';
import { signInRoutes } from './sign-in/routes.ts';

/** What REST stands on. */
export interface RestDeps<Needs> {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly store: Store;
  readonly trustDomain: TrustDomain;
  readonly authority: Pick<Authority, 'bundle'>;
  readonly registration: Pick<Registration, 'entriesOf'>;
  readonly nodes: Pick<Nodes, 'checkSerial'>;
  readonly revocations: Pick<Revocations, 'refuseUse'>;
  readonly readOperator?: ReadOperator;
  /** As for gRPC: called before and after each act; when it throws, the act does not happen. */
  readonly audit: WriteAudit;
  readonly endpoints: readonly Endpoint<Needs>[];
  readonly needs: Needs;
  readonly persons: Persons;
  /** Where people's browsers reach it over TLS, as `https://host:port`; undefined: nowhere that is known. */
  readonly signInUrl: () => string | undefined;
  readonly access: Access;
  /** Where the console was built; undefined: it is not served. */
  readonly consoleFolder?: string;
  readonly listen: readonly Listen[];
  readonly times?: Partial<ConnectionTimes>;
  readonly admission?: Partial<AdmissionLimits>;
}

/** Creates the REST API of those endpoints. Nothing of it but its sockets is there until somebody calls. */
export function createRest<Needs>(deps: RestDeps<Needs>): RestServer {
  const { clock, log, listen } = deps;
  return createRestServer({
    ...{ clock, log, listen },
    async load() {
      const { createRestApp } = await import('./rest-app.ts');
      const tries = createAdmission(clock, SIGN_IN_TRIES);
      const signIn = { ...deps, write: deps.audit, url: deps.signInUrl, tries };
      const people = createPeople(signIn);
      let document: string | undefined;
      return createRestApp({
        ...deps,
        consoleFolder: deps.consoleFolder,
        // Callers that are refused, and calls that fail, are the callers' doing as often as not.
        log: createSampledLog({ clock, log }),
        audit: { actBy: createActAudit({ clock, write: deps.audit }) },
        callers: createCallers({ ...deps, people }),
        admission: createAdmission(clock, deps.admission),
        pages: signInRoutes({ ...signIn, people }),
        idempotency: createIdempotency({ ...deps, isRefusal: (error) => toldEntry(error) !== undefined }),
        times: { ...connectionTimes, ...deps.times },
        document() {
          document ??= JSON.stringify(openApiDocument(deps.endpoints));
          return document;
        },
      });
    },
  });
}

/** Somebody who mistypes a code a few times, and not somebody who guesses. */
const SIGN_IN_TRIES = { burst: 20, perSecond: 0.2 } as const;
