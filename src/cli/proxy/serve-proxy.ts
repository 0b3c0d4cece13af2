import { createConnection, isIP, type Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import { type Clock, codeOf } from '../../std/index.ts';
import { createRequestReader, Http1Error, type RequestHead, type RequestReader } from '../../wire/http1/index.ts';
import type { Receive } from '../door/open-door.ts';
import type { TellRefusal } from '../door/refusals.ts';
import { splice } from '../door/splice.ts';
import { answerRefusal, ESTABLISHED, type ProxyRefusal } from './answers.ts';
import { parseConnectHead, plainHost, type Tunnel } from './connect-head.ts';
import type { Reach } from './destinations.ts';
import { forwardRequest } from './forward-request.ts';
import type { ProxiedHosts, ProxiedTarget } from './hosts.ts';
import type { RunAuthority } from './run-authority.ts';

/** What the proxy needs. */
export interface ProxyDeps {
  readonly hosts: ProxiedHosts;
  /** Undefined where no host has a name to vouch for. */
  readonly authority: RunAuthority | undefined;
  /** How hosts that are no target's are reached; undefined: they are refused. */
  readonly reach: Reach | undefined;
  /** The target that lists a host which none did when the command started, if one does now. */
  readonly lateTarget?: ((host: string) => string | undefined) | undefined;
  readonly clock: Clock;
  readonly tell: TellRefusal;
}

/**
 * Serves one client of the proxy, of whom it is proven that it may come here. Requests for hosts of targets go to those targets, by TLS that ends here or
 * without; of what is said within a tunnel nothing is understood here: that is for the gateway.
 */
export function createProxy(deps: ProxyDeps): Receive {
  return (client, over) => {
    const visit: Visit = { client, hold: holder(over) };
    visit.hold(client);
    const slow = deps.clock.after(HEAD_MS, () => {
      client.off('data', hear);
      refuse(deps, visit, slowHead);
    });
    client.once('close', () => slow.cancel());
    const hear = createHearing((step) => {
      slow.cancel();
      client.off('data', hear);
      client.pause();
      if (step.kind === 'refuse') refuse(deps, visit, step.refusal);
      else if (step.kind === 'tunnel') openTunnel(deps, visit, step);
      else openRequest(deps, visit, step);
    });
    client.on('data', hear).resume(); // It came paused.
    client.once('end', () => {
      if (client.listeners('data').includes(hear)) client.destroy(); // It left before it had said what it wants.
    });
  };
}

interface Visit {
  readonly client: Socket;
  /** The visit is over when nothing that is held is open. */
  hold(socket: Socket): void;
}

type Heard =
  | { readonly kind: 'tunnel'; readonly tunnel: Tunnel; readonly rest: Buffer }
  | { readonly kind: 'request'; readonly head: RequestHead; readonly reader: RequestReader }
  | { readonly kind: 'refuse'; readonly refusal: ProxyRefusal };

/** Hears what a client wants first, once. */
function createHearing(done: (heard: Heard) => void): (bytes: Buffer) => void {
  let held: Buffer = Buffer.alloc(0);
  let isRead = false;
  const reader = createRequestReader();
  return (bytes) => {
    // Bounded by the limits of both heads: what is longer is refused.
    held = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
    if (held.length < CONNECT.length && CONNECT.startsWith(held.toString('latin1'))) return;
    if (held.toString('latin1', 0, CONNECT.length) === CONNECT) {
      const connect = parseConnectHead(held);
      if (connect.step === 'refuse') done({ kind: 'refuse', refusal: malformed(connect.status, connect.why) });
      if (connect.step === 'ready')
        done({ kind: 'tunnel', tunnel: connect.tunnel, rest: held.subarray(connect.bytes) });
      return;
    }
    try {
      reader.push(isRead ? bytes : held);
      isRead = true;
      const event = reader.next();
      if (event?.kind !== 'head') return;
      // The codec leaves the scheme away.
      if (/^\s*\S+ https:/i.test(held.toString('latin1'))) done({ kind: 'refuse', refusal: needsTunnel });
      else if (event.head.method === 'CONNECT')
        done({ kind: 'refuse', refusal: malformed(400, 'something stands before CONNECT') });
      else done({ kind: 'request', head: event.head, reader });
    } catch (error) {
      const status = error instanceof Http1Error ? error.status : 400;
      done({
        kind: 'refuse',
        refusal: malformed(status, error instanceof Http1Error ? error.message : 'it is no request'),
      });
    }
  };
}

function openTunnel(deps: ProxyDeps, visit: Visit, { tunnel, rest }: { tunnel: Tunnel; rest: Buffer }): void {
  const { client } = visit;
  const way = wayTo(deps, tunnel, [HTTPS_PORT, HTTP_PORT]);
  if ('refusal' in way) return void refuse(deps, visit, way.refusal);
  const context = 'target' in way && tunnel.port === HTTPS_PORT ? deps.authority?.contextFor(tunnel.host) : undefined;
  if ('target' in way && tunnel.port === HTTPS_PORT && context === undefined)
    return void refuse(deps, visit, noName(tunnel.host));
  whenOpen(deps, visit, { way, place: tunnel }, (far) => {
    client.write(ESTABLISHED);
    // Said before it was answered, it is what the tunnel begins with, whatever it is; the end may have come behind it.
    if (context === undefined) {
      if (rest.length > 0) far.write(rest);
      return splice(client, far, () => {});
    }
    if (client.readableEnded) return void client.destroy();
    if (rest.length > 0) client.unshift(rest);
    endTls(deps, visit, { far, context, host: tunnel.host });
  });
}

/** TLS ends here: what it carries goes to the far end as it is. */
function endTls(
  { clock, tell }: ProxyDeps,
  { client, hold }: Visit,
  { far, context, host }: { readonly far: Socket; readonly context: SecureContext; readonly host: string },
): void {
  let state: 'opening' | 'open' | 'told' = 'opening';
  const secure = new TLSSocket(client, {
    ...{ isServer: true, secureContext: context },
    ALPNCallback({ protocols }) {
      // What speaks both stays with the one that every target speaks. The agent's end tells them apart by their first bytes.
      const spoken = ['http/1.1', 'h2'].find((one) => protocols.includes(one));
      if (spoken === undefined) {
        state = 'told';
        const offered = protocols.slice(0, PROTOCOLS_SHOWN_MAX).join(', ');
        tell(
          'alpn',
          `a client of ${host} speaks neither HTTP/1.1 nor HTTP/2 (${offered}); a target of HTTP has no other`,
        );
      }
      return spoken;
    },
    SNICallback(name, answer) {
      if (plainHost(name) === host) return answer(null, context);
      state = 'told';
      tell(
        'name',
        `a client has opened a tunnel to ${host}, and asks by TLS for another host; both have to be the same`,
      );
      answer(new Error('another host'));
    },
  });
  hold(secure);
  const cut = () => {
    secure.destroy();
    client.resetAndDestroy();
  };
  const late = clock.after(HEAD_MS, cut);
  const readBefore = client.bytesRead;
  secure.once('secure', () => {
    state = 'open';
    late.cancel();
  });
  secure.once('close', () => {
    late.cancel();
    if (state === 'opening' && client.bytesRead > readBefore)
      tell('tls', `a client of ${host} has not begun TLS with the certificate of this run; ${TRUST}`);
    client.destroy();
  });
  splice(secure, far, () => {}, cut);
}

function openRequest(
  deps: ProxyDeps,
  visit: Visit,
  { head, reader }: { head: RequestHead; reader: RequestReader },
): void {
  const [, name = '', port] = /^(.*?)(?::(\d+))?$/.exec(head.host) ?? [];
  const place = { host: plainHost(name), port: port === undefined ? HTTP_PORT : Number(port) };
  const way = wayTo(deps, place, [HTTP_PORT]);
  if ('refusal' in way) return void refuse(deps, visit, way.refusal);
  whenOpen(deps, visit, { way, place }, (far) => {
    // A target lists names without ports.
    const host = 'target' in way ? head.host.replace(/\.?(:\d+)?$/, '') : head.host;
    forwardRequest({
      ...{ client: visit.client, far, reader, head: { ...head, host }, clock: deps.clock },
      refuse: () => refuse(deps, visit, noAnswer(place)),
    });
  });
}

type Way = { readonly refusal: ProxyRefusal } | { readonly target: ProxiedTarget; open(): Socket } | { open(): Socket };

/** Where a place is: at a target, elsewhere, or nowhere from here. What is a target's never goes elsewhere. */
function wayTo(deps: ProxyDeps, place: Tunnel, ports: readonly number[]): Way {
  const { hosts, reach } = deps;
  const target = hosts.byHost.get(place.host);
  const shared = hosts.shared.get(place.host);
  if (shared !== undefined) return { refusal: ambiguous(place.host, shared) };
  if (target !== undefined) {
    if (!ports.includes(place.port)) return { refusal: otherPort(place) };
    return { target, open: () => createConnection({ path: target.socket, allowHalfOpen: true }) };
  }
  const late = deps.lateTarget?.(place.host);
  if (reach === undefined)
    return { refusal: late === undefined ? notATarget(place.host) : lateTarget(place.host, late) };
  if (late !== undefined)
    deps.tell('late', `${place.host} is reached past it: ${lateTarget(place.host, late).title}; ${ANEW}`);
  return { open: () => reach(place) };
}

/** Goes on with the far end when it is open; else the client is told. An agent that has too many waiting for it is asked again. */
function whenOpen(
  deps: ProxyDeps,
  visit: Visit,
  { way, place }: { readonly way: Exclude<Way, { readonly refusal: ProxyRefusal }>; readonly place: Tunnel },
  go: (far: Socket) => void,
): void {
  const { clock } = deps;
  const { client } = visit;
  const untilMs = clock.monotonicMs() + OPEN_MS;
  const attempt = () => {
    if (client.destroyed) return;
    const far = way.open();
    let isSettled = false;
    visit.hold(far);
    const drop = () => void far.destroy();
    const late = clock.after(OPEN_MS, () => far.destroy(Object.assign(new Error('late'), { code: 'ETIMEDOUT' })));
    client.once('close', drop);
    far.once('close', () => late.cancel());
    far.on('error', (error) => {
      if (isSettled) return; // What follows from it is done when it closes.
      isSettled = true;
      client.off('close', drop);
      if (codeOf(error) === 'EAGAIN' && clock.monotonicMs() < untilMs) clock.after(AGAIN_MS, attempt);
      else refuse(deps, visit, 'target' in way ? agentAway(way.target, error) : farAway(place, error));
    });
    far.once('connect', () => {
      isSettled = true;
      late.cancel();
      client.off('close', drop);
      if (client.destroyed) drop();
      else go(far);
    });
  };
  attempt();
}

function refuse(deps: ProxyDeps, { client }: Visit, refusal: ProxyRefusal): void {
  if (client.destroyed) return;
  deps.tell(refusal.reason, `${refusal.title}; ${refusal.hint}`);
  answerRefusal(client, refusal, deps.clock);
}

/** Calls once, when all sockets that it was given are closed. */
function holder(over: () => void): (socket: Socket) => void {
  let open = 0;
  return (socket) => {
    open++;
    socket.once('close', () => {
      if (--open === 0) over();
    });
  };
}

const TRUST =
  'its trust is set by a file or variable of its own: give it the roots in $SSL_CERT_FILE, or the address in $COUNTERSIGN_URL';
const slowHead: ProxyRefusal = {
  ...{ status: 408, reason: 'timeout' },
  title: 'a client of the proxy has not said what it wants',
  hint: 'send a whole request within ten seconds',
};
const needsTunnel: ProxyRefusal = {
  ...{ status: 400, reason: 'scheme' },
  title: 'a request for an https address came without a tunnel',
  hint: 'have the client open one by CONNECT, or ask for the http address',
};
const malformed = (status: number, why: string): ProxyRefusal => ({
  ...{ status, reason: 'malformed', title: `what came to the proxy is refused: ${why}` },
  hint: 'send it so that all readers read it alike',
});
const noName = (host: string): ProxyRefusal => ({
  ...{ status: 403, reason: 'address', title: `${host} is an address or no name of DNS, and has no certificate here` },
  hint: 'ask by http, or for a name that the target lists among its hosts',
});
const otherPort = ({ host, port }: Tunnel): ProxyRefusal => ({
  ...{ status: 403, reason: 'port', title: `port ${port} of ${host} is not a target's` },
  hint: `ask for https://${bracketed(host)}/ or http://${bracketed(host)}/ without a port; to reach another port beside the target, put ${host}:${port} into NO_PROXY for that client`,
});
const notATarget = (host: string): ProxyRefusal => ({
  ...{ status: 403, reason: 'no-target', title: `no target lists the host ${host}, and others are refused` },
  hint: 'add it to the hosts of a target, or run the command with --proxy-others pass',
});
const lateTarget = (host: string, name: string): ProxyRefusal => ({
  ...{
    status: 403,
    reason: 'late',
    title: `target ${name} lists the host ${host} now, and did not when the command started`,
  },
  hint: ANEW,
});
const noAnswer = (place: Tunnel): ProxyRefusal => ({
  ...{
    status: 502,
    reason: 'answer',
    title: `what ${place.host} port ${place.port} answers is no whole answer of HTTP/1.1`,
  },
  hint: 'look at that server; by https its answers are not read here',
});
const ambiguous = (host: string, names: readonly string[]): ProxyRefusal => ({
  ...{ status: 403, reason: 'shared-host', title: `the targets ${names.join(' and ')} both list the host ${host}` },
  hint: 'name the one that is meant: countersign run --proxy TARGET -- COMMAND',
});
const agentAway = ({ name, socket }: ProxiedTarget, error: Error): ProxyRefusal => ({
  ...{ status: 502, reason: 'agent', title: `nobody answers for target ${name} at ${socket} (${codeOf(error)})` },
  hint: 'is an agent running on this machine? Try again when it does',
});
const farAway = ({ host, port }: Tunnel, error: Error): ProxyRefusal =>
  codeOf(error) === 'NEAR'
    ? {
        ...{ status: 403, reason: 'near', title: `${host} is this machine or its link, where no proxy goes` },
        hint: `put ${host} into NO_PROXY, so that the client goes there by itself`,
      }
    : {
        ...{ status: 502, reason: 'unreachable', title: `${host} port ${port} can not be reached (${codeOf(error)})` },
        hint: 'it is no target of Countersign; look whether it is reached from this machine without the proxy',
      };
const bracketed = (host: string) => (isIP(host) === 6 ? `[${host}]` : host);

const ANEW = 'start the command anew to be led there';
const CONNECT = 'CONNECT ';
const PROTOCOLS_SHOWN_MAX = 5;
const HTTP_PORT = 80;
const HTTPS_PORT = 443;
/** For the head of a request, and for the beginning of TLS. */
const HEAD_MS = 10_000;
const OPEN_MS = 30_000;
/** The queue before an agent's socket is full (EAGAIN). */
const AGAIN_MS = 20;
