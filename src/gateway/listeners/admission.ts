import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { sourceOfAddress, type Turns, whenSpoken } from '../../rpc/index.ts';
import { type Clock, type LogFields, type Random, raceAbort, timeoutSignal } from '../../std/index.ts';
import { encodeLinkAnswer, type LinkPreface, linkAlpn, linkVersionOf } from '../../wire/link/index.ts';
import type { CurrentIdentity, GatewayIdentity } from '../identity.ts';
import type { SessionRefusal, ShownToken, TokenDoor } from '../protocol.ts';
import { createActivity } from '../sessions/activity.ts';
import type { RequestProofs, ToldCaller } from '../sessions/session.ts';
import type { SessionHandle, Sessions } from '../sessions/sessions.ts';
import type { Doorway } from '../targets/direct-door.ts';
import type { OpenTarget } from '../targets/open-targets.ts';
import { type Peer, showsCertificate, verifyPeer } from './peer.ts';
import { readPreface } from './read-preface.ts';
import type { Accept } from './socket-listeners.ts';
import { createTlsAcceptor, serverNameOf, type TlsAcceptor } from './tls.ts';
import { type Bearer, createTokenVerifier, type TokenVerifier } from './verify-token.ts';

/** How a connection becomes a session's: its peer proves an identity, names a target that is served, and there is room. */
export interface Admission {
  /** The way of agents' clients: the target's name comes by the link's preface. */
  readonly link: Accept;
  /** The way of clients without an agent, to the targets of that door only. */
  direct(doorway: Doorway): Accept;
  /** New handshakes of agents' clients show this identity. */
  present(identity: CurrentIdentity): void;
}

export interface AdmissionDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly identity: GatewayIdentity;
  readonly sessions: Pick<Sessions, 'admit'>;
  readonly turns: Turns;
  /** Aborts handshakes when the gateway stops. */
  readonly stopping: AbortSignal;
  findTarget(name: string): OpenTarget | undefined;
  /** Why no session is taken at the moment, whoever asks; undefined: they are. */
  closedFor(): string | undefined;
  /** Hears of each peer that was told no. */
  refused(why: 'untrusted' | 'unserved', detail: LogFields): void;
  /** Serves an admitted session to its end; owns handle and client from then on, the client until `proofs` hears that it was given back. */
  serve(open: OpenTarget, handle: SessionHandle, client: Duplex, proofs?: RequestProofs): Promise<void>;
}

/** Creates it. */
export function createAdmission(deps: AdmissionDeps): Admission {
  const tls = createTlsAcceptor({ namesFor: () => linkAlpn, required: true });
  const verifier = createTokenVerifier(deps);
  return {
    link: (socket, known) => acceptLink(deps, tls, { socket, known }),
    direct: (doorway) => (socket, known) => acceptDirect(deps, { doorway, verifier }, { socket, known }),
    present: (identity) => tls.present(identity),
  };
}

interface Arrival {
  readonly socket: Socket;
  /** To be called when the connection is a session's. */
  known(): void;
}

async function acceptLink(deps: AdmissionDeps, acceptor: TlsAcceptor, { socket, known }: Arrival): Promise<void> {
  const { tls, preface } = await inTime(deps, async (signal) => {
    const secured = await handshake(deps, acceptor, { socket, signal });
    const version = linkVersionOf(secured.alpnProtocol);
    return { tls: secured, preface: version && (await readPreface(secured, version, signal)) };
  });
  if (preface === undefined) return void tls.destroy();
  const refuse = (why: 'untrusted' | 'unserved', what: string, status: 'no' | 'not-now' = 'no') => {
    deps.refused(why, { remote: socket.remoteAddress, reason: what });
    tls.end(encodeLinkAnswer({ status, what }));
  };
  const peer = verifyPeer(tls, deps.identity, deps.clock.now());
  if (typeof peer === 'string') return refuse('untrusted', `the identity is not trusted: ${peer}`);
  // The sessions that there are go on, so words about them are taken as well.
  const isAside = preface.kind === 'aside';
  const closed = isAside ? undefined : deps.closedFor();
  if (closed !== undefined) return refuse('unserved', closed, 'not-now');
  const open = deps.findTarget(preface.target);
  if (open === undefined) return refuse('unserved', 'this gateway does not serve that target');
  const handle = handleOf(peer, { target: open.name, door: 'agent', isAside, caller: toldBy(preface) }, deps);
  const full = await deps.sessions.admit(handle);
  if (full !== undefined) return refuse('unserved', full.what);
  known();
  tls.write(encodeLinkAnswer({ status: 'yes' }));
  await deps.serve(open, handle, tls);
}

/** Comes to the target that the client's TLS asks for, which says how it proves who it is. */
async function acceptDirect(
  deps: AdmissionDeps,
  { doorway, verifier }: { readonly doorway: Doorway; readonly verifier: TokenVerifier },
  arrival: Arrival,
): Promise<void> {
  const { socket } = arrival;
  const client = await secure(deps, doorway, arrival);
  if (client === undefined) return void socket.end(); // Whoever left without a word is owed none.
  const found = doorway.find(serverNameOf(client));
  if (found === undefined) {
    const refuse = refuserOf(deps, doorway.first.open, { client, remote: socket.remoteAddress });
    return refuse('unserved', { code: 'host', what: 'no target of this door has the host name that TLS asked for' });
  }
  const { open, kind } = found;
  // By kind of proof: one more has its own way in, or this does not compile.
  switch (kind.proof) {
    case 'svid':
      return serveBySvid(deps, { open, client }, arrival);
    case 'token':
      if (showsCertificate(client)) return serveBySvid(deps, { open, client }, arrival);
      return serveByToken(deps, { open, client, door: kind, verifier }, arrival);
  }
}

async function serveBySvid(
  deps: AdmissionDeps,
  { open, client }: { readonly open: OpenTarget; readonly client: TLSSocket },
  { socket, known }: Arrival,
): Promise<void> {
  const refuse = refuserOf(deps, open, { client, remote: socket.remoteAddress });
  const peer = verifyPeer(client, deps.identity, deps.clock.now());
  if (typeof peer === 'string') {
    return refuse('untrusted', { code: 'identity', what: `the client certificate is no trusted SVID: ${peer}` });
  }
  const unserved = whyUnserved(deps, open);
  if (unserved !== undefined) return refuse('unserved', unserved);
  const handle = handleOf(peer, { target: open.name, door: 'direct', isAside: false, caller: undefined }, deps);
  const full = await deps.sessions.admit(handle);
  if (full !== undefined) return refuse('unserved', full);
  known();
  await deps.serve(open, handle, client);
}

/** One session after another, each of whom its requests prove; what comes between them is the door's. */
async function serveByToken(
  deps: AdmissionDeps,
  {
    open,
    client,
    door,
    verifier,
  }: {
    readonly open: OpenTarget;
    readonly client: TLSSocket;
    readonly door: TokenDoor;
    readonly verifier: TokenVerifier;
  },
  { socket, known }: Arrival,
): Promise<void> {
  const { remoteAddress: remote } = socket;
  const verify = (token: string) => verifier.verify(token, door.audience);
  const enter = (shown: ShownToken, part: Duplex) => {
    const { handle, proofs } = sessionOfBearer(deps, shown, { open, address: remote, verify });
    const refuse = refuserOf(deps, open, { client: part, remote });
    return {
      proofs,
      isOwn: proofs.isOwn,
      async serve() {
        const full = whyUnserved(deps, open) ?? (await deps.sessions.admit(handle));
        if (full !== undefined) return refuse('unserved', full);
        known();
        await deps.serve(open, handle, part, proofs);
      },
    };
  };
  const asked = {
    verify,
    refused: (what: string) => deps.refused('untrusted', { remote, reason: what }),
    signal: deps.stopping,
  };
  const carried = door.carry?.(client, { ...asked, isKnown: false, enter });
  if (carried !== undefined) return carried;
  for (let isKnown = false; ; isKnown = true) {
    const shown = await door.meet(client, { ...asked, isKnown });
    if (shown === undefined) return;
    const { proofs, serve } = enter(shown, client);
    await serve();
    if (!proofs.isGivenBack) return;
  }
}

/** A session of whom that token proves, which lasts as long as the best of its tokens. */
function sessionOfBearer(
  deps: AdmissionDeps,
  shown: ShownToken,
  way: {
    readonly open: OpenTarget;
    readonly address: string | undefined;
    verify(token: string): Bearer | string;
  },
) {
  const { open, address, verify } = way;
  const { identity } = shown.bearer;
  let newest = shown;
  const proofs = {
    isGivenBack: false,
    isOwn(token: string | undefined) {
      const bearer = token === undefined ? undefined : verify(token);
      if (token === undefined || typeof bearer !== 'object' || bearer.identity.uri !== identity.uri) return false;
      if (bearer.expiresAtS > newest.bearer.expiresAtS) newest = { token, bearer };
      return true;
    },
    gaveBack() {
      proofs.isGivenBack = true;
    },
  };
  const peer = {
    identity,
    chainDer: [],
    serial: '',
    thumbprint: undefined,
    address,
    expiresAtS: shown.bearer.expiresAtS,
  };
  const handle: SessionHandle = {
    ...handleOf(peer, { target: open.name, door: 'direct', isAside: false, caller: undefined }, deps),
    get expiresAtS() {
      return newest.bearer.expiresAtS;
    },
    token: {
      get keyId() {
        return newest.bearer.keyId;
      },
      fault() {
        const bearer = verify(newest.token);
        return typeof bearer === 'string' ? bearer : undefined;
      },
    },
  };
  return { handle, proofs };
}

/** Undefined: the client was told why not, or has gone. */
function secure(deps: AdmissionDeps, { first, tls }: Doorway, { socket }: Arrival): Promise<TLSSocket | undefined> {
  return inTime(deps, async (signal) => {
    let secured: TLSSocket | undefined;
    const startTls = async (first: Buffer): Promise<Duplex> => {
      if (first.length > 0) socket.unshift(first);
      secured = await handshake(deps, tls, { socket, signal });
      return secured;
    };
    await first.kind.negotiate(socket, startTls, signal);
    return secured;
  });
}

function refuserOf(
  deps: AdmissionDeps,
  { target }: OpenTarget,
  { client, remote }: { readonly client: Duplex; readonly remote: string | undefined },
) {
  return (why: 'untrusted' | 'unserved', refusal: SessionRefusal): void => {
    deps.refused(why, { remote, reason: refusal.what });
    target.refuse(client, refusal);
  };
}

/** Why whoever comes by that target's door is not served; its door may have been found before it was closed. */
function whyUnserved(deps: AdmissionDeps, open: OpenTarget): SessionRefusal | undefined {
  const closed = deps.closedFor();
  if (closed !== undefined) return { code: 'closed', what: closed };
  // It may have changed or gone meanwhile: sessions of the old one were told to end, and this would be one more.
  if (deps.findTarget(open.name)?.target === open.target) return undefined;
  return { code: 'target', what: `target ${open.name} has changed; connect again` };
}

/** Begins once the client has spoken and its turn has come. */
async function handshake(
  { turns }: AdmissionDeps,
  acceptor: TlsAcceptor,
  { socket, signal }: { socket: Socket; signal: AbortSignal },
): Promise<TLSSocket> {
  const source = sourceOfAddress(socket.remoteAddress ?? '');
  await raceAbort(new Promise<void>((go) => whenSpoken(socket, turns, { source, go })), signal);
  if (socket.destroyed) throw new Error('the connection was closed');
  return acceptor.handshake(socket, signal);
}

/** Does what comes before a session within the time that it may take. */
async function inTime<T>(deps: AdmissionDeps, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const timeout = timeoutSignal(deps.clock, HANDSHAKE_MS_MAX, deps.stopping);
  try {
    return await act(timeout.signal);
  } finally {
    timeout.cancel();
  }
}

function toldBy({ caller }: LinkPreface): ToldCaller | undefined {
  return caller && { ...caller, toldBy: 'agent' };
}

function handleOf(
  peer: Peer,
  way: Pick<SessionHandle, 'target' | 'door' | 'isAside' | 'caller'>,
  { random, clock }: AdmissionDeps,
): SessionHandle {
  const switches = { end: new AbortController(), drain: new AbortController() };
  const own = { id: random.bytes(12).toString('hex'), startedMs: clock.now(), activity: createActivity() };
  return { ...peer, ...switches, ...way, ...own };
}

/** For TLS, preface and encryption requests. */
const HANDSHAKE_MS_MAX = 10_000;
