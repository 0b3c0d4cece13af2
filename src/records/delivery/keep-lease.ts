import type { Clock, Timer } from '../../std/index.ts';
import type { Lease, Leases } from '../../store/index.ts';

/** Renews a lease until it is stopped. The signal aborts when it is lost, or could not be renewed for so long that it may be. */
export function keepLease(
  { clock, leases }: { readonly clock: Clock; readonly leases: Leases },
  lease: Lease,
  signal: AbortSignal,
): { readonly signal: AbortSignal; stop(): void } {
  const lost = new AbortController();
  const abort = () => lost.abort();
  let timer: Timer | undefined;
  let goodMs = clock.monotonicMs();
  let isStopped = false;
  // Once of its own: a renewal that hangs must not hold up the end.
  let end: Timer = clock.after(lease.ttlMs, abort);
  const renew = async () => {
    const askedMs = clock.monotonicMs();
    try {
      if ((await leases.renew(lease)) === undefined) return abort();
      goodMs = askedMs;
      end.cancel();
      if (!isStopped) end = clock.after(Math.max(0, goodMs + lease.ttlMs - clock.monotonicMs()), abort);
    } catch {
      // Tried again until its time is over.
    }
    if (!isStopped && !lost.signal.aborted) timer = clock.after(RENEW_MS, () => void renew());
  };
  timer = clock.after(RENEW_MS, () => void renew());
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  return {
    signal: lost.signal,
    stop() {
      isStopped = true;
      timer?.cancel();
      end.cancel();
      signal.removeEventListener('abort', abort);
    },
  };
}

const RENEW_MS = 5_000;
