import type { Duplex } from 'node:stream';
import type { Clock } from '../../../../std/index.ts';
import { LAST_WORDS_MS } from '../../../listeners/close-in-time.ts';

/**
 * Says the last word to a client, if there is one, and ends its connection; what it sends from now on goes nowhere. `isCut`: an answer was begun that
 * nobody may take for whole, so that the connection breaks.
 */
export function endClient(
  client: Duplex,
  clock: Clock,
  { last, isCut }: { readonly last: Buffer | undefined; readonly isCut: boolean },
): void {
  if (client.destroyed) return;
  client.removeAllListeners('data');
  client.on('error', () => {}); // It may be gone already; nobody is left to tell.
  if (isCut && client.writableLength > UNTAKEN_BYTES_MAX) return void client.destroy();
  client.resume();
  const timer = clock.after(LAST_WORDS_MS, () => client.destroy());
  client.once('close', () => timer.cancel());
  if (last === undefined) client.end();
  else client.end(last);
}

/** More than this in front of the end, and it is not waited for. */
const UNTAKEN_BYTES_MAX = 1024 * 1024;
