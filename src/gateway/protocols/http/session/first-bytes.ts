import type { Duplex } from 'node:stream';
import type { Clock } from '../../../../std/index.ts';
import { PREFACE } from '../../../../wire/http2/index.ts';

/** What a client speaks; `gone`: it has left, or has said nothing for too long. */
export type Spoken = 'http1' | 'http2' | 'gone';

/**
 * Looks at what a client says first, and puts it back; the client is left paused. Once one of `ends` aborts it is taken for HTTP/1.1, whose server says
 * why.
 */
export function lookAtFirstBytes(
  client: Duplex,
  { clock, ends, silentMs }: { clock: Clock; ends: readonly AbortSignal[]; silentMs: number },
): Promise<Spoken> {
  return new Promise((resolve) => {
    let bytes: Buffer = Buffer.alloc(0);
    const finish = (spoken: Spoken) => {
      client.pause();
      client.off('data', onData).off('end', onGone).off('close', onGone);
      for (const end of ends) end.removeEventListener('abort', onAbort);
      late.cancel();
      if (bytes.length > 0) client.unshift(bytes);
      resolve(spoken);
    };
    const onAbort = () => finish('http1');
    const onGone = () => {
      bytes = Buffer.alloc(0);
      finish('gone');
    };
    const onData = (chunk: Buffer) => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      const known = Math.min(bytes.length, PREFACE.length);
      if (!bytes.subarray(0, known).equals(PREFACE.subarray(0, known))) return finish('http1');
      if (known === PREFACE.length) return finish('http2');
      late.cancel();
      late = clock.after(REST_MS_MAX, () => finish('http1'));
    };
    let late = clock.after(silentMs, () => finish(bytes.length === 0 ? 'gone' : 'http1'));
    if (ends.some(({ aborted }) => aborted)) return finish('http1');
    if (client.destroyed || client.readableEnded) return finish('gone');
    for (const end of ends) end.addEventListener('abort', onAbort, { once: true });
    client.on('data', onData).on('end', onGone).on('close', onGone).resume();
  });
}

/** Whether what a client of HTTP/1.1 asks first is a HEAD, whose answer has no body. Nothing of it is kept; one that says nothing in time does not. */
export function asksForHead(client: Duplex, { clock, withinMs }: { clock: Clock; withinMs: number }): Promise<boolean> {
  return new Promise((resolve) => {
    let text = '';
    const finish = (isHead: boolean) => {
      late.cancel();
      client.off('data', onData).off('end', onGone).off('close', onGone);
      resolve(isHead);
    };
    const onGone = () => finish(false);
    const onData = (chunk: Buffer) => {
      text += chunk.toString('latin1', 0, HEAD.length);
      if (text.length >= HEAD.length || !HEAD.startsWith(text)) finish(text.startsWith(HEAD));
    };
    const late = clock.after(withinMs, onGone);
    if (client.destroyed || client.readableEnded) return onGone();
    client.on('data', onData).on('end', onGone).on('close', onGone).resume();
  });
}

const HEAD = 'HEAD ';
/** For the rest of what may be a preface: whoever reads HTTP/1.1 has the same patience with it. */
const REST_MS_MAX = 10_000;
