/**
 * Registration entries: which selectors, under which parent, are which identity; and so what each agent may issue.
 *
 * It promises that what an agent may issue is answered from memory, exact within milliseconds of a change on any server, at a cost that
 * does not grow with the entries of others. It must not know how agents are attested, or what is issued.
 */

export { type EntryEndpointNeeds, endpoints } from './endpoints.ts';
export { identitiesLabelled } from './entry-queries.ts';
export { entriesInPage } from './entry-size.ts';
export { errorTable, RegistrationError } from './errors.ts';
export { registrationMigrations } from './migrations.ts';
export type { PrincipalChanges, Principals } from './principals.ts';
export { createRegistration, type RegistrationDeps } from './registration.ts';
export {
  type Declaration,
  type DeleteResult,
  ENTRIES_PER_BATCH_MAX,
  type EntryField,
  type EntryFilter,
  type EntryInput,
  type EntryPage,
  type EntryResult,
  type EntryUpdate,
  type MatchMode,
  type NodeView,
  PAGE_SIZE_MAX,
  type Registration,
} from './types.ts';
