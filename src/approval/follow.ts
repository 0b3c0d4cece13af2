import { type Clock, sha256, sleep, throwIfAborted } from '../std/index.ts';
import type { Approvals } from './approvals.ts';
import type { Approval, ApprovalFilter } from './types.ts';

/** What waits at one moment. */
export interface WaitingNow {
  readonly items: readonly Approval[];
  /** There are more than are told. */
  readonly more: boolean;
  /** Tells one state from others. */
  readonly digest: string;
}

/**
 * Follows what waits: as it is now, and again after each change of it, twice a second at most. Whoever reads slowly misses states between, not the
 * last. `seen`: the digest of what was told last. Rejects as the store does, before anything is told. @throws the abort error
 */
export async function followWaiting(
  { approvals, clock }: { approvals: Pick<Approvals, 'waiting' | 'onChange'>; clock: Clock },
  filter: ApprovalFilter,
  { signal, seen }: { readonly signal: AbortSignal; readonly seen: string | undefined },
): Promise<(tell: (now: WaitingNow) => Promise<void>) => Promise<void>> {
  throwIfAborted(signal);
  const look = async (): Promise<WaitingNow> => {
    const found = await approvals.waiting(filter, { after: undefined, limit: TOLD_MAX + 1 });
    const items = found.slice(0, TOLD_MAX);
    const digest = sha256(Buffer.from(JSON.stringify(items)))
      .toString('hex')
      .slice(0, 16);
    return { items, more: found.length > TOLD_MAX, digest };
  };
  let first: WaitingNow | undefined = await look();
  let last = seen;
  return async (tell) => {
    let isNew = true;
    let wake = () => {};
    const changed = () => {
      isNew = true;
      wake();
    };
    const stop = approvals.onChange(changed);
    signal.addEventListener('abort', changed, { once: true });
    try {
      for (;;) {
        throwIfAborted(signal);
        if (isNew) {
          isNew = false;
          const now = first ?? (await look());
          first = undefined;
          if (now.digest !== last) await tell(now);
          last = now.digest;
          await sleep(clock, PACE_MS, signal);
          continue;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      stop();
      signal.removeEventListener('abort', changed);
    }
  };
}

const TOLD_MAX = 100;
const PACE_MS = 500;
