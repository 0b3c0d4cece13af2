import type { Role } from '../app/role.ts';
import { type Clock, sleep } from '../std/index.ts';
import { exitCodes } from './command.ts';

/**
 * Starts a role, says so, and stops it in good order once SIGINT or SIGTERM came. A role that has failed for good is stopped too, as far as
 * that goes, and its failure thrown: a supervisor that sees the exit code starts it anew, and that repairs what can be repaired.
 */
export async function runRole(
  context: { readonly clock: Clock; readonly signal: AbortSignal },
  role: Role,
  started: () => void,
): Promise<number> {
  let failure: Error | undefined;
  try {
    await role.start(context.signal);
    started();
    failure = await untilEnd(context, role);
  } catch (error) {
    await stopAfter(role);
    throw error;
  }
  if (failure !== undefined) {
    await stopAfter(role);
    throw failure;
  }
  await role.stop();
  return exitCodes.ok;
}

async function untilEnd(
  { clock, signal }: { clock: Clock; signal: AbortSignal },
  role: Role,
): Promise<Error | undefined> {
  while (!signal.aborted) {
    const failure = role.failure();
    if (failure !== undefined) return failure;
    await sleep(clock, LOOK_EVERY_MS, signal).catch(() => {}); // The abort is what it waits for.
  }
  return undefined;
}

/** What has failed may well fail to stop: the first failure is the one to report. */
async function stopAfter(role: Role): Promise<void> {
  await role.stop().catch(() => {});
}

/** Whoever asks meanwhile is refused, so a second is soon enough. */
const LOOK_EVERY_MS = 1000;
