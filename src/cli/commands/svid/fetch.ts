import { Code, RpcError } from '../../../rpc/index.ts';
import {
  createSilentLog,
  messageOf,
  parseDurationMs,
  raceAbort,
  throwIfAborted,
  timeoutSignal,
} from '../../../std/index.ts';
import { createWorkloadIdentity, type WorkloadIdentity, writeSvidFiles } from '../../../workload-identity/index.ts';
import {
  type CliCommand,
  type CliContext,
  type CliInput,
  exitCodes,
  flagOption,
  requiredOption,
  textOption,
  UsageError,
} from '../../command.ts';
import { fetchOwnSvid, workloadApiOption, workloadApiSocket } from '../../connections/own-svid.ts';
import { formatTimeS } from '../../terminal/table.ts';

export const command: CliCommand = {
  summary: "Write this process's X.509-SVID, key and bundle to files, for clients that speak TLS themselves.",
  options: [
    ['--dir <dir>', 'folder for svid.pem, key.pem and bundle.pem'],
    ['--watch', 'stay and keep the files fresh; waits for the first as long as it takes'],
    ['--pk8', 'write key.pk8 too: the key in DER, as the PostgreSQL driver of Java reads it'],
    ['--timeout <duration>', 'without --watch: how long to wait for an identity', '30s'],
    workloadApiOption,
  ],
  lines: 'each writing of the files',
  examples: ['countersign svid fetch --dir ~/.countersign/svid', 'countersign svid fetch --dir /run/app/svid --watch'],
  waits: (input) => flagOption(input, 'watch'),
  async run(context, input) {
    const directory = requiredOption(input, 'dir');
    const limitMs = flagOption(input, 'watch') ? undefined : timeoutMs(input);
    const socket = workloadApiSocket(context, input);
    const identity = createWorkloadIdentity({ clock: context.clock, log: createSilentLog(), socket });
    await identity.start(context.signal);
    const waiting = context.clock.after(PATIENCE_MS, () =>
      context.warn('still waiting for an identity: is the agent running, and has this process an entry?'),
    );
    try {
      if (limitMs === undefined) await identity.ready(context.signal);
      else if (!(await readyWithin(identity, context, limitMs))) throw await whyNone(context, socket);
      waiting.cancel();
      const write = () => writeFiles(context, identity, { directory, pk8: flagOption(input, 'pk8') });
      await write();
      if (flagOption(input, 'watch')) await keepFresh(context, identity, write);
      return exitCodes.ok;
    } finally {
      waiting.cancel();
      await identity.stop();
    }
  },
};

function timeoutMs(input: CliInput): number {
  const parsed = parseDurationMs(textOption(input, 'timeout') ?? '');
  if (parsed === undefined || parsed < 1 || parsed > TIMEOUT_MS_MAX)
    throw new UsageError('--timeout is a duration up to a day, as in 30s; --watch waits as long as it takes');
  return parsed;
}

/** Whether there is an identity before the time is over. @throws the abort error */
async function readyWithin(identity: WorkloadIdentity, context: CliContext, limitMs: number): Promise<boolean> {
  const limit = timeoutSignal(context.clock, limitMs, context.signal);
  try {
    await identity.ready(limit.signal);
    return true;
  } catch (error) {
    if (!limit.isOver) throw error;
    return false;
  } finally {
    limit.cancel();
  }
}

/** Asks once more, as `svid show` does: the Workload API's own answer says more than that time is over, and gives its exit code. */
async function whyNone(context: CliContext, socket: string): Promise<RpcError> {
  const limit = timeoutSignal(context.clock, PATIENCE_MS, context.signal);
  const answer: unknown = await fetchOwnSvid(context, socket, limit.signal).catch((error: unknown) => error);
  limit.cancel();
  throwIfAborted(context.signal);
  const given = answer instanceof RpcError && !limit.signal.aborted ? answer : undefined;
  const problem = given?.message ?? 'the Workload API gave no identity in time';
  const remedy = (given && remedies.get(given.code)) ?? '`countersign doctor` looks at the agent';
  return new RpcError(given?.code ?? Code.DEADLINE_EXCEEDED, `${problem}; ${remedy}`, { cause: answer });
}

async function writeFiles(
  context: CliContext,
  identity: WorkloadIdentity,
  { directory, pk8 }: { readonly directory: string; readonly pk8: boolean },
): Promise<void> {
  const own = identity.current();
  if (!own) return;
  await writeSvidFiles(directory, own, { random: context.random, pk8 });
  context.emit(
    { dir: directory, spiffeId: own.id.uri, expiresAtS: own.expiresAtS },
    () => `wrote ${own.id.uri} to ${directory}, valid until ${formatTimeS(own.expiresAtS)}`,
  );
}

/** Writes after each change, one at a time, until Ctrl-C. */
async function keepFresh(context: CliContext, identity: WorkloadIdentity, write: () => Promise<void>): Promise<void> {
  let writing: Promise<void> = Promise.resolve();
  const unsubscribe = identity.onChange(() => {
    writing = writing.then(write).catch((error) => context.warn(`countersign: ${messageOf(error)}`));
  });
  await raceAbort(new Promise<never>(() => {}), context.signal).catch(() => {}); // The abort is what it waits for.
  unsubscribe();
  await writing;
}

const PATIENCE_MS = 3000;
/** Whoever waits longer wants --watch. */
const TIMEOUT_MS_MAX = 86_400_000;
const remedies: ReadonlyMap<number, string> = new Map([
  [Code.UNAVAILABLE, 'is the agent running, and may this user reach its socket?'],
  [
    Code.PERMISSION_DENIED,
    'an operator registers this process with `countersign entry create`, --watch waits for that',
  ],
]);
