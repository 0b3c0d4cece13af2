/**
 * People: who has signed in, from where and until when, and the ways to do so: a one-time link, an OpenID provider, and a command line that somebody
 * who has signed in lets in.
 *
 * It promises: no secret that is handed out lies in the store, only its digest; what is good once is good once, at whichever server; a sign-in ends
 * when it is old, idle or ended, at every server at once, and is of no use from another address unless the configuration says so. It must not know how a
 * request arrives, what a cookie is, or what anybody may do.
 */
export type { AddressRule } from './address.ts';
export { endpoints, type PersonEndpointNeeds } from './endpoints.ts';
export { errorTable, PersonsError } from './errors.ts';
export type { TokenAnswer } from './grant-answers.ts';
export type { Grants } from './grants.ts';
export type { Links } from './links.ts';
export { personsMigrations } from './migrations.ts';
export type { OidcConfig } from './oidc.ts';
export { createPersons, type Persons, type PersonsConfig } from './persons.ts';
export { type AdmitPerson, type AskedSignIn, CLI_PREFIX, endSignInsOf, type SignIns } from './sign-ins.ts';
export type { SignInRules } from './standing.ts';
export type { FoundSignIn, Person, SignIn, SignInKind } from './types.ts';
