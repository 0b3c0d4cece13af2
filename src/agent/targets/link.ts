import { constants } from 'node:crypto';
import { type ConnectionOptions, connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { parseSpiffeId, type TrustDomain } from '@countersign/sdk/identity';
import type { Bundle, TargetView } from '../../model/index.ts';
import { type Attempt, openFirst, peerChain } from '../../rpc/index.ts';
import { abortError, type Clock, type Log, messageOf, sleep, timeoutSignal } from '../../std/index.ts';
import {
  encodeLinkPreface,
  type LinkCaller,
  type LinkPreface,
  linkAlpn,
  linkVersionOf,
  parseLinkAnswer,
} from '../../wire/link/index.ts';
import { encodePem, verifyX509Svid } from '../../wire/x509/index.ts';
import type { X509Svid } from '../cache/types.ts';
import { countDown } from '../callers.ts';
import { AgentError } from '../errors.ts';
import { createGatewayChoice, type GatewayChoice, type GatewayPlace, keyOf } from './choose-gateway.ts';

/** What a session asks of its link. */
export interface LinkWanted {
  /** As the server names it now. */
  readonly target: () => TargetView;
  readonly svid: X509Svid;
  /** Bundles that the workload trusts. */
  readonly bundles: readonly Bundle[];
  /** What the gateway is told of the process; the node is added here. */
  readonly caller: Omit<LinkCaller, 'nodeId'>;
  readonly signal: AbortSignal;
}

/** The links of an agent. */
export interface Links {
  /** @throws AgentError ERR_AGENT_GATEWAY saying what was wrong with each gateway */
  open(wanted: LinkWanted): Promise<TLSSocket>;
  /**
   * Says what came by a link of that identity to all other gateways as well that have sessions of it at this target: such as that a statement
   * is to be cancelled, which only its own gateway can do. Nobody hears whether it came to anything.
   */
  sayAside(link: TLSSocket, words: Buffer): void;
  /** Whether the gateway at its other end is revoked by now. */
  isRevoked(link: TLSSocket): boolean;
  /** Says which gateways there are, of all targets, whenever the server has told of them. */
  readonly listed: GatewayChoice['listed'];
}

/**
 * Creates what opens links to one of a target's gateways, as a {@link GatewayChoice} orders them: TLS 1.3 with the workload's own SVID, the
 * gateway proven by its SPIFFE ID, then the preface that names the target. While none can be reached, or those that are take nobody now, it
 * waits for some seconds: a gateway that is started again is back by then. The socket is paused; whoever takes it closes it.
 */
export function createLinks({
  clock,
  log,
  node,
  isRevoked = () => false,
}: {
  clock: Clock;
  log: Log;
  node: () => string;
  /** A gateway to which no link goes, by what it has shown. */
  isRevoked?: (chainDer: readonly Buffer[], spiffeId: string) => boolean;
}): Links {
  // One for all links of an SVID: OpenSSL's half of it lies beside the heap, and stays until a full collection.
  const contexts = new WeakMap<X509Svid, SecureContext>();
  const choice = createGatewayChoice({ clock, node });
  const open = new Map<TLSSocket, OpenedLink>();
  const asides = createAsides();
  return {
    listed: choice.listed,
    async open(asked) {
      const context = contexts.get(asked.svid) ?? contextOf(asked.svid);
      contexts.set(asked.svid, context);
      const caller = { ...asked.caller, nodeId: node() };
      const wanted = { ...asked, caller, clock, log, choice, context, isRevoked };
      const { link, place } = await openAny(wanted);
      open.set(link, { wanted, place, chain: peerChain(link), target: wanted.target().name });
      link.once('close', () => open.delete(link));
      if (link.destroyed) open.delete(link);
      return link;
    },
    isRevoked(link) {
      const own = open.get(link);
      return own !== undefined && isRevoked(own.chain, own.place.spiffeId);
    },
    sayAside(link, words) {
      const own = open.get(link);
      if (own === undefined) return;
      const others = new Map<string, GatewayPlace>();
      for (const { target, place, wanted } of open.values())
        if (target === own.target && wanted.svid.spiffeId.uri === own.wanted.svid.spiffeId.uri)
          others.set(keyOf(place), place);
      others.delete(keyOf(own.place));
      const { uri } = own.wanted.svid.spiffeId;
      for (const place of others.values()) asides.run(uri, () => sayAt(place, own, words));
    },
  };
}

/** Bounds what is said aside: each is a link that outlives whoever wanted it. What is too much is not said, as it is promised to nobody. */
function createAsides(): { run(identity: string, say: () => Promise<void>): void } {
  const byIdentity = new Map<string, number>();
  let running = 0;
  return {
    run(identity, say) {
      const own = byIdentity.get(identity) ?? 0;
      if (running >= ASIDES_MAX || own >= ASIDES_OF_ONE_MAX) return;
      running++;
      byIdentity.set(identity, own + 1);
      void say().finally(() => {
        running--;
        countDown(byIdentity, identity);
      });
    },
  };
}

interface OpenedLink {
  readonly wanted: Wanted;
  readonly place: GatewayPlace;
  /** What the gateway has shown. */
  readonly chain: readonly Buffer[];
  readonly target: string;
}

async function sayAt(place: GatewayPlace, { wanted, target }: OpenedLink, words: Buffer): Promise<void> {
  // Not until whoever said it goes: a client that cancels may go at once.
  const limit = timeoutSignal(wanted.clock, LINK_MS_MAX);
  try {
    const { signal } = limit;
    const preface: LinkPreface = { kind: 'aside', target, caller: undefined };
    const link = await openOne(wanted, { ...place, ...{ signal, reached() {} }, preface });
    signal.addEventListener('abort', () => link.destroy(), { once: true });
    await new Promise<void>((resolve) => {
      link.once('close', resolve);
      link.resume().end(words);
      link.once('end', () => link.destroy());
    });
  } catch {
    // It is said to whoever may know of it, and promised to nobody.
  } finally {
    limit.cancel();
  }
}

type Wanted = LinkWanted & {
  readonly caller: LinkCaller;
  readonly clock: Clock;
  /** Of lines that each session may cause. */
  readonly log: Log;
  readonly choice: GatewayChoice;
  readonly context: SecureContext;
  readonly isRevoked: (chainDer: readonly Buffer[], spiffeId: string) => boolean;
};

async function openAny(wanted: Wanted): Promise<{ link: TLSSocket; place: GatewayPlace }> {
  const { clock, signal } = wanted;
  const endMs = clock.monotonicMs() + NONE_MS_MAX;
  const tried = new Set<string>();
  for (let pauseMs = PAUSE_MS_MIN; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
    const target = wanted.target();
    const problems: { readonly place: GatewayPlace; readonly error: unknown }[] = [];
    const opened = await openOnce(wanted, target, (place, error) => problems.push({ place, error }));
    if (opened !== undefined) return opened;
    // One that is somebody else says nothing of the others: its address may be theirs no longer.
    const isUnproven = problems.length > 0 && problems.every(({ error }) => error instanceof Unproven);
    const isFinal = isUnproven || problems.some(({ error }) => error instanceof Refused);
    for (const place of target.gateways) tried.add(keyOf(place));
    // Where the only one that was known hangs, its own time is longer than that of all: who came meanwhile has its turn at once.
    const isNews = wanted.target().gateways.some((place) => !tried.has(keyOf(place)));
    if (isNews && !isFinal) continue;
    if (isFinal || clock.monotonicMs() + pauseMs > endMs) {
      const told = problems.map(({ place, error }) => `${place.address}: ${messageOf(error)}`);
      const what = told.length === 0 ? 'no gateway serves it now' : told.join('; ');
      throw new AgentError('ERR_AGENT_GATEWAY', `target ${target.name}: ${what}`);
    }
    await sleep(clock, pauseMs, signal);
  }
}

/** Tries each gateway once; undefined when none can be opened. */
async function openOnce(
  wanted: Wanted,
  target: TargetView,
  failed: (place: GatewayPlace, error: unknown) => void,
): Promise<{ link: TLSSocket; place: GatewayPlace } | undefined> {
  const { clock, log, choice, caller, signal } = wanted;
  const preface: LinkPreface = { kind: 'session', target: target.name, caller };
  const order = choice.order(target);
  const opened = openFirst(order.places, {
    ...{ clock, signal, isDoubtful: order.isMissed },
    async open(place, attempt) {
      const link = await openOne(wanted, { ...place, ...attempt, preface });
      choice.took(place);
      return { link, place };
    },
    close: ({ link }) => link.destroy(),
    missed(place, error) {
      // A no says nothing of what others would be told there.
      if (error instanceof Refused) choice.took(place);
      else choice.missed(place);
      log.info('agent.gateway.missed', { gateway: place.address, target: target.name, problem: messageOf(error) });
      failed(place, error);
    },
  });
  try {
    return await opened;
  } catch (error) {
    order.giveBack();
    throw error;
  }
}

async function openOne(
  { clock, context, bundles, isRevoked }: Wanted,
  { address, spiffeId, preface, ...attempt }: GatewayPlace & Attempt & { preface: LinkPreface },
): Promise<TLSSocket> {
  const { host, port } = splitAddress(address);
  const limit = timeoutSignal(clock, LINK_MS_MAX, attempt.signal);
  const { signal } = limit;
  const tlsOptions: ConnectionOptions & { allowHalfOpen: boolean } = {
    host,
    port,
    secureContext: context,
    ALPNProtocols: [...linkAlpn],
    // OpenSSL knows nothing of SPIFFE IDs: the chain is verified below, before a byte is sent.
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    // Part of tls.connect's options, if not of their type: one side's end must not end the other.
    allowHalfOpen: true,
  };
  const socket = connect(tlsOptions);
  // Whoever waits hears of it by its own listener or by 'close'; between two of them, and until the session has it, there is no other.
  socket.on('error', () => {});
  socket.once('connect', attempt.reached);
  const onAbort = () => socket.destroy(abortError(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    await once(socket, 'secureConnect');
    const version = linkVersionOf(socket.alpnProtocol);
    if (version === undefined) throw new Unproven('it does not speak countersign-link');
    proveGateway(socket, { clock, bundles, spiffeId });
    if (isRevoked(peerChain(socket), spiffeId)) throw new Unproven('it is revoked');
    socket.setNoDelay(true);
    socket.write(encodeLinkPreface(preface, version));
    await readAnswer(socket);
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
    limit.cancel();
  }
}

/** The gateway takes no link for what was asked; it may take another one. */
class Refused extends Error {}

/** What answers there is no gateway, or another one. */
class Unproven extends Error {}

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
  const authorities = (domain: TrustDomain) =>
    options.bundles.find((bundle) => bundle.trustDomain === domain)?.x509Authorities;
  const verdict = verifyX509Svid(peerChain(socket), authorities, options.clock.now());
  const expected = parseSpiffeId(options.spiffeId);
  if (!verdict.ok) throw new Unproven(`it did not prove to be ${expected.uri} (${verdict.reason})`);
  if (verdict.id.uri !== expected.uri) throw new Unproven(`it is ${verdict.id.uri}, not ${expected.uri}`);
}

/** Reads the gateway's answer; what it sent after a yes goes back into the socket, which is left paused. */
async function readAnswer(socket: TLSSocket): Promise<void> {
  let received: Buffer = Buffer.alloc(0);
  for (;;) {
    const read = parseLinkAnswer(received);
    if (read !== 'more') {
      const { answer, bytes } = read;
      if (answer.status === 'no') throw new Refused(`it refused: ${answer.what}`);
      if (answer.status === 'not-now') throw new Error(`it refused: ${answer.what}`);
      if (received.length > bytes) socket.unshift(received.subarray(bytes));
      return;
    }
    await once(socket, 'readable');
    const chunk: Buffer | null = socket.read();
    if (chunk) received = Buffer.concat([received, chunk]);
    else if (socket.readableEnded) throw new Error('it hung up');
  }
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

/** Connecting, handshake and answer of one gateway: the kernel asks a third time after three seconds, and a fourth after seven. */
const LINK_MS_MAX = 6_000;
/** How long a client waits for a gateway when none is there: one that is started again takes a second or two, and a pool gives up later. */
const NONE_MS_MAX = 5_000;
const ASIDES_OF_ONE_MAX = 8;
/** Descriptors are those of all workloads. */
const ASIDES_MAX = 64;
const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 1_000;
