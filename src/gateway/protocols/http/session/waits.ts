import type { HttpConfig } from '../config.ts';

/** What is waited for, by whose time: the client's, or the upstream's (`answer`: the head of its answer; `pause`: more of it). */
export type Wait = keyof typeof WAITS_MS | 'answer' | 'pause';

/** How long, in milliseconds. */
export function waitMs(what: Wait, { answerSeconds, pauseSeconds = 0 }: HttpConfig['limits']): number {
  if (what === 'answer') return answerSeconds * 1000;
  return what === 'pause' ? pauseSeconds * 1000 : WAITS_MS[what];
}

/**
 * A head has to come within that time, however slowly; a body has to go on, and so has what an upstream says to a client that has ended its side of
 * a tunnel.
 */
const WAITS_MS = { head: 10_000, idle: 120_000, body: 60_000, rest: 300_000 } as const;
