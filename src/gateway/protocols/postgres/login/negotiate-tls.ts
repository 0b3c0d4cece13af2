import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { abortError } from '../../../../std/index.ts';
import { encodeError, PostgresWireError, readStartupPacket } from '../../../../wire/postgres/index.ts';
import type { StartTls } from '../../../protocol.ts';

/**
 * Brings a client without an agent to TLS: `N` to GSSAPI, `S` to SSLRequest, or TLS at once (PostgreSQL 17's `sslnegotiation=direct`).
 * A plain start-up packet is answered with an error: nothing identifies such a client. A plain CancelRequest (libpq before 17 sends
 * no other) is dropped for the same reason. Undefined: not served, and the socket is ended.
 */
export function negotiateDirect(socket: Socket, startTls: StartTls, signal: AbortSignal): Promise<Duplex | undefined> {
  return new Promise((resolve, reject) => {
    let bytes: Buffer = Buffer.alloc(0);
    let gss = false;
    const finish = (act: () => void) => {
      socket.pause();
      socket.off('data', onData).off('end', onGone).off('close', onGone);
      signal.removeEventListener('abort', onAbort);
      act();
    };
    const refuse = (message: string) =>
      finish(() => {
        socket.end(encodeError({ severity: 'FATAL', sqlstate: '28000', message, hint: TLS_HINT }));
        resolve(undefined);
      });
    const onAbort = () => finish(() => reject(abortError(signal)));
    const onGone = () => finish(() => resolve(undefined));
    const onData = (chunk: Buffer) => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      if (bytes[0] === TLS_HANDSHAKE) return finish(() => resolve(startTls(bytes)));
      try {
        const read = readStartupPacket(bytes);
        if (read === undefined) return;
        const rest = bytes.subarray(read.bytes);
        switch (read.packet.kind) {
          case 'gss-request':
            if (gss || rest.length > 0)
              return refuse('encryption was asked for twice, or more was sent before the answer');
            gss = true;
            bytes = rest;
            socket.write('N');
            return;
          case 'ssl-request':
            // Bytes behind the request came unencrypted and must not be taken for the start of TLS.
            if (rest.length > 0) return refuse('more was sent before the answer to the request for TLS');
            return finish(() => {
              socket.write('S');
              resolve(startTls(rest));
            });
          case 'cancel':
            return finish(() => {
              socket.end();
              resolve(undefined);
            });
          case 'startup':
            return refuse('this door is for TLS with a client certificate (SVID) only');
        }
      } catch (error) {
        if (!(error instanceof PostgresWireError)) throw error;
        refuse(error.message);
      }
    };
    if (signal.aborted) return reject(abortError(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('data', onData).on('end', onGone).on('close', onGone).resume();
  });
}

/** First byte of a TLS record that holds a handshake. */
const TLS_HANDSHAKE = 0x16;
const TLS_HINT = 'Use sslmode=verify-full with sslcert, sslkey and sslrootcert, or connect through the agent’s socket.';
