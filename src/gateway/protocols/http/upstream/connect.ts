import { connect as connectTcp, isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls';
import { type Clock, messageOf, raceAbort, timeoutSignal } from '../../../../std/index.ts';
import { GatewayError } from '../../../errors.ts';
import type { SecretResolver, TargetDeps } from '../../../protocol.ts';
import { publicContext, publicRoots, TLS } from '../../../targets/public-roots.ts';
import type { HttpConfig } from '../config.ts';
import { connectProblem, NOT_H2 } from './connect-problem.ts';
import { speakHttp2 } from './h2-upstream.ts';
import type { Place } from './place.ts';

/** What connecting needs. */
export interface UpstreamDeps {
  readonly config: HttpConfig;
  /** Which of its places is meant. */
  readonly place: Place;
  readonly secrets: SecretResolver;
  readonly clock: Clock;
  /** Hears how each connection was made, unless it was given up. */
  readonly attempted: TargetDeps['attempted'];
}

/**
 * Connects to the upstream, by TLS where its address says https. Nothing listens on the connection; it is paused. HTTP/1.1 is spoken on it, whatever the
 * upstream speaks.
 * @throws GatewayError ERR_GATEWAY_TARGET_AWAY, _TLS, ERR_GATEWAY_SECRET; the abort error
 */
export async function connectUpstream(deps: UpstreamDeps, signal: AbortSignal): Promise<Duplex> {
  const { place } = deps;
  const timeout = timeoutSignal(
    deps.clock,
    typeof deps.config.url === 'string' ? CONNECT_MS_MAX : ONE_OF_SEVERAL_MS_MAX,
    signal,
  );
  try {
    const socket = await openSocket(deps, place, timeout.signal);
    deps.attempted(place.authority, undefined);
    if (!deps.config.upstreamHttp2) return socket;
    return speakHttp2(socket, { clock: deps.clock, scheme: place.isSecure ? 'https' : 'http' });
  } catch (error) {
    if (!signal.aborted) deps.attempted(place.authority, connectProblem(place, error, timeout.isOver));
    throw error;
  } finally {
    timeout.cancel();
  }
}

async function openSocket(deps: UpstreamDeps, place: Place, signal: AbortSignal): Promise<Socket> {
  const context = place.isSecure ? await contextOf(deps, signal) : undefined;
  const socket = connectTcp({ host: place.host, port: place.port, noDelay: true });
  socket.on('error', () => {}); // Whoever waits hears of it by its own listener or by 'close'; without one the process would end.
  try {
    await raceAbort(settled(socket, 'connect'), signal);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
  } catch (cause) {
    socket.destroy();
    throw new GatewayError('ERR_GATEWAY_TARGET_AWAY', `no connection to ${place.authority}: ${messageOf(cause)}`, {
      cause,
    });
  }
  return context === undefined ? socket : await startTls(socket, { deps, place, context }, signal);
}

/** Files of keys and roots are read each time, so that new ones count at once. */
async function contextOf({ config, secrets }: UpstreamDeps, signal: AbortSignal): Promise<SecureContext> {
  const material = async (reference: string | undefined) =>
    reference === undefined ? undefined : (await secrets.resolve(reference, signal)).reveal();
  const [roots, certificate, key] = [
    await material(config.roots),
    await material(config.certificate),
    await material(config.key),
  ];
  if (roots === undefined && certificate === undefined) return publicContext();
  try {
    return createSecureContext({
      ...TLS,
      ca: roots ?? publicRoots(),
      ...(certificate === undefined || key === undefined ? {} : { cert: certificate, key }),
    });
  } catch (cause) {
    throw new GatewayError('ERR_GATEWAY_SECRET', `roots, certificate or key can’t be used: ${messageOf(cause)}`, {
      cause,
    });
  }
}

async function startTls(
  socket: Socket,
  { deps, place, context }: { deps: UpstreamDeps; place: Place; context: SecureContext },
  signal: AbortSignal,
): Promise<Socket> {
  const name = deps.config.serverName ?? place.host;
  const tls = connectTls({
    socket,
    secureContext: context,
    ALPNProtocols: [deps.config.upstreamHttp2 ? 'h2' : 'http/1.1'],
    host: name,
    ...(isIP(name) === 0 ? { servername: name } : {}),
  });
  tls.on('error', () => {}); // As for the socket below it.
  try {
    await raceAbort(settled(tls, 'secureConnect'), signal);
    if (deps.config.upstreamHttp2 && tls.alpnProtocol !== 'h2')
      throw Object.assign(new Error('it does not agree to h2 by ALPN'), { code: NOT_H2 });
  } catch (cause) {
    tls.destroy();
    socket.destroy();
    throw new GatewayError('ERR_GATEWAY_TARGET_TLS', `no TLS with ${place.authority}: ${messageOf(cause)}`, { cause });
  }
  return tls;
}

function settled(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (act: () => void) => {
      socket.off(event, onDone).off('error', onError).off('close', onClose);
      act();
    };
    const onDone = () => done(resolve);
    const onError = (error: Error) => done(() => reject(error));
    const onClose = () => done(() => reject(new Error('the connection was closed')));
    socket.on(event, onDone).on('error', onError).on('close', onClose);
  });
}

const CONNECT_MS_MAX = 10_000;
/** Others wait to be tried. */
const ONE_OF_SEVERAL_MS_MAX = 4_000;
const KEEP_ALIVE_MS = 60_000;
