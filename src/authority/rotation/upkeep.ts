import type { Bundle } from '../../model/index.ts';
import { messageOf, type Service, type Timer } from '../../std/index.ts';
import { createFollower } from '../../store/index.ts';
import type { AuthorityDeps, AuthorityHealth, AuthorityKind } from '../authority.ts';
import { changedBundles, loadPublished, NOTHING_PUBLISHED, type Published } from '../bundles/published.ts';
import { JOURNAL_TOPIC, type JournalRow } from '../journal.ts';
import { createTimeline, type Timeline } from '../timeline.ts';
import { checkLoss } from './loss.ts';
import { CHECK_INTERVAL_MS } from './rotation.ts';
import { removeOrphanKeys, type StepContext, takeNextStep } from './rotation-steps.ts';

/** Keeps what is published equal to the journal, and takes the steps of rotation when they are due. */
export interface Upkeep extends Service, Omit<AuthorityHealth, 'lost'> {
  lost(): readonly JournalRow[];
  published(): Published;
  /** Runs `work` on a fresh view of the journal, with nothing else between, and loads what it changed before it resolves. */
  change<T>(signal: AbortSignal, work: (context: StepContext) => Promise<T>): Promise<T>;
}

/** Creates it; `tell` hears of each bundle that has changed. */
export function createUpkeep(deps: AuthorityDeps, tell: (bundle: Bundle) => void): Upkeep {
  const { clock, log } = deps;
  const timeline = createTimeline(clock, (stepMs) => log.warn('authority.clock.stepped', { stepMs }));
  const stopped = new AbortController();
  const view = createView(deps, { timeline, tell });
  const { reload, check } = view;
  const exclusive = createLine();
  let timer: Timer | undefined;
  let problem: unknown;
  let lost: readonly JournalRow[] = [];
  let started = false;

  const follower = createFollower(deps, {
    topic: JOURNAL_TOPIC,
    load: (signal) =>
      exclusive(async () => {
        const context = await reload(signal);
        lost = checkLoss(context, view.published().own?.sequence ?? 0);
        await removeOrphanKeys(context);
        await check(signal);
      }),
    async read(signal) {
      await exclusive(() => reload(signal));
      return 'all';
    },
  });

  async function checkRegularly(): Promise<void> {
    try {
      await exclusive(() => check(stopped.signal));
      problem = undefined;
    } catch (error) {
      // Tried again at the next check; until then the active keys go on, and end by themselves if this lasts.
      problem = error;
      if (!stopped.signal.aborted) log.error('authority.check.failed', { error: messageOf(error) });
    }
    if (!stopped.signal.aborted) timer = clock.after(CHECK_INTERVAL_MS, () => void checkRegularly());
  }

  return {
    published: view.published,
    problem: () => problem ?? follower.problem(),
    unable: () => (started ? kindsWithoutKey(view.published(), timeline) : []),
    lost: () => lost.filter(({ expiresAtS }) => timeline.latestMs() < expiresAtS * 1000),
    change: (signal, work) =>
      exclusive(async () => {
        const result = await work(await reload(signal));
        await reload(signal);
        return result;
      }),
    async start(signal) {
      await follower.start(signal);
      started = true;
      timer = clock.after(CHECK_INTERVAL_MS, () => void checkRegularly());
      const { x509, jwt, own } = view.published();
      log.info('authority.started', { x509: x509?.id, jwt: jwt?.id, sequence: own?.sequence });
    },
    async stop() {
      stopped.abort();
      timer?.cancel();
      await follower.stop();
      await exclusive(async () => view.forget());
    },
  };
}

/** The journal as this server has it: read anew before each step. */
function createView(deps: AuthorityDeps, { timeline, tell }: { timeline: Timeline; tell: (bundle: Bundle) => void }) {
  let published = NOTHING_PUBLISHED;

  async function reload(signal: AbortSignal): Promise<StepContext> {
    const previous = published;
    // What a store that went back makes this throw leaves as it is what is published: others would be told to trust what they should not.
    published = await loadPublished(deps, { timeline, previous, signal });
    for (const bundle of changedBundles(previous, published)) tell(bundle);
    const publish = async () => void (await reload(signal));
    return { deps, timeline, rows: published.rows, signal, publish };
  }

  return {
    published: (): Published => published,
    reload,
    /** Takes every step that is due, reloading after each: nothing signs before its publication is committed and loaded here. */
    async check(signal: AbortSignal): Promise<void> {
      for (let count = 0; count < STEPS_PER_CHECK_MAX; count++) {
        if (!(await takeNextStep(await reload(signal)))) return;
      }
    },
    forget() {
      published = NOTHING_PUBLISHED;
    },
  };
}

/** One after another: a check, a notification and an operator's step must not see each other half done. */
function createLine(): <T>(work: () => Promise<T>) => Promise<T> {
  let queue: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = queue.then(work);
    queue = result.catch(() => {}); // Its caller gets the failure; the next in line starts all the same.
    return result;
  };
}

function kindsWithoutKey(published: Published, timeline: Timeline): readonly AuthorityKind[] {
  const nowMs = timeline.latestMs();
  return KINDS.filter((kind) => {
    const row = published.rows.find(({ id }) => id === published[kind]?.id);
    return row === undefined || nowMs >= row.expiresAtS * 1000;
  });
}

const KINDS: readonly AuthorityKind[] = ['x509', 'jwt'];
/** Two kinds, each with at most retire, retire, prepare, activate, and one prune; with room to spare. */
const STEPS_PER_CHECK_MAX = 16;
