import type { Kysely } from 'kysely';
import type { Clock, Log, Random, Service } from '../std/index.ts';
import type { Store, TransactionEffects } from '../store/index.ts';
import { ResourcesError } from './errors.ts';
import { readInstances } from './gateway-rows.ts';
import { createGateways } from './gateways.ts';
import type { Kind } from './kind.ts';
import { createLiveView } from './live-view.ts';
import type { ResourcesTables } from './migrations.ts';
import { checkCount, compareText, keyOf, planOf, problemsOf, togetherProblems } from './planning/plan.ts';
import type { Change, Plan, Resource, Resources, Snapshot } from './types.ts';

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

  const write = async (
    work: (trx: Kysely<ResourcesTables>, effects: TransactionEffects) => Promise<Plan>,
    signal?: AbortSignal,
  ): Promise<Plan> => {
    const plan = await store.transaction(work, { order: 'resources', ...(signal ? { signal } : {}) });
    if (plan.ok) await view.reach(plan.revision);
    return plan;
  };

  return {
    kinds: kinds.map(({ name }) => name).toSorted(compareText),
    async plan(resources, options) {
      checkCount(resources);
      const problems = problemsOf(resources, kinds);
      if (problems.length > 0) return { ok: false, problems };
      return planOf(await readSnapshot(db), resources, { ...options, kinds });
    },
    async apply(resources, { signal, alongside, ...options }) {
      checkCount(resources);
      const problems = problemsOf(resources, kinds);
      if (problems.length > 0) return { ok: false, problems };
      return write(async (trx, effects) => {
        // Read in the transaction: two who apply at once must not undo each other by plans made before, nor make a set that neither declared.
        const plan = planOf(await readSnapshot(trx), resources, { ...options, kinds });
        if (!plan.ok) return plan;
        const { changes } = plan;
        const reached = await carryOut(trx, effects, { changes, resources, revision: plan.revision });
        // Features keep tables of their own: what it writes to is none of ours.
        await alongside?.(trx as unknown as Kysely<unknown>, effects);
        return { ok: true, changes, revision: reached };
      }, signal);
    },
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
