import { type Clock, type Log, messageOf, type Service, type Timer } from '../../std/index.ts';

/** What can be there once on a machine: on and off with the right to the data folder. */
export interface Alone {
  start(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
  /** Starts it again, however often that takes. */
  resume(): void;
}

export function createAlone({ alone, clock, log }: { alone: Service; clock: Clock; log: Log }): Alone {
  const never = new AbortController().signal;
  let isOn = false;
  let again: Timer | undefined;
  const resume = (): void => {
    isOn = true;
    alone.start(never).catch((error: unknown) => {
      // The successor that failed may hold its port a moment longer.
      log.warn('agent.handover.not_resumed', { problem: messageOf(error) });
      if (isOn) again = clock.after(AGAIN_MS, resume);
    });
  };
  return {
    async start(signal) {
      isOn = true;
      await alone.start(signal);
    },
    async stop() {
      again?.cancel();
      const wasOn = isOn;
      isOn = false;
      if (wasOn) await alone.stop();
    },
    resume,
  };
}

const AGAIN_MS = 1_000;
