import type { Socket } from 'node:net';
import type { Clock } from '../../std/index.ts';

/**
 * For a socket whose end was sent: gives its last words time to be taken, then destroys it. A peer that does not read them, or does not end
 * its side, must not keep the descriptor for ever.
 */
export function closeInTime(socket: Socket, clock: Clock): void {
  if (socket.destroyed) return;
  const timer = clock.after(LAST_WORDS_MS, () => socket.destroy());
  socket.once('close', () => timer.cancel());
}

/** For a refusal, a goodbye, or what was sent before it, to reach the peer. */
export const LAST_WORDS_MS = 5_000;
