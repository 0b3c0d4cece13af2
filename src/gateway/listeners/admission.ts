import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { sourceOfAddress, type Turns, whenSpoken } from '../../rpc/index.ts';
import { type Clock, type LogFields, type Random, raceAbort, timeoutSignal } from '../../std/index.ts';
import { encodeLinkAnswer, type LinkPreface, linkAlpn, linkVersionOf } from '../../wire/link/index.ts';
import type { CurrentIdentity, GatewayIdentity } from '../identity.ts';
import type { MemberDoor, SessionRefusal, SvidDoor } from '../protocol.ts';
import type { ToldCaller } from '../sessions/session.ts';
import type { SessionHandle, Sessions } from '../sessions/sessions.ts';
import type { OpenTarget } from '../targets/open-targets.ts';
import { type Peer, verifyPeer } from './peer.ts';
import { readPreface } from './read-preface.ts';
import type { Accept } from './socket-listeners.ts';
import { createTlsAcceptor, type TlsAcceptor } from './tls.ts';

/** How a connection becomes a session's: its peer proves an identity, names a target that is served, and there is room. */
export interface Admission {
  /** The way of agents' clients: the target's name comes by the link's preface. */
  readonly link: Accept;
  /** The way of clients without an agent, to that target only. */
  direct(open: OpenTarget, door: MemberDoor, tls: TlsAcceptor): Accept;
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
  /** Serves an admitted session to its end; owns handle and client from then on. */
  serve(open: OpenTarget, handle: SessionHandle, client: Duplex): Promise<void>;
}

/** Creates it. */
export function createAdmission(deps: AdmissionDeps): Admission {
  const tls = createTlsAcceptor({ names: linkAlpn, required: true });
  return {
    link: (socket, known) => acceptLink(deps, tls, { socket, known }),
    direct(open, door, own) {
      // By kind of proof: one more has its own way in, or this does not compile.
      switch (door.proof) {
        case 'svid':
          return (socket, known) => acceptBySvid(deps, { open, door, tls: own }, { socket, known });
      }
    },
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

async function acceptBySvid(
  deps: AdmissionDeps,
  { open, door, tls }: { open: OpenTarget; door: SvidDoor; tls: TlsAcceptor },
  { socket, known }: Arrival,
): Promise<void> {
  const client = await inTime(deps, async (signal) => {
    let secured: TLSSocket | undefined;
    const startTls = async (first: Buffer): Promise<Duplex> => {
      if (first.length > 0) socket.unshift(first);
      secured = await handshake(deps, tls, { socket, signal });
      return secured;
    };
    await door.negotiate(socket, startTls, signal);
    return secured;
  });
  if (client === undefined) return void socket.end(); // Whoever left without a word is owed none.
  const refuse = (why: 'untrusted' | 'unserved', refusal: SessionRefusal) => {
    deps.refused(why, { remote: socket.remoteAddress, reason: refusal.what });
    open.target.refuse(client, refusal);
  };
  const peer = verifyPeer(client, deps.identity, deps.clock.now());
  if (typeof peer === 'string') {
    return refuse('untrusted', { code: 'identity', what: `the client certificate is no trusted SVID: ${peer}` });
  }
  // Its door may have been found before it was closed.
  const closed = deps.closedFor();
  if (closed !== undefined) return refuse('unserved', { code: 'closed', what: closed });
  // It may have changed or gone meanwhile: sessions of the old one were told to end, and this would be one more.
  if (deps.findTarget(open.name)?.target !== open.target) {
    return refuse('unserved', { code: 'target', what: `target ${open.name} has changed; connect again` });
  }
  const handle = handleOf(peer, { target: open.name, door: 'direct', isAside: false, caller: undefined }, deps);
  const full = await deps.sessions.admit(handle);
  if (full !== undefined) return refuse('unserved', full);
  known();
  await deps.serve(open, handle, client);
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
  return { ...peer, ...switches, ...way, id: random.bytes(12).toString('hex'), startedMs: clock.now() };
}

/** For TLS, preface and encryption requests. */
const HANDSHAKE_MS_MAX = 10_000;
