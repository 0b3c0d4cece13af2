/** Waiting for something that will come true: asks again and again, never sleeps blindly, and says at the end what was seen last. */
import { setTimeout as pause } from 'node:timers/promises';

/**
 * Resolves to the first answer of `look` that is not undefined or false; what `look` throws counts as "not yet". It looks again after
 * `everyMs`; without that, ever more seldom, and a look that takes long, such as a command, never takes more than a third of a processor.
 */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  options: { withinMs?: number; everyMs?: number } = {},
): Promise<T> {
  const { withinMs = 60_000, everyMs } = options;
  const beganMs = performance.now();
  const deadline = beganMs + withinMs;
  let last: unknown;
  for (;;) {
    const lookedMs = performance.now();
    try {
      const answer = await look();
      if (answer !== undefined && answer !== false) return answer;
      last = answer;
    } catch (error) {
      last = error;
    }
    const nowMs = performance.now();
    if (nowMs > deadline) {
      const seen = last instanceof Error ? last.message : String(last);
      throw new Error(`after ${withinMs} ms still not: ${what} (last seen: ${seen})`, { cause: last });
    }
    await pause(everyMs ?? Math.min(Math.max(25, (nowMs - beganMs) / 10, 2 * (nowMs - lookedMs)), EVERY_MS_MAX));
  }
}

const EVERY_MS_MAX = 1000;
