/**
 * Persistence: typed statements, serializable transactions, notifications to all processes, migrations, and leases for what one process does at a time.
 *
 * It promises the same behaviour over every engine: what is acknowledged survives a crash, a transaction happens wholly or
 * not at all, and a notification comes only after its commit. It must not know what any feature keeps.
 */
export { errorTable, StoreError } from './errors.ts';
export { createFollower, type Follower, type FollowStep } from './follow.ts';
export { storeMigrations } from './lease-migrations.ts';
export { createLeases, databaseMs, type Lease, type Leases, type SeenLeases } from './leases.ts';
export { type NewerMigration, newerMigrations } from './newer.ts';
export {
  type Additive,
  bytesType,
  type Dialect,
  type GivenFiles,
  type Migration,
  NOTIFY_BYTES_MAX,
  type Store,
  type StoreEngineMember,
  type TransactionEffects,
  type TransactionOptions,
} from './store.ts';
