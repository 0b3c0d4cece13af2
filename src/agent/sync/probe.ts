import { connect } from 'node:net';
import { type Clock, type Random, sleep } from '../../std/index.ts';
import { createBackoff } from '../backoff.ts';

/**
 * Resolves once a TCP connection to the server opens, or when the signal aborts: how an agent whose server is away notices its
 * return at once without calling it again and again. An attempt costs one packet; the pause grows from 1 s to 5 s.
 */
export async function probeServer(
  address: { readonly host: string; readonly port: number },
  deps: { clock: Clock; random: Random },
  signal: AbortSignal,
): Promise<void> {
  const backoff = createBackoff(deps.random, { firstMs: 1_000, maxMs: 5_000 });
  while (!signal.aborted) {
    await sleep(deps.clock, backoff.nextMs(), signal).catch(() => {}); // Aborting ends the loop, not the caller.
    if (signal.aborted || (await opens(address, signal))) return;
  }
}

function opens(address: { host: string; port: number }, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address);
    const settle = (open: boolean) => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      resolve(open);
    };
    const onAbort = () => settle(false);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', () => settle(true));
    socket.on('error', () => settle(false));
  });
}
