import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { Clock } from '../../../../std/index.ts';
import { LAST_WORDS_MS } from '../../../listeners/close-in-time.ts';

/**
 * Says the last word to a client, if there is one, and ends its connection; what it sends from now on goes nowhere. `isCut`: an answer was begun that
 * nobody may take for whole, so that the connection breaks. `breaks`: only a connection that is reset says so.
 */
export function endClient(
  client: Duplex,
  clock: Clock,
  {
    last,
    isCut,
    breaks = false,
  }: { readonly last: Buffer | undefined; readonly isCut: boolean; readonly breaks?: boolean },
): void {
  if (client.destroyed) return;
  client.removeAllListeners('data');
  client.on('error', () => {}); // It may be gone already; nobody is left to tell.
  if (breaks) return void reset(client);
  if (isCut && client.writableLength > UNTAKEN_BYTES_MAX) return void client.destroy();
  client.resume();
  const timer = clock.after(LAST_WORDS_MS, () => client.destroy());
  client.once('close', () => timer.cancel());
  if (last === undefined) client.end();
  else client.end(last);
}

/** TLS that ends without a word is seen to be cut as well. */
function reset(client: Duplex): void {
  if (client instanceof Socket && !(client instanceof TLSSocket)) client.resetAndDestroy();
  else client.destroy();
}

/** More than this in front of the end, and it is not waited for. */
const UNTAKEN_BYTES_MAX = 1024 * 1024;
