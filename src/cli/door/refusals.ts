import type { Clock } from '../../std/index.ts';

/** Tells a person what was refused: of each kind a line in ten seconds, with the number of those that had none. */
export type TellRefusal = (kind: string, line: string) => void;

/** Creates it. Kinds are few and our own words. */
export function createTellRefusal(deps: { readonly clock: Clock; warn(line: string): void }): TellRefusal {
  const told = new Map<string, { atMs: number; untold: number }>();
  return (kind, line) => {
    const nowMs = deps.clock.monotonicMs();
    const last = told.get(kind);
    if (last !== undefined && nowMs - last.atMs < TELL_EVERY_MS) {
      last.untold++;
      return;
    }
    told.set(kind, { atMs: nowMs, untold: 0 });
    deps.warn(`countersign: ${line}${last?.untold ? ` (and ${last.untold} more before it)` : ''}`);
  };
}

const TELL_EVERY_MS = 10_000;
