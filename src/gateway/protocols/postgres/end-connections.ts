import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../../std/index.ts';
import { type EncodeText, type ErrorText, encodeError } from '../../../wire/postgres/index.ts';
import { closeInTime } from '../../listeners/close-in-time.ts';

/** Writes an error (in the encoding that a session had come to), when there is one, and ends the client's connection; what it sends from now on goes nowhere. */
export function endClient(client: Duplex, error: ErrorText | undefined, encode?: EncodeText): void {
  // One that far behind would not hear it in time, and what waits for it is counted no longer.
  if (client.writableLength > UNTAKEN_BYTES_MAX) {
    client.destroy();
    return;
  }
  client.removeAllListeners('data');
  client.on('error', () => {}); // It may be gone already; nobody is left to tell.
  client.resume();
  if (error === undefined) client.end();
  else client.end(encodeError({ ...error, severity: 'FATAL' }, encode));
}

/** Says goodbye to the target, unless that was done. One that does not close by itself, or does not even read it, must not keep the socket. */
export function endTarget(target: Socket, clock: Clock, goodbye: Buffer | undefined): void {
  if (target.destroyed) return;
  if (target.writableLength > UNTAKEN_BYTES_MAX) {
    target.destroy();
    return;
  }
  closeInTime(target, clock);
  if (goodbye !== undefined && !target.writableEnded) target.write(goodbye);
  target.destroySoon();
}

/** More than this in front of the last words, and they are not waited for. */
const UNTAKEN_BYTES_MAX = 1024 * 1024;
