import type { Duplex } from 'node:stream';
import { raceAbort, timeoutSignal } from '../../../../std/index.ts';
import { createResponseReader, encodeRequestHead } from '../../../../wire/http1/index.ts';
import { connectUpstream, type UpstreamDeps } from './connect.ts';
import { credentialRefused } from './connect-problem.ts';
import { readCredential } from './credential.ts';

/** Asks the upstream itself whether it is there, with the target's credential. Undefined = fine, else one sentence. @see RFC 9110 §9.3.7 */
export async function checkUpstream(deps: UpstreamDeps, signal: AbortSignal): Promise<string | undefined> {
  const { place } = deps;
  const credential = await readCredential(deps.config, deps.secrets, signal);
  const socket = await connectUpstream(deps, signal);
  const timeout = timeoutSignal(deps.clock, ANSWER_MS_MAX, signal);
  try {
    const head = encodeRequestHead({
      ...{ method: 'OPTIONS', target: '*', host: place.authority, body: { kind: 'none' }, close: true },
      fields: credential.field === undefined ? [] : [credential.field],
    });
    socket.write(head);
    const status = await raceAbort(statusOf(socket), timeout.signal);
    const isRefused = (status === 401 || status === 407) && credential.forms.length > 0;
    return isRefused ? credentialRefused(place, status).what : undefined;
  } finally {
    timeout.cancel();
    socket.destroy();
  }
}

function statusOf(socket: Duplex): Promise<number> {
  const reader = createResponseReader({ allowObsText: true });
  reader.expect('OPTIONS');
  return new Promise((resolve, reject) => {
    const gone = () => reject(new Error('the target ended the connection without an answer'));
    socket.on('end', gone).on('close', gone).on('error', reject);
    socket.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk);
        for (let event = reader.next(); event !== undefined; event = reader.next())
          if (event.kind === 'head') return resolve(event.head.status);
      } catch (error) {
        reject(error);
      }
    });
  });
}

const ANSWER_MS_MAX = 10_000;
