import type { Socket } from 'node:net';

/**
 * Carries bytes both ways between two sockets that stay half open, as fast as whoever reads them; the end of one direction is handed on and leaves the
 * other. Where one side breaks, so does the other, once it has what was said before. Both are destroyed when it is over; `over` is called then. `cut` ends
 * a client at once, and so that it can tell.
 */
export function splice(
  client: Socket,
  agent: Socket,
  over: () => void,
  cut: () => void = () => client.resetAndDestroy(),
): void {
  let open = 2;
  const closed = () => {
    if (--open === 0) over();
  };
  client.on('error', () => {}); // What follows from it is done when it closes.
  agent.on('error', () => {});
  client.once('close', () => {
    // Nobody hears the agent any more; what the client said last, it hears.
    if (client.readableEnded && !agent.destroyed) agent.end(() => agent.destroy()).resume();
    else agent.destroy();
    closed();
  });
  agent.once('close', () => {
    if (agent.readableEnded) client.destroySoon();
    // An end in good order would pass for that of an answer.
    else if (!client.destroyed) client.write('', cut);
    closed();
  });
  client.pipe(agent);
  agent.pipe(client);
}
