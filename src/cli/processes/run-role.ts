import type { Role } from '../../app/role.ts';
import { type Clock, sleep } from '../../std/index.ts';
import { type CliContext, exitCodes } from '../command.ts';

/** What {@link runRole} needs of its command's context. */
export interface RoleContext extends Pick<CliContext, 'clock' | 'signal' | 'warn' | 'nextSignal'> {
  /** Ends the process at once; as `process.exit` does unless given. */
  readonly exit?: (code: number) => void;
}

/**
 * Starts a role, says so, and stops it in good order once SIGINT or SIGTERM came, without waiting once another one comes; or when it has nothing
 * more to do. A role that has failed for good is stopped too, as far as that goes, and its failure thrown: a supervisor that sees the exit code
 * starts it anew, and that repairs what can be repaired. A role that does not come to its end, while it starts, runs or stops, is ended with the
 * process: its grace and STOP_SLACK_MS after the signal or failure.
 */
export async function runRole(context: RoleContext, role: Role, started: () => void | Promise<void>): Promise<number> {
  const { signal } = context;
  const endInTime = () => void context.clock.after(role.graceMs + STOP_SLACK_MS, () => endNow(context, role));
  signal.addEventListener('abort', endInTime, { once: true });
  const { hurry } = role;
  if (hurry !== undefined) signal.addEventListener('abort', () => context.nextSignal?.(hurry), { once: true });
  let failure: Error | undefined;
  try {
    await role.start(signal);
    await started();
    failure = await untilEnd(context, role);
  } catch (error) {
    if (!signal.aborted) endInTime();
    await stopAfter(role);
    throw error;
  }
  if (failure !== undefined) {
    if (!signal.aborted) endInTime();
    await stopAfter(role);
    throw failure;
  }
  await role.stop();
  return exitCodes.ok;
}

/** The last resort: whoever runs the process waits for its end, and what holds it up will not let go by itself. */
function endNow({ warn, exit = process.exit }: RoleContext, { graceMs }: Role): void {
  const withinMs = graceMs + STOP_SLACK_MS;
  const open = process.getActiveResourcesInfo();
  const kinds = [...new Set(open)].map((kind) => `${open.filter((one) => one === kind).length} ${kind}`);
  warn(
    `countersign: it did not stop within ${withinMs} ms, and is ended; please report it (open: ${kinds.join(', ')})`,
  );
  exit(exitCodes.stuck);
}

async function untilEnd(
  { clock, signal }: { clock: Clock; signal: AbortSignal },
  role: Role,
): Promise<Error | undefined> {
  while (!signal.aborted) {
    const failure = role.failure();
    if (failure !== undefined) return failure;
    if (role.isOver?.()) return undefined;
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
/** For all that a stop does beside waiting for others: last words, syncs of a slow disk, the store's connections. */
const STOP_SLACK_MS = 10_000;
