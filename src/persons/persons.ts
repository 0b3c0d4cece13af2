import type { Clock, Log, Random } from '../std/index.ts';
import type { Store } from '../store/index.ts';
import { createGrants, type Grants } from './grants.ts';
import { createLinks, type Links } from './links.ts';
import { createOidc, type Oidc, type OidcConfig } from './oidc.ts';
import { createSignIns, type SignInRules, type SignIns } from './sign-ins.ts';

/** All of it. */
export interface Persons {
  readonly signIns: SignIns;
  readonly links: Links;
  readonly grants: Grants;
  /** Whether whoever came by a link is anybody. */
  readonly takesLinks: boolean;
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
  },
  { rules, oidc }: PersonsConfig,
): Persons {
  const takesLinks = oidc === undefined;
  return {
    signIns: createSignIns({ ...deps, rules }),
    links: createLinks({ ...deps, taken: takesLinks }),
    grants: createGrants(deps),
    takesLinks,
    oidc: oidc === undefined ? undefined : createOidc(deps, oidc),
  };
}
