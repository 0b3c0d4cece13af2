import type { Socket } from 'node:net';
import type { Clock } from '../../std/index.ts';
import { encodeProblem, type Problem } from '../../wire/http1/index.ts';

/** What a client of the proxy is refused with. */
export type ProxyRefusal = Pick<Problem, 'status' | 'title' | 'reason' | 'hint'>;

/** Says it, and ends the connection: nothing that comes behind it is a request. */
export function answerRefusal(client: Socket, refusal: ProxyRefusal, clock: Clock): void {
  client.end(encodeProblem(refusal, { close: true }));
  client.resume(); // What it still sends is read, and dropped: else it would be reset before it has read why.
  const timer = clock.after(READ_MS, () => client.resetAndDestroy());
  client.once('close', () => timer.cancel());
}

/**
 * Ends the connection behind an answer. What the client still sends is read, and dropped: else it would be reset before it has read why. What it has
 * not read yet it still gets, however slow it is.
 */
export function endBehindAnswer(client: Socket, clock: Clock): void {
  client.resume().end(() => {
    const timer = clock.after(READ_MS, () => client.destroy());
    client.once('close', () => timer.cancel());
  });
}

export const ESTABLISHED = Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n', 'latin1');
/** Time in which a client reads an answer before its connection is cut. */
const READ_MS = 2_000;
