import { ApiProblem } from '@countersign/sdk/client';
import { codeOf, sleep } from '../../std/index.ts';
import type { CliContext } from '../command.ts';

/** That a server, or the way to it, is not there now, or has much to do: the same may succeed in a moment. */
export function isPassing(error: unknown): boolean {
  return isBusy(error) || (error instanceof Error && NETWORK.has(codeOf(error) ?? ''));
}

/** That a server says so itself. */
export function isBusy(error: unknown): boolean {
  return error instanceof ApiProblem && [408, 429, 503].includes(error.status);
}

/** Does what may be done twice; where it fails by what passes it is done again, for half a minute. @throws what it fails with at last; the abort error */
export async function patiently<T>(
  { clock, signal }: Pick<CliContext, 'clock' | 'signal'>,
  work: () => Promise<T>,
  passes = isPassing,
): Promise<T> {
  const until = clock.monotonicMs() + PATIENCE_MS;
  for (let waitMs = WAIT_MS_FIRST; ; waitMs = Math.min(WAIT_MS_MAX, 2 * waitMs)) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted || !passes(error) || clock.monotonicMs() >= until) throw error;
      await sleep(clock, waitMs, signal);
    }
  }
}

const NETWORK: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND'],
  ...['EAI_AGAIN', 'ECONNABORTED', 'ENETDOWN', 'EHOSTDOWN'],
]);
const PATIENCE_MS = 30_000;
const WAIT_MS_FIRST = 200;
const WAIT_MS_MAX = 5_000;
