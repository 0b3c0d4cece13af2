import * as http from 'node:http';
import * as https from 'node:https';
import type { ConnectionOptions } from 'node:tls';
import { Type } from 'typebox';
import { type Clock, throwIfAborted } from '../../std/index.ts';
import type { SinkAnswer } from '../sink.ts';

/** Where events are posted to: over TLS, or in the clear to this machine alone. Neither a user nor a query, which are where secrets stand. */
export const urlField = (description: string, examples: string[]) =>
  Type.String({
    description,
    examples,
    pattern:
      '^(https://[^\\s?#@/\\\\]{1,260}|http://(127\\.0\\.0\\.1|localhost|\\[::1\\])(:\\d{1,5})?)(/[^\\s?#@\\\\]{0,500})?$',
  });

/** What proves to the other side who posts, where it wants that. */
export const authorizationField = Type.Optional(
  Type.String({
    pattern: '^(file|env):.+$',
    description: 'Reference to what is sent as `Authorization`, such as `Bearer …`; absent = nothing.',
  }),
);

/** What was answered. The body is cut off where it is too long. */
export interface PostAnswer {
  readonly status: number;
  readonly retryAfterMs: number | undefined;
  readonly body: string;
}

/** Posts to one URL, over a connection that is kept. Follows no redirect: where one leads is nobody's word but the other side's. */
export interface Poster {
  /** Rejects when there is no answer. */
  post(of: {
    readonly headers: Readonly<Record<string, string>>;
    readonly body: Buffer;
    readonly tls: () => ConnectionOptions;
    readonly signal: AbortSignal;
  }): Promise<PostAnswer>;
  close(): void;
}

/** Creates a {@link Poster}. */
export function createPoster(url: string, { clock }: { readonly clock: Clock }): Poster {
  const isTls = url.startsWith('https:');
  const agent = isTls ? new https.Agent(AGENT) : new http.Agent(AGENT);
  return {
    post({ headers, body, tls, signal }) {
      throwIfAborted(signal);
      const options = {
        ...{ method: 'POST', agent, signal, maxHeaderSize: HEADER_BYTES_MAX },
        headers: { ...headers, 'content-length': `${body.length}` },
      };
      return new Promise<PostAnswer>((resolve, reject) => {
        const request = isTls ? https.request(url, { ...tls(), ...options }) : http.request(url, options);
        request.on('error', reject);
        request.once('response', (response) => {
          readBody(response).then(
            (text) =>
              resolve({
                status: response.statusCode ?? 0,
                retryAfterMs: retryAfterMs(response.headers['retry-after'], clock.now()),
                body: text,
              }),
            reject,
          );
        });
        request.end(body);
      });
    },
    close: () => agent.destroy(),
  };
}

/**
 * What an answer means where nothing else is said: 2xx is taken; 400, 413 and 422 are about what was sent, and would be the same again. All others may
 * be otherwise before long, when somebody has put right a credential, an address or a server.
 */
export function answerOf({ status, retryAfterMs: afterMs }: PostAnswer): SinkAnswer {
  if (status >= 200 && status < 300) return { kind: 'taken' };
  if (status === 400 || status === 413 || status === 422) return { kind: 'refused', reason: `HTTP ${status}` };
  const hint = status >= 300 && status < 400 ? ', which leads elsewhere and is not followed' : '';
  return { kind: 'away', reason: `HTTP ${status}${hint}`, retryAfterMs: afterMs };
}

/** Seconds or a date. @see RFC 9110 §10.2.3 */
export function retryAfterMs(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const atMs = text.endsWith(' GMT') ? Date.parse(text) : Number.NaN;
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs);
}

/** All of it has to be read for the connection to be used again; of one that does not end enough was read. */
async function readBody(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) break; // Which ends the connection.
  }
  return Buffer.concat(chunks).subarray(0, BODY_BYTES_MAX).toString();
}

/** One at a time, kept between batches. */
const AGENT = { keepAlive: true, maxSockets: 1, timeout: 60_000 } as const;
const HEADER_BYTES_MAX = 16_384;
const BODY_BYTES_MAX = 65_536;
