/** Waiting for something that will come true: asks again and again, never sleeps blindly, and says at the end what was seen last. */
import { setTimeout as pause } from 'node:timers/promises';

/** Resolves to the first answer of `look` that is not undefined or false; what `look` throws counts as "not yet". */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  options: { withinMs?: number; everyMs?: number } = {},
): Promise<T> {
  const { withinMs = 60_000, everyMs = 25 } = options;
  const deadline = performance.now() + withinMs;
  let last: unknown;
  for (;;) {
    try {
      const answer = await look();
      if (answer !== undefined && answer !== false) return answer;
      last = answer;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      const seen = last instanceof Error ? last.message : String(last);
      throw new Error(`after ${withinMs} ms still not: ${what} (last seen: ${seen})`, { cause: last });
    }
    await pause(everyMs);
  }
}
