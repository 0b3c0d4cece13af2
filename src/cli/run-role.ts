import { raceAbort, type Service } from '../std/index.ts';
import { type CliContext, exitCodes } from './command.ts';

/** Starts a role, says so, waits for SIGINT or SIGTERM, stops it in good order. */
export async function runRole(context: CliContext, role: Service, started: () => void): Promise<number> {
  try {
    await role.start(context.signal);
    started();
    await raceAbort(new Promise<never>(() => {}), context.signal).catch(() => {}); // The abort is what it waits for.
    return exitCodes.ok;
  } finally {
    await role.stop();
  }
}
