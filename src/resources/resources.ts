import type { Kysely } from 'kysely';
import { assert, type Clock, type Log, type Random, type Service } from '../std/index.ts';
import type { Store, TransactionEffects } from '../store/index.ts';
import { ResourcesError } from './errors.ts';
import { readInstances } from './gateway-rows.ts';
import { createGateways } from './gateways.ts';
import type { Kind } from './kind.ts';
import { createLiveView } from './live-view.ts';
import type { ResourcesTables } from './migrations.ts';
import { concernsKept, isKept, planKept } from './planning/kept-kinds.ts';
import {
  changedSince,
  checkCount,
  compareText,
  keyOf,
  planOf,
  problemsOf,
  tagOf,
  togetherProblems,
  withinRoom,
} from './planning/plan.ts';
import type { Change, Plan, PlanOptions, Problem, Resource, ResourceName, Resources, Snapshot } from './types.ts';

/** What resources need. */
export interface ResourcesDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** What can be declared. */
  readonly kinds: readonly Kind[];
}

/** Creates resources over a migrated store. `start` loads them. */
export function createResources(deps: ResourcesDeps): Resources & Service {
  const { store, clock, random, log, kinds } = deps;
  const db = store.db<ResourcesTables>();
  const view = createLiveView<Snapshot>({
    store,
    clock,
    log,
    topic: CHANGES_TOPIC,
    read: () => readSnapshot(db),
    revisionOf: (snapshot) => snapshot.revision,
  });
  const gateways = createGateways({ store, clock, random, log });

  const { decide, attempt, rehearse } = createDeciding({ store, kinds });

  return {
    kinds: kinds.map(({ name }) => name).toSorted(compareText),
    keptElsewhere: kinds.flatMap(({ name, keeper }) => (keeper === undefined ? [] : [name])),
    plan: (resources, options) =>
      attempt(resources, async () => {
        if (concernsKept(resources, { ...options, kinds })) return rehearse(resources, options);
        const { ifTag, ...more } = options;
        const plan = withRoom(planOf(await readSnapshot(db), resources, { ...more, kinds }));
        if (plan.ok && ifTag !== undefined && ifTag !== plan.tag) throw changedSince();
        return plan;
      }),
    apply: (resources, { signal, alongside, ...options }) =>
      attempt(resources, async () => {
        let shown = async () => {};
        const plan = await store.transaction<ResourcesTables, Plan & { readonly ok: true }>(
          async (trx, effects) => {
            // Read in the transaction: two who apply at once must not undo each other by plans made before, nor make a set that neither declared.
            const decided = await decide({ trx, effects }, resources, options);
            const planned = { changes: decided.own, resources, revision: decided.plan.revision };
            const revision = await carryOut(trx, effects, planned);
            await alongside?.(trx as unknown as Kysely<unknown>, effects);
            shown = decided.committed;
            return { ok: true, changes: decided.changes, revision, tag: tagOf(revision) };
          },
          { order: 'resources', ...(signal ? { signal } : {}) },
        );
        await shown();
        await view.reach(plan.revision);
        return plan;
      }),
    list: () => readSnapshot(db),
    snapshot() {
      const snapshot = view.current();
      if (!snapshot) throw new ResourcesError('ERR_RESOURCES_NOT_READY', 'the resources are not loaded yet');
      return snapshot;
    },
    onChange: view.onChange,
    reportGateway: gateways.report,
    keepReport: gateways.keepReport,
    reportedGateways: gateways.reported,
    gatewayInstances: () => readInstances(db),
    gateways: gateways.all,
    onGateways: gateways.onChange,
    forgetGateway: gateways.forget,
    servers: gateways.servers,
    async start(signal) {
      await view.start(signal);
      checkPresent(view.current(), deps);
      await gateways.start(signal);
    },
    async stop() {
      await gateways.stop();
      await view.stop();
    },
  };
}

/** How it is found out what becomes of what is declared. */
function createDeciding({ store, kinds }: Pick<ResourcesDeps, 'store' | 'kinds'>) {
  /** What becomes of it within that transaction. What is kept elsewhere is written, and so looked at by who keeps it; the rest is not yet. */
  const decide = async (
    { trx, effects }: { trx: Kysely<ResourcesTables>; effects: TransactionEffects },
    declared: readonly Resource[],
    { ifTag, remove = [], ...options }: PlanOptions,
  ) => {
    const own = ({ kind }: ResourceName) => !isKept(kind, kinds);
    const removeOwn = remove.filter(own);
    const plan = planOf(await readSnapshot(trx), declared.filter(own), { ...options, remove: removeOwn, kinds });
    if (!plan.ok) throw new Refused(plan.problems);
    // Features keep tables of their own: what they read and write is none of ours.
    const kept = await planKept(trx as unknown as Kysely<unknown>, declared, { kinds, remove });
    const tag = tagOf(plan.revision, kept.digest);
    if (ifTag !== undefined && ifTag !== tag && ifTag !== tagOf(plan.revision)) throw changedSince();
    const { problems, committed } = await kept.write(effects);
    if (problems.length > 0) throw new Refused(problems);
    return { own: plan.changes, changes: withinRoom([...plan.changes, ...kept.changes]), plan, tag, committed };
  };

  /** Runs what may refuse it all, by which nothing is kept. */
  const attempt = async (declared: readonly Resource[], run: () => Promise<Plan>): Promise<Plan> => {
    checkCount(declared);
    const problems = problemsOf(declared, kinds);
    if (problems.length > 0) return { ok: false, problems };
    try {
      return await run();
    } catch (error) {
      if (error instanceof Refused) return { ok: false, problems: error.problems };
      throw error;
    }
  };

  /** A plan that says what a keeper would refuse is made by having it done, and undone. */
  const rehearse = async (
    declared: readonly Resource[],
    { signal, ...options }: PlanOptions & { signal?: AbortSignal },
  ): Promise<Plan> => {
    let rehearsed: Plan | undefined;
    try {
      await store.transaction<ResourcesTables, never>(
        async (trx, effects) => {
          const { changes, plan, tag } = await decide({ trx, effects }, declared, options);
          rehearsed = { ...plan, changes, tag };
          throw new Undone();
        },
        { order: 'resources', ...(signal ? { signal } : {}) },
      );
    } catch (error) {
      if (!(error instanceof Undone) || rehearsed === undefined) throw error;
    }
    assert(rehearsed !== undefined, 'what was rehearsed is known');
    return rehearsed;
  };

  return { decide, attempt, rehearse };
}

function withRoom(plan: Plan): Plan {
  return plan.ok ? { ...plan, changes: withinRoom(plan.changes) } : plan;
}

/** The set is not taken; thrown in a transaction, it undoes that. */
class Refused extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super('refused');
    this.problems = problems;
  }
}

/** Undoes a transaction that was only to show what would become of it. */
class Undone extends Error {}

/**
 * Tells of a set that an older version took and this one would not. It also has rules that remember what they have seen look at thousands
 * of policies before anyone is served, not while the first to apply one keeps everybody waiting.
 */
function checkPresent(snapshot: Snapshot | undefined, { log, kinds }: Pick<ResourcesDeps, 'log' | 'kinds'>): void {
  try {
    const problems = togetherProblems(snapshot?.resources ?? [], kinds);
    for (const { kind, name, message } of problems.slice(0, PROBLEMS_LOGGED_MAX)) {
      log.error('resources.present.refused', { kind, name, problem: message });
    }
  } catch (error) {
    // The rules failed, not the resources: agents and gateways are served all the same, and whoever applies is told.
    log.error('resources.present.unchecked', { error });
  }
}

/** Writes the changes and returns the revision that holds them: the same one when there are none. */
async function carryOut(
  trx: Kysely<ResourcesTables>,
  effects: TransactionEffects,
  planned: { changes: readonly Change[]; resources: readonly Resource[]; revision: number },
): Promise<number> {
  const actual = planned.changes.filter((change) => change.action !== 'unchanged');
  if (actual.length === 0) return planned.revision;
  const revision = planned.revision + 1;
  for (const { kind, name } of actual.filter((change) => change.action !== 'create')) {
    await trx.deleteFrom('resources').where('kind', '=', kind).where('name', '=', name).execute();
  }
  const written = new Set(
    actual.filter((change) => change.action !== 'delete').map(({ kind, name }) => keyOf(kind, name)),
  );
  const rows = planned.resources
    .filter(({ kind, name }) => written.has(keyOf(kind, name)))
    .map(({ kind, name, spec }) => ({ kind, name, spec: JSON.stringify(spec), revision }));
  for (let start = 0; start < rows.length; start += ROWS_PER_INSERT) {
    await trx
      .insertInto('resources')
      .values(rows.slice(start, start + ROWS_PER_INSERT))
      .execute();
  }
  await trx.updateTable('resources_state').set({ revision }).where('id', '=', 1).execute();
  effects.notify(CHANGES_TOPIC, String(revision));
  return revision;
}

/** All of it in one statement, so that revision and resources belong together. */
async function readSnapshot(db: Kysely<ResourcesTables>): Promise<Snapshot> {
  const rows = await db
    .selectFrom('resources_state')
    .leftJoin('resources', (join) => join.onTrue())
    .select(['resources_state.revision as at', 'kind', 'name', 'spec'])
    .where('resources_state.id', '=', 1)
    .execute();
  const all: Resource[] = [];
  for (const { kind, name, spec } of rows) {
    if (kind === null || name === null || spec === null) continue;
    all.push({ kind, name, spec: JSON.parse(spec) });
  }
  all.sort((a, b) => compareText(a.name, b.name));
  return {
    revision: rows[0]?.at ?? 0,
    resources: all,
    targets: all.filter((resource) => resource.kind === 'Target'),
    policies: all.filter((resource) => resource.kind === 'Policy'),
  };
}

/** Mostly they have one cause. */
const PROBLEMS_LOGGED_MAX = 20;
const CHANGES_TOPIC = 'resources.changes';
/** SQLite binds at most 32,766 values in one statement. */
const ROWS_PER_INSERT = 500;
