import type { Clock } from '../../std/index.ts';

/** What is open on behalf of somebody who may be revoked. */
export interface OpenWork {
  /** Whether it must end. */
  isRevoked(): boolean;
  /** Ends it; calling that again changes nothing. */
  end(): void;
}

/** Connections and sessions that are open: looked through when somebody is revoked. */
export interface OpenWorks {
  /** Adds one; what is returned takes it out again, when it is over. */
  add(work: OpenWork): () => void;
  /** Ends what has to end, after `graceMs`: whoever ends it from the other side says why, which an agent can't. */
  look(): void;
  /** Resolves when nothing is open that has to end. */
  over(): Promise<void>;
}

export function createOpenWorks({ clock, graceMs }: { clock: Clock; graceMs: number }): OpenWorks {
  const open = new Set<OpenWork>();
  const ending = new Set<OpenWork>();
  const waiting = new Set<() => void>();
  let isTimed = false;
  const cut = () => {
    isTimed = false;
    for (const work of [...ending]) work.end();
  };
  return {
    add(work) {
      const own = { isRevoked: () => work.isRevoked(), end: () => work.end() };
      open.add(own);
      return () => {
        open.delete(own);
        if (!ending.delete(own) || ending.size > 0) return;
        for (const resolve of waiting) resolve();
        waiting.clear();
      };
    },
    look() {
      for (const work of open) if (work.isRevoked()) ending.add(work);
      if (ending.size === 0 || isTimed) return;
      isTimed = true;
      clock.after(graceMs, cut);
    },
    over: () => (ending.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.add(resolve))),
  };
}
