import { constants } from 'node:crypto';
import { type ConnectionOptions, connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { parseSpiffeId, type TrustDomain } from '@countersign/sdk/identity';
import type { Bundle, TargetView } from '../../model/index.ts';
import { peerChain } from '../../rpc/index.ts';
import { abortError, type Clock, messageOf, timeoutSignal } from '../../std/index.ts';
import { encodePem, verifyX509Svid } from '../../wire/x509/index.ts';
import type { X509Svid } from '../cache/types.ts';
import { AgentError } from '../errors.ts';

/** What a session asks of its link. */
export interface LinkWanted {
  readonly target: TargetView;
  readonly svid: X509Svid;
  /** Bundles that the workload trusts. */
  readonly bundles: readonly Bundle[];
  readonly signal: AbortSignal;
}

export type OpenLink = (wanted: LinkWanted) => Promise<TLSSocket>;

/**
 * Creates what opens a link to one of the target's gateways, trying them in order: TLS 1.3 with the workload's own SVID, the gateway proven by
 * its SPIFFE ID, then the preface that names the target. The socket is paused; whoever takes it closes it.
 *
 * The link: `CSL1`, length of the target's name (u16), the name; the gateway answers one byte, 0 for yes, anything else for no,
 * followed by the length (u16) and text of its reason. After a yes, the bytes are the target's protocol, both ways.
 * @throws AgentError ERR_AGENT_GATEWAY saying what was wrong with each gateway
 */
export function createLinkOpener({ clock }: { clock: Clock }): OpenLink {
  // One for all links of an SVID: OpenSSL's half of it lies beside the heap, and stays until a full collection.
  const contexts = new WeakMap<X509Svid, SecureContext>();
  return async (wanted) => {
    const context = contexts.get(wanted.svid) ?? contextOf(wanted.svid);
    contexts.set(wanted.svid, context);
    return openAny({ ...wanted, clock, context });
  };
}

type Wanted = LinkWanted & { readonly clock: Clock; readonly context: SecureContext };

async function openAny(options: Wanted): Promise<TLSSocket> {
  const { target, signal } = options;
  const problems: string[] = [];
  for (const gateway of target.gateways) {
    try {
      return await openOne({ ...options, ...gateway });
    } catch (error) {
      if (signal.aborted) throw abortError(signal);
      problems.push(`${gateway.address}: ${messageOf(error)}`);
    }
  }
  const what = problems.length === 0 ? 'no gateway serves it now' : problems.join('; ');
  throw new AgentError('ERR_AGENT_GATEWAY', `target ${target.name}: ${what}`);
}

async function openOne(options: Wanted & { address: string; spiffeId: string }): Promise<TLSSocket> {
  const { clock } = options;
  const { host, port } = splitAddress(options.address);
  const limit = timeoutSignal(clock, LINK_MS_MAX, options.signal);
  const { signal } = limit;
  const tlsOptions: ConnectionOptions & { allowHalfOpen: boolean } = {
    host,
    port,
    secureContext: options.context,
    ALPNProtocols: [ALPN],
    // OpenSSL knows nothing of SPIFFE IDs: the chain is verified below, before a byte is sent.
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    // Part of tls.connect's options, if not of their type: one side's end must not end the other.
    allowHalfOpen: true,
  };
  const socket = connect(tlsOptions);
  // Whoever waits hears of it by its own listener or by 'close'; between two of them, and until the session has it, there is no other.
  socket.on('error', () => {});
  const onAbort = () => socket.destroy(abortError(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    await once(socket, 'secureConnect');
    proveGateway(socket, options);
    socket.setNoDelay(true);
    socket.write(encodePreface(options.target.name));
    await readStatus(socket);
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
    limit.cancel();
  }
}

function contextOf(svid: X509Svid): SecureContext {
  return createSecureContext({
    cert: svid.chainDer.map((der) => encodePem('CERTIFICATE', der)).join(''),
    key: encodePem('PRIVATE KEY', svid.keyDer),
    ca: [],
    minVersion: 'TLSv1.3',
    // A resumed session shows no certificate, so none is ever taken up.
    secureOptions: constants.SSL_OP_NO_TICKET,
  });
}

function proveGateway(
  socket: TLSSocket,
  options: { clock: Clock; bundles: readonly Bundle[]; spiffeId: string },
): void {
  if (socket.alpnProtocol !== ALPN) throw new Error(`it does not speak ${ALPN}`);
  const authorities = (domain: TrustDomain) =>
    options.bundles.find((bundle) => bundle.trustDomain === domain)?.x509Authorities;
  const verdict = verifyX509Svid(peerChain(socket), authorities, options.clock.now());
  const expected = parseSpiffeId(options.spiffeId);
  if (!verdict.ok) throw new Error(`it did not prove to be ${expected.uri} (${verdict.reason})`);
  if (verdict.id.uri !== expected.uri) throw new Error(`it is ${verdict.id.uri}, not ${expected.uri}`);
}

/** `CSL1`, u16 length, name. */
export function encodePreface(name: string): Buffer {
  const text = Buffer.from(name, 'utf8');
  const length = Buffer.alloc(2);
  length.writeUInt16BE(text.length);
  return Buffer.concat([MAGIC, length, text]);
}

/** Reads the gateway's answer; what it sent after a yes goes back into the socket, which is left paused. */
async function readStatus(socket: TLSSocket): Promise<void> {
  let received: Buffer = Buffer.alloc(0);
  for (;;) {
    const status = parseStatus(received);
    if (status.done) {
      if (status.reason !== undefined) throw new Error(`it refused: ${status.reason}`);
      if (received.length > status.bytes) socket.unshift(received.subarray(status.bytes));
      return;
    }
    await once(socket, 'readable');
    const chunk: Buffer | null = socket.read();
    if (chunk) received = Buffer.concat([received, chunk]);
    else if (socket.readableEnded) throw new Error('it hung up');
  }
}

/** The gateway's answer, once all of it is there. The reason is the gateway's, trimmed to what a client may be shown. */
export function parseStatus(
  received: Buffer,
): { done: false } | { done: true; bytes: number; reason: string | undefined } {
  const status = received[0];
  if (status === undefined) return { done: false };
  if (status === 0) return { done: true, bytes: 1, reason: undefined };
  if (received.length < 3) return { done: false };
  const end = 3 + received.readUInt16BE(1);
  if (received.length < end) return { done: false };
  const reason = received.toString('utf8', 3, Math.min(end, 3 + REASON_BYTES_MAX)).replaceAll(/\p{Cc}/gu, ' ');
  return { done: true, bytes: end, reason };
}

/** `host:port`, the host in brackets when it is an IPv6 address. */
export function splitAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, Math.max(colon, 0)).replace(/^\[(.*)\]$/, '$1');
  const port = Number(address.slice(colon + 1));
  if (host === '' || !/^\d{1,5}$/.test(address.slice(colon + 1)) || port < 1 || port > 65_535) {
    throw new Error('its address is not host:port');
  }
  return { host, port };
}

function once(socket: TLSSocket, event: 'secureConnect' | 'readable'): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (run: () => void) => {
      socket.off(event, onEvent).off('error', onError).off('close', onClose).off('end', onEnd);
      run();
    };
    const onEvent = () => settle(resolve);
    const onError = (error: Error) => settle(() => reject(error));
    const onClose = () => settle(() => reject(new Error('it closed the connection')));
    const onEnd = () => settle(() => reject(new Error('it hung up')));
    if (socket.destroyed) return onClose(); // Nobody tells that again.
    socket.once(event, onEvent).on('error', onError).once('close', onClose).once('end', onEnd);
  });
}

/** Names the link's protocol in the handshake, so that nothing else is ever taken for it. */
const ALPN = 'countersign-link/1';
const MAGIC = Buffer.from('CSL1', 'latin1');
/** Connecting, handshake and answer of one gateway; the next is tried after it. */
const LINK_MS_MAX = 10_000;
/** Fits an error message on a screen. */
const REASON_BYTES_MAX = 512;
