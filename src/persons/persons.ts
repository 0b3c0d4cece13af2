import type { Clock, Random } from '../std/index.ts';
import type { Store } from '../store/index.ts';
import { createGrants, type Grants } from './grants.ts';
import { createLinks, type Links } from './links.ts';
import { createSignIns, type SignInRules, type SignIns } from './sign-ins.ts';

/** All of it. */
export interface Persons {
  readonly signIns: SignIns;
  readonly links: Links;
  readonly grants: Grants;
  /** Whether whoever came by a link is anybody. */
  readonly takesLinks: boolean;
}

/** How people sign in. */
export interface PersonsConfig {
  readonly rules: SignInRules;
}

/** Creates it over a migrated store. `issuer`: whose word it is who came by a link. */
export function createPersons(
  deps: { readonly store: Store; readonly clock: Clock; readonly random: Random; readonly issuer: string },
  { rules }: PersonsConfig,
): Persons {
  return {
    signIns: createSignIns({ ...deps, rules }),
    links: createLinks({ ...deps, taken: true }),
    grants: createGrants(deps),
    takesLinks: true,
  };
}
