import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { Clock } from '../../../../std/index.ts';
import { LAST_WORDS_MS } from '../../../listeners/close-in-time.ts';
import type { GatewaySession } from '../../../sessions/session.ts';
import { CallerPart } from '../http2/caller-part.ts';
import { refuseHttp2 } from '../http2/refuse-http2.ts';
import { serveHttp2 } from '../http2/serve-http2.ts';
import type { OpenTarget } from '../target.ts';
import { endClient } from './end-client.ts';
import { asksForHead, lookAtFirstBytes, type Spoken } from './first-bytes.ts';
import { encodeOwnAnswer, type OwnAnswer } from './refusals/own-answers.ts';
import { serve } from './serve.ts';

/** Serves a client in the version that it speaks: by ALPN at a target's own door, by its first bytes where it came by an agent. */
export async function serveByVersion(target: OpenTarget, session: GatewaySession): Promise<void> {
  const { client, signal, drain } = session;
  const { clock } = target.deps;
  if (client instanceof CallerPart) return client.serve(target, session);
  const ends = [signal, drain];
  const spoken = versionOf(client) ?? (await lookAtFirstBytes(client, { clock, ends, silentMs: SILENT_MS_MAX }));
  if (spoken === 'http2' && target.config.http2) return serveHttp2(target, session);
  // Without it HTTP/1.1 says that its version is none that is served.
  if (spoken !== undefined) return serve(target, session);
  return endClient(client, clock, { last: undefined, isCut: false });
}

/** Which versions a target speaks, and the time that they have. */
export interface Versions {
  readonly clock: Clock;
  readonly http2: boolean;
}

/** Tells a client why it is not served, in its version, and ends its connection. */
export async function refuseByVersion(client: Duplex, { clock, http2 }: Versions, answer: OwnAnswer): Promise<void> {
  if (client instanceof CallerPart) return client.refuse(answer);
  client.on('error', () => {}); // 'close' follows.
  const spoken = versionOf(client) ?? (await lookAtFirstBytes(client, { clock, ends: [], silentMs: LAST_WORDS_MS }));
  if (spoken === 'http2' && http2) return refuseHttp2(client, clock, answer);
  const isHead = spoken === 'http1' && (await asksForHead(client, { clock, withinMs: FIRST_WORD_MS }));
  endClient(client, clock, { last: encodeOwnAnswer(answer, { close: true, isHead }), isCut: false });
}

/** It has agreed to by TLS. */
export function isHttp2(client: Duplex): boolean {
  return versionOf(client) === 'http2';
}

/** Undefined: it can't be known before the client speaks. Over TLS of its own, HTTP/2 is spoken by ALPN alone: RFC 9113 §3.2. */
function versionOf(client: Duplex): Spoken | undefined {
  if (!(client instanceof TLSSocket)) return undefined;
  const { alpnProtocol } = client;
  if (alpnProtocol === 'h2') return 'http2';
  // Else it is an agent's link, and what it carries has said nothing yet.
  return alpnProtocol === 'http/1.1' || typeof alpnProtocol !== 'string' ? 'http1' : undefined;
}

/** For a request that is on its way behind the handshake: whoever says nothing is told all the same. */
const FIRST_WORD_MS = 1_000;
/** As long as a connection may be idle. */
const SILENT_MS_MAX = 120_000;
