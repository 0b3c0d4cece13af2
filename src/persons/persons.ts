import type { Clock, Log, Random, Service } from '../std/index.ts';
import type { Store } from '../store/index.ts';
import { createGrants, type Grants } from './grants.ts';
import { createLinks, type Links } from './links.ts';
import { createOidc, type Oidc, type OidcConfig } from './oidc.ts';
import { type AdmitPerson, createSignIns, type SignIns } from './sign-ins.ts';
import type { SignInRules } from './standing.ts';

/** All of it. What came by an issuer that is configured no more ends as it starts, so that it does not come back with that one. */
export interface Persons extends Service {
  readonly signIns: SignIns;
  readonly links: Links;
  readonly grants: Grants;
  readonly oidc: Oidc | undefined;
}

/** How people sign in. */
export interface PersonsConfig {
  readonly rules: SignInRules;
  /** Undefined: there is no provider, and links are taken. */
  readonly oidc: OidcConfig | undefined;
}

/** Creates it over a migrated store. `issuer`: whose word it is who came by a link. */
export function createPersons(
  deps: {
    readonly store: Store;
    readonly clock: Clock;
    readonly log: Log;
    readonly random: Random;
    readonly issuer: string;
    readonly admit?: AdmitPerson;
  },
  { rules, oidc }: PersonsConfig,
): Persons {
  const signIns = createSignIns({ ...deps, rules, issuer: oidc?.issuer ?? deps.issuer });
  const links = createLinks({ ...deps, taken: oidc === undefined });
  return {
    ...{ signIns, links },
    grants: createGrants({ ...deps, from: rules.from }),
    oidc: oidc === undefined ? undefined : createOidc(deps, oidc),
    async start() {
      await signIns.endOthers();
      await links.endUntaken();
    },
    async stop() {},
  };
}
