import { createSilentLog, messageOf, raceAbort } from '../../std/index.ts';
import { createWorkloadIdentity, type WorkloadIdentity, writeSvidFiles } from '../../workload-identity/index.ts';
import { type CliCommand, type CliContext, exitCodes, flagOption, requiredOption } from '../command.ts';
import { workloadApiOption, workloadApiSocket } from '../own-svid.ts';
import { formatTimeS } from '../table.ts';

export const command: CliCommand = {
  summary: "Write this process's X.509-SVID, key and bundle to files, for clients that speak TLS themselves.",
  options: [
    ['--dir <dir>', 'folder for svid.pem, key.pem and bundle.pem'],
    ['--watch', 'stay and keep the files fresh'],
    workloadApiOption,
  ],
  examples: ['countersign svid fetch --dir ~/.countersign/svid', 'countersign svid fetch --dir /run/app/svid --watch'],
  async run(context, input) {
    const directory = requiredOption(input, 'dir');
    const identity = createWorkloadIdentity({
      clock: context.clock,
      log: createSilentLog(),
      socket: workloadApiSocket(context, input),
    });
    await identity.start(context.signal);
    try {
      const waiting = context.clock.after(PATIENCE_MS, () =>
        context.warn('still waiting for an identity: is the agent running, and has this process an entry?'),
      );
      await identity.ready(context.signal);
      waiting.cancel();
      await write(context, identity, directory);
      if (flagOption(input, 'watch')) await keepFresh(context, identity, directory);
      return exitCodes.ok;
    } finally {
      await identity.stop();
    }
  },
};

async function write(context: CliContext, identity: WorkloadIdentity, directory: string): Promise<void> {
  const own = identity.current();
  if (!own) return;
  await writeSvidFiles(directory, own, { random: context.random });
  context.emit(
    { dir: directory, spiffeId: own.id.uri, expiresAtS: own.expiresAtS },
    () => `wrote ${own.id.uri} to ${directory}, valid until ${formatTimeS(own.expiresAtS)}`,
  );
}

/** Writes after each change, one at a time, until Ctrl-C. */
async function keepFresh(context: CliContext, identity: WorkloadIdentity, directory: string): Promise<void> {
  let writing: Promise<void> = Promise.resolve();
  const unsubscribe = identity.onChange(() => {
    writing = writing
      .then(() => write(context, identity, directory))
      .catch((error) => context.warn(`countersign: ${messageOf(error)}`));
  });
  await raceAbort(new Promise<never>(() => {}), context.signal).catch(() => {}); // The abort is what it waits for.
  unsubscribe();
  await writing;
}

const PATIENCE_MS = 3000;
