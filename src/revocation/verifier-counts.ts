import { type Clock, type Log, messageOf, type Service, type Timer } from '../std/index.ts';
import type { Store } from '../store/index.ts';
import type { RevocationTables } from './migrations.ts';
import { readHead } from './rows.ts';

/** How many verifiers have in effect what stands, over all servers. */
export interface VerifierCounts {
  /** They are connected, and have not said so of the newest state. */
  readonly behind: number;
  /** They are known, and not connected. */
  readonly away: number;
}

/** Creates what counts them every few seconds; what could not be read leaves the last counts, or none. */
export function createVerifierCounts(deps: {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}): Service & { counts(): VerifierCounts | undefined } {
  const { clock, log } = deps;
  let counts: VerifierCounts | undefined;
  let timer: Timer | undefined;
  let isStopped = false;
  const look = async (): Promise<void> => {
    counts = await count(deps.store).catch((error: unknown) => {
      log.debug('revocation.verifiers.uncounted', { reason: messageOf(error) });
      return counts;
    });
    if (!isStopped) timer = clock.after(LOOK_MS, () => void look());
  };
  return {
    counts: () => counts,
    start: look,
    async stop() {
      isStopped = true;
      timer?.cancel();
    },
  };
}

async function count(store: Store): Promise<VerifierCounts> {
  const db = store.db<RevocationTables>();
  const { incarnation, sequence } = await readHead(db);
  const rows = () =>
    db.selectFrom('revocation_verifiers').select(({ fn }) => fn.countAll<number | string>().as('count'));
  const away = await rows().where('connected', '=', 0).executeTakeFirstOrThrow();
  const behind = await rows()
    .where('connected', '=', 1)
    .where((row) => row.or([row('incarnation', '!=', incarnation), row('sequence', '<', sequence)]))
    .executeTakeFirstOrThrow();
  return { behind: Number(behind.count), away: Number(away.count) };
}

const LOOK_MS = 5_000;
