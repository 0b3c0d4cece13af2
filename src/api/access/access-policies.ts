import type { TrustDomain } from '@countersign/sdk/identity';
import type { Kysely } from 'kysely';
import { type InputProblem, notAsSeen, notTaken, type Principal } from '../../endpoint/index.ts';
import type { Decision } from '../../model/index.ts';
import {
  type CompiledPolicies,
  checkParsed,
  formatProblem,
  type ParsedForms,
  type PolicySchema,
  type PolicySource,
  readForms,
} from '../../policy/index.ts';
import { lineDifferences } from '../../resources/index.ts';
import { assert, type Clock, type Log, messageOf, type Service } from '../../std/index.ts';
import { createFollower, type Store } from '../../store/index.ts';
import { type Access, createAccess } from './access.ts';
import { type AccessWords, accessSchema } from './access-schema.ts';
import { builtInPolicy } from './built-in-policy.ts';
import { APPLY, type CheckedAccess, checkAccess } from './check-policies.ts';
import { defaultPolicy } from './default-policy.ts';
import type { AccessTables } from './migrations.ts';

/** The policies of access that operators may change, as they are in force. */
export interface AccessSet {
  /** It grows with each change. */
  readonly revision: number;
  /** The policy of the server's version holds: nobody has said otherwise. */
  readonly isDefault: boolean;
  /** By name. */
  readonly policies: readonly PolicySource[];
  /** SHA-256, hex, over schema and texts; undefined where they can't be evaluated, and then they permit nothing. */
  readonly digest: string | undefined;
  /** Why they can't be. */
  readonly problems: readonly string[];
}

/** What became of one text. */
export interface AccessChange {
  readonly name: string;
  readonly action: 'create' | 'update' | 'delete' | 'unchanged';
  /** The lines that differ: `cedar -3: old`, `cedar +3: new`. */
  readonly differences: readonly string[];
}

/** What a change would do. */
export interface AccessPlan extends Omit<CheckedAccess, 'compiled'> {
  readonly changes: readonly AccessChange[];
  /** That it was held against. */
  readonly revision: number;
}

/** What is to be in force; `default`: what the server's version says. */
export type WantedAccess = readonly PolicySource[] | 'default';

/** Who may do what with the server: decided here, kept in the store, followed at every server. */
export interface AccessPolicies extends Access, Service {
  /** In force at this server. */
  current(): AccessSet;
  /** Compiled, for questions; undefined where they can't be evaluated. */
  compiled(): { readonly builtIn: CompiledPolicies; readonly changeable: CompiledPolicies | undefined };
  readonly schema: PolicySchema;
  /** What applying would do, and refuse. */
  plan(wanted: WantedAccess): AccessPlan;
  /**
   * Replaces all of them, or nothing. Whoever does it must be permitted to by the very policies that it replaces: where those have changed
   * since this server looked, nothing is done. When it resolves, this server decides by them.
   * @throws EndpointError ERR_ENDPOINT_REFUSED, ERR_ENDPOINT_CHANGED; StoreError
   */
  apply(
    wanted: WantedAccess,
    by: {
      readonly principal: Principal;
      readonly ifRevision?: number | undefined;
      /** Also where nobody but the operator's socket could change them again. */
      readonly allowsLockOut: boolean;
      readonly signal: AbortSignal;
    },
  ): Promise<AccessPlan & { readonly digest: string }>;
}

export interface AccessPoliciesDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly trustDomain: TrustDomain;
  readonly endpoints: readonly AccessWords[];
  /** Whether whoever came by a one-time link is anybody. */
  readonly takesLinks: boolean;
  /** The built-in and the default policy as they were parsed before; without it Cedar is loaded to do so. */
  readonly forms?: ParsedForms;
}

/** Creates it over a migrated store. Before `start` what is built in decides alone. */
export function createAccessPolicies(deps: AccessPoliciesDeps): AccessPolicies {
  const { store, clock, log, trustDomain, takesLinks } = deps;
  const schema = accessSchema(deps.endpoints);
  const formOf = readForms(deps.forms, schema);
  const { compiled: builtIn, problems } = checkParsed([builtInPolicy], schema, formOf);
  assert(builtIn !== undefined, `the built-in policy is valid: ${problems.map(formatProblem).join('; ')}`);
  const db = store.db<AccessTables>();
  let known: Known = { set: NOTHING, compiled: undefined };
  let readMs = clock.monotonicMs();

  const check = (wanted: WantedAccess) => checkAccess(sourcesOf(wanted), { schema, trustDomain, takesLinks, formOf });
  const take = (rows: Rows) => {
    readMs = clock.monotonicMs();
    // Of a store that was restored it may be a lower one.
    if (rows.revision === known.set.revision && known.set !== NOTHING) return;
    known = knownOf(rows, check);
    const { set } = known;
    if (set.problems.length > 0)
      log.error('access.policies.refused', { revision: set.revision, problems: set.problems });
  };
  const follower = createFollower(
    { store, clock, log },
    {
      topic: TOPIC,
      async load() {
        take(await readRows(db));
      },
      async read() {
        // Asked every second, and changed once a month.
        const state = await db.selectFrom('access_state').select('revision').where('id', '=', 1).executeTakeFirst();
        if (state?.revision === known.set.revision) readMs = clock.monotonicMs();
        else take(await readRows(db));
        return 'all';
      },
      pollMs: POLL_MS,
    },
  );
  /** Not in force for ever where the store is away: what was taken from somebody would go on. */
  const changeable = () => (store.isShared && clock.monotonicMs() - readMs > STALE_MS_MAX ? undefined : known.compiled);
  const access = createAccess({ clock, trustDomain, schema, builtIn, changeable });

  const planOf = (wanted: WantedAccess, checked: CheckedAccess): AccessPlan => {
    const { compiled: _, ...rest } = checked;
    const { set } = known;
    return { ...rest, changes: changesBetween(set.policies, sourcesOf(wanted)), revision: set.revision };
  };

  return {
    ...access,
    schema,
    current: () => known.set,
    compiled: () => ({ builtIn, changeable: changeable() }),
    plan: (wanted) => planOf(wanted, check(wanted)),
    async apply(wanted, { principal, ifRevision, allowsLockOut, signal }) {
      const checked = check(wanted);
      await follower.refresh();
      const plan = planOf(wanted, checked);
      const { revision } = plan;
      if (ifRevision !== undefined && ifRevision !== revision) throw changed();
      requirePermitted(access.decide(principal, APPLY), APPLY);
      refuse(checked, allowsLockOut);
      const isSame = plan.changes.every(({ action }) => action === 'unchanged');
      if (isSame && known.set.isDefault === (wanted === 'default'))
        return { ...plan, digest: checked.compiled?.digest ?? '' };
      const next = revision + 1;
      await writeSet(store, { wanted, seen: revision, next }, signal);
      // It is committed: what became of it is not to be told otherwise. Where it can't be read now, the follower tries again.
      await follower.refresh().catch((error) => log.warn('access.refresh.failed', { reason: messageOf(error) }));
      return { ...plan, revision: next, digest: checked.compiled?.digest ?? '' };
    },
    start: follower.start,
    stop: follower.stop,
  };
}

/** @throws EndpointError ERR_ENDPOINT_CHANGED */
function writeSet(
  store: Store,
  { wanted, seen, next }: { readonly wanted: WantedAccess; readonly seen: number; readonly next: number },
  signal: AbortSignal,
): Promise<void> {
  return store.transaction<AccessTables, void>(
    async (trx, effects) => {
      const state = await trx.selectFrom('access_state').select('revision').where('id', '=', 1).executeTakeFirst();
      // Whoever may do this was found by the policies of that revision, and those alone.
      if (state?.revision !== seen) throw changed();
      await trx.deleteFrom('access_policies').execute();
      const rows = wanted === 'default' ? [] : wanted.map(({ name, text }) => ({ name, cedar: text }));
      if (rows.length > 0) await trx.insertInto('access_policies').values(rows).execute();
      const values = { revision: next, is_default: wanted === 'default' ? 1 : 0 };
      await trx.updateTable('access_state').set(values).where('id', '=', 1).execute();
      effects.notify(TOPIC, String(next));
    },
    { order: 'access', signal },
  );
}

interface Known {
  readonly set: AccessSet;
  readonly compiled: CompiledPolicies | undefined;
}

interface Rows {
  readonly revision: number;
  readonly isDefault: boolean;
  readonly policies: readonly PolicySource[];
}

/** What does not hold under this version's schema permits nothing: half of a set is no set. */
function knownOf(rows: Rows, check: (wanted: WantedAccess) => CheckedAccess): Known {
  const wanted = rows.isDefault ? 'default' : rows.policies;
  const policies = sourcesOf(wanted);
  try {
    const { compiled, problems } = check(wanted);
    const told = problems.map(({ path, message }) => `${path}: ${message}`);
    return { set: { ...rows, policies, digest: compiled?.digest, problems: told }, compiled };
  } catch (error) {
    return { set: { ...rows, policies, digest: undefined, problems: [messageOf(error)] }, compiled: undefined };
  }
}

/** All of it in one statement, so that revision and texts belong together. */
async function readRows(db: Kysely<AccessTables>): Promise<Rows> {
  const rows = await db
    .selectFrom('access_state')
    .leftJoin('access_policies', (join) => join.onTrue())
    .select(['access_state.revision', 'access_state.is_default', 'name', 'cedar'])
    .where('access_state.id', '=', 1)
    .execute();
  const policies = rows.flatMap(({ name, cedar }) => (name === null || cedar === null ? [] : [{ name, text: cedar }]));
  const [first] = rows;
  assert(first !== undefined, 'the migration has written the state of access');
  return { revision: first.revision, isDefault: first.is_default === 1, policies: policies.toSorted(byName) };
}

function sourcesOf(wanted: WantedAccess): readonly PolicySource[] {
  return wanted === 'default' ? [defaultPolicy] : wanted.toSorted(byName);
}

/** @throws EndpointError ERR_ENDPOINT_REFUSED */
function refuse({ problems, locksOut }: CheckedAccess, allowsLockOut: boolean): void {
  if (problems.length > 0)
    throw notTaken('the policies are not taken; nothing was changed', problems.slice(0, TOLD_MAX));
  if (!locksOut || allowsLockOut) return;
  throw notTaken('nobody but the operator socket could change access again; nothing was changed', [LOCKED_OUT]);
}

/** @throws EndpointError ERR_ENDPOINT_REFUSED */
function requirePermitted(decision: Decision, action: string): void {
  if (decision.allow) return;
  throw notTaken('the caller may not change access any more; nothing was changed', [
    { path: '', message: `${action}: ${decision.reason}` },
  ]);
}

function changesBetween(before: readonly PolicySource[], after: readonly PolicySource[]): readonly AccessChange[] {
  const old = new Map(before.map(({ name, text }) => [name, text]));
  const kept = new Set(after.map(({ name }) => name));
  const gone = before.filter(({ name }) => !kept.has(name));
  return [
    ...after.map(({ name, text }): AccessChange => {
      const was = old.get(name);
      if (was === undefined) return { name, action: 'create', differences: linesOf('+', text) };
      if (was === text) return { name, action: 'unchanged', differences: [] };
      return { name, action: 'update', differences: lineDifferences(was, text).map((line) => `cedar ${line}`) };
    }),
    ...gone.map(({ name, text }): AccessChange => ({ name, action: 'delete', differences: linesOf('-', text) })),
  ].toSorted(byName);
}

function linesOf(sign: '+' | '-', text: string): string[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line, index) => `cedar ${sign}${index + 1}: ${line}`);
}

function changed() {
  return notAsSeen('the policies of access are not as they were seen; nothing was changed');
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

const NOTHING: AccessSet = { revision: 0, isDefault: true, policies: [], digest: undefined, problems: [] };
const LOCKED_OUT: InputProblem = {
  path: 'allowLockOut',
  message:
    'no policy would permit countersign:access.apply to any person or identity for good; add one, or say allowLockOut (--allow-lock-out)',
};
const TOPIC = 'access.changes';
/** A lost notification is made up for within it. */
const POLL_MS = 1_000;
/** Some tries to read it anew. */
const STALE_MS_MAX = 30_000;
/** A screenful. */
const TOLD_MAX = 20;
