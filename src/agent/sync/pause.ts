import { type Clock, followAbort, type Random, sleep } from '../../std/index.ts';
import type { AgentConfig } from '../config.ts';
import { probeServer } from './probe.ts';

/** The pause between two syncs. */
export interface Pause {
  /** Ends the pause under way, or the next one at once. */
  poke(): void;
  /** Called as a sync begins: pokes from now on ask for another one. */
  begin(): void;
  /**
   * Waits `delayMs`, or until poked, but at least `spacingMs` however often it is poked; with `probe` also until the server can be
   * reached again. Never rejects; the signal ends it.
   */
  wait(options: { delayMs: number; spacingMs: number; probe: boolean }, signal: AbortSignal): Promise<void>;
}

export function createPause(deps: { clock: Clock; random: Random; address: AgentConfig['serverAddress'] }): Pause {
  const { clock } = deps;
  let poked = false;
  let wake: () => void = () => {};
  return {
    poke() {
      poked = true;
      wake();
    },
    begin() {
      poked = false;
    },
    async wait({ delayMs, spacingMs, probe }, signal) {
      const woken = followAbort(signal);
      wake = () => woken.abort();
      const { others = [], ...first } = deps.address;
      for (const address of probe ? [first, ...others] : []) void probeServer(address, deps, woken.signal).then(wake);
      // Being woken, or stopped, is what the abort is for: neither is a failure.
      await sleep(clock, Math.min(spacingMs, delayMs), signal).catch(() => {});
      if (!poked) await sleep(clock, Math.max(0, delayMs - spacingMs), woken.signal).catch(() => {});
      woken.abort();
    },
  };
}
