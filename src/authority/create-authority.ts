import type { Bundle } from '../model/index.ts';
import { messageOf, type Service, type Timer, throwIfAborted } from '../std/index.ts';
import type { Authority, AuthorityDeps, AuthorityInfo, IssuedX509Svid, X509SvidRequest } from './authority.ts';
import { AuthorityError } from './errors.ts';
import { forgetForeignBundle, keepForeignBundle } from './federation.ts';
import { issueBatch } from './issue-batch.ts';
import { JOURNAL_TOPIC, type JournalRow } from './journal.ts';
import { checkOptions } from './options.ts';
import { changedBundles, loadPublished, NOTHING_PUBLISHED, type Published } from './published.ts';
import { CHECK_INTERVAL_MS } from './rotation.ts';
import {
  activateNext,
  prepareNext,
  removeOrphanKeys,
  revokeAuthority,
  type StepContext,
  taintAuthority,
  takeNextStep,
} from './rotation-steps.ts';
import { createTimeline } from './timeline.ts';

/**
 * Creates the authority of one server. `start` loads the journal, makes the first keys when there are none, and from then on looks every ten
 * seconds whether the next are due.
 * @throws AuthorityError ERR_AUTHORITY_OPTIONS
 */
export function createAuthority(deps: AuthorityDeps): Authority & Service {
  checkOptions(deps.options);
  const listeners = new Set<(bundle: Bundle) => void>();
  const upkeep = createUpkeep(deps, (bundle) => {
    for (const listener of listeners) {
      try {
        listener(bundle);
      } catch (error) {
        // A listener's fault is its own: it must not stop rotation, nor the other listeners.
        deps.log.error('authority.listener.failed', { error: messageOf(error) });
      }
    }
  });
  const issue = (request: X509SvidRequest): IssuedX509Svid => {
    if (request.signal) throwIfAborted(request.signal);
    const { x509 } = upkeep.published();
    if (!x509) throw new AuthorityError('ERR_AUTHORITY_NOT_READY', 'no X.509 authority is active');
    return x509.issue(request);
  };
  const infoOf = (id: string): AuthorityInfo => {
    const row = upkeep.published().rows.find((each) => each.id === id);
    if (!row) throw new AuthorityError('ERR_AUTHORITY_NOT_FOUND', `there is no authority ${id}`);
    return toInfo(row);
  };
  return {
    start: upkeep.start,
    stop: upkeep.stop,
    issueX509Svid: async (request) => issue(request),
    issueX509SvidBatch: (requests, signal) => issueBatch(requests, issue, signal),
    async issueJwtSvid(request) {
      const { jwt } = upkeep.published();
      if (!jwt) throw new AuthorityError('ERR_AUTHORITY_NOT_READY', 'no JWT key is active');
      return jwt.issue(request);
    },
    bundle() {
      const { own } = upkeep.published();
      if (!own) throw new AuthorityError('ERR_AUTHORITY_NOT_READY', 'the bundle is not loaded yet');
      return own;
    },
    onBundle(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    federatedBundle: (trustDomain) => upkeep.published().federated.get(trustDomain),
    federatedBundles: () => [...upkeep.published().federated.values()],
    setFederatedBundle: (bundle, signal) => upkeep.change(signal, () => keepForeignBundle(deps, bundle, signal)),
    removeFederatedBundle: (name, signal) => upkeep.change(signal, () => forgetForeignBundle(deps, name, signal)),
    authorities: () => upkeep.published().rows.map(toInfo).reverse(),
    prepare: async (kind, signal) => infoOf(await upkeep.change(signal, (context) => prepareNext(kind, context))),
    activate: async (kind, signal) => infoOf(await upkeep.change(signal, (context) => activateNext(kind, context))),
    taint: (id, signal) => upkeep.change(signal, (context) => taintAuthority(id, context)),
    revoke: (id, signal) => upkeep.change(signal, (context) => revokeAuthority(id, context)),
  };
}

interface Upkeep extends Service {
  published(): Published;
  /** Runs `work` on a fresh view of the journal, with nothing else between, and loads what it changed before it resolves. */
  change<T>(signal: AbortSignal, work: (context: StepContext) => Promise<T>): Promise<T>;
}

/** Keeps what is published equal to the journal, and takes the steps of rotation when they are due. */
function createUpkeep(deps: AuthorityDeps, tell: (bundle: Bundle) => void): Upkeep {
  const { clock, log } = deps;
  const timeline = createTimeline(clock, (stepMs) => log.warn('authority.clock.stepped', { stepMs }));
  const stopped = new AbortController();
  let published = NOTHING_PUBLISHED;
  let timer: Timer | undefined;
  let unsubscribe: (() => void) | undefined;
  let reloadQueued = false;
  let queue: Promise<unknown> = Promise.resolve();

  /** One after another: a check, a notification and an operator's step must not see each other half done. */
  function exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = queue.then(work);
    queue = result.catch(() => {}); // Its caller gets the failure; the next in line starts all the same.
    return result;
  }

  async function reload(signal: AbortSignal): Promise<StepContext> {
    const previous = published;
    published = await loadPublished(deps, { timeline, previous, signal });
    for (const bundle of changedBundles(previous, published)) tell(bundle);
    const publish = async () => void (await reload(signal));
    return { deps, timeline, rows: published.rows, signal, publish };
  }

  /** Takes every step that is due, reloading after each: nothing signs before its publication is committed and loaded here. */
  async function check(signal: AbortSignal): Promise<void> {
    for (let count = 0; count < STEPS_PER_CHECK_MAX; count++) {
      if (!(await takeNextStep(await reload(signal)))) return;
    }
  }

  function background(event: string, work: () => Promise<unknown>): Promise<void> {
    return exclusive(work).then(
      () => {},
      // Tried again within ten seconds; until then the active keys go on, and end by themselves if this lasts.
      (error: unknown) => {
        if (!stopped.signal.aborted) log.error(event, { error: messageOf(error) });
      },
    );
  }

  async function checkRegularly(): Promise<void> {
    await background('authority.check.failed', () => check(stopped.signal));
    if (!stopped.signal.aborted) timer = clock.after(CHECK_INTERVAL_MS, () => void checkRegularly());
  }

  function reloadSoon(): void {
    if (reloadQueued) return;
    reloadQueued = true;
    void background('authority.reload.failed', () => {
      reloadQueued = false;
      return reload(stopped.signal);
    });
  }

  return {
    published: () => published,
    change: (signal, work) =>
      exclusive(async () => {
        const result = await work(await reload(signal));
        await reload(signal);
        return result;
      }),
    async start(signal) {
      unsubscribe = deps.store.subscribe(JOURNAL_TOPIC, reloadSoon);
      await exclusive(async () => {
        await removeOrphanKeys(await reload(signal));
        await check(signal);
      });
      timer = clock.after(CHECK_INTERVAL_MS, () => void checkRegularly());
      const { x509, jwt, own } = published;
      log.info('authority.started', { x509: x509?.id, jwt: jwt?.id, sequence: own?.sequence });
    },
    async stop() {
      stopped.abort();
      timer?.cancel();
      unsubscribe?.();
      await queue;
      published = NOTHING_PUBLISHED;
    },
  };
}

function toInfo(row: JournalRow): AuthorityInfo {
  const { id, kind, serverId, state, tainted, notBeforeS, expiresAtS } = row;
  return { id, kind, serverId, state, tainted, notBeforeS, expiresAtS };
}

/** Two kinds, each with at most retire, retire, prepare, activate, and one prune; with room to spare. */
const STEPS_PER_CHECK_MAX = 16;
