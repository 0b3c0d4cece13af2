import { useSyncExternalStore } from 'react';

/** Epoch milliseconds, anew each few seconds: one clock for everything on the page, which stands still while nobody looks. */
export function useNow(): number {
  return useSyncExternalStore(follow, () => now);
}

/** Epoch milliseconds, at this moment: of what is asked once. */
export function currentMs(): number {
  return Date.now();
}

function follow(listener: () => void): () => void {
  listeners.add(listener);
  if (listeners.size === 1) {
    tick();
    timer = setInterval(tick, STEP_MS);
  }
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) clearInterval(timer);
  };
}

function tick(): void {
  if (document.visibilityState === 'hidden') return;
  now = Date.now();
  for (const listener of listeners) listener();
}

const listeners = new Set<() => void>();
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;
const STEP_MS = 5000;
