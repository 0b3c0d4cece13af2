import { createHash } from 'node:crypto';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { checkServerIdentity, connect as connectTls, createSecureContext, type TLSSocket } from 'node:tls';
import { type Clock, messageOf, type Random, raceAbort, timeoutSignal } from '../../../../std/index.ts';
import {
  Backend,
  createAuthentication,
  encodeCancelRequest,
  encodeSslRequest,
  encodeStartup,
  Framer,
  PostgresWireError,
  readAuthentication,
  readBackendKeyData,
  readErrorFields,
  readNegotiateVersion,
  readParameterStatus,
  readReadyForQuery,
} from '../../../../wire/postgres/index.ts';
import { GatewayError } from '../../../errors.ts';
import type { SecretResolver, TargetDeps } from '../../../protocol.ts';
import { publicContext, publicRoots, TLS } from '../../../targets/public-roots.ts';
import { isLocal, type PostgresConfig } from '../config.ts';
import { encodingNamed } from '../sql/index.ts';
import { loginProblem, mayBeOfSettings, SettingMismatch } from './login-problem.ts';
import { createReads } from './read-buffer.ts';

/** A connection to the target, logged in and idle. Nothing listens on the socket; it is paused. */
export interface Upstream {
  readonly socket: Socket;
  /** Says that nothing holds on to the chunk that came last, so the next may take its place in memory. */
  release(): void;
  /** As the target reported them, in order of arrival. */
  readonly parameters: Map<string, string>;
  readonly minor: number;
  readonly processId: number;
  readonly cancelKey: Buffer;
}

/** What connecting needs. */
export interface UpstreamDeps {
  readonly config: PostgresConfig;
  readonly secrets: SecretResolver;
  readonly clock: Clock;
  readonly random: Random;
  /** Hears how each login to a database ended, unless it was given up or may have failed of a client's settings. */
  readonly attempted: TargetDeps['attempted'];
}

/** How to log in. `parameters` are the start-up packet's, without the user. */
export interface LoginOptions {
  readonly parameters: readonly (readonly [string, string])[];
  readonly minor: number;
  /** True when settings among the parameters are a client's: what the server makes of those says nothing about the server. */
  readonly forClient?: boolean;
  readonly signal: AbortSignal;
}

/**
 * Connects, goes over to TLS as configured, logs in and waits until the target is ready.
 * @throws GatewayError ERR_GATEWAY_TARGET_AWAY, _TLS, _LOGIN, _PROTOCOL, ERR_GATEWAY_SECRET
 */
export async function openUpstream(deps: UpstreamDeps, options: LoginOptions): Promise<Upstream> {
  const place = new Map(options.parameters).get('database') ?? deps.config.database;
  const timeout = timeoutSignal(deps.clock, CONNECT_MS_MAX, options.signal);
  try {
    const upstream = await connectAndLogIn(deps, { ...options, signal: timeout.signal });
    deps.attempted(place, undefined);
    return upstream;
  } catch (error) {
    const isLate = timeout.isOver;
    const isTold = !options.signal.aborted && !(options.forClient === true && mayBeOfSettings(error));
    if (isTold) deps.attempted(place, loginProblem(deps.config, error, isLate));
    throw error;
  } finally {
    timeout.cancel();
  }
}

async function connectAndLogIn(deps: UpstreamDeps, options: LoginOptions): Promise<Upstream> {
  const { signal } = options;
  const { socket, release } = await openSocket(deps, signal);
  const stop = () => socket.destroy();
  signal.addEventListener('abort', stop, { once: true });
  try {
    return { ...(await logIn(deps, socket, options)), release };
  } catch (error) {
    socket.destroy();
    throw error instanceof PostgresWireError ? broken(deps.config, error) : error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/**
 * Tells the target, over a connection of its own, to cancel what that connection's session does. Resolves when the target closed it. Once the
 * connection is over nothing is told: process and key may be somebody else's by then.
 */
export async function cancelUpstream(
  deps: UpstreamDeps,
  target: Pick<Upstream, 'socket' | 'processId' | 'cancelKey'>,
  signal: AbortSignal,
): Promise<void> {
  const timeout = timeoutSignal(deps.clock, CONNECT_MS_MAX, signal);
  try {
    const { socket } = await openSocket(deps, timeout.signal);
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => {}); // The target closes without a word; a reset is as good an answer.
    socket.resume();
    const { destroyed, readableEnded, writableEnded } = target.socket;
    if (destroyed || readableEnded || writableEnded) return void socket.destroy();
    socket.write(encodeCancelRequest(target.processId, target.cancelKey));
    await raceAbort(closed, timeout.signal).finally(() => socket.destroy());
  } finally {
    timeout.cancel();
  }
}

async function openSocket(deps: UpstreamDeps, signal: AbortSignal): Promise<{ socket: Socket; release(): void }> {
  const { config } = deps;
  const path = config.host.startsWith('/') ? `${config.host}/.s.PGSQL.${config.port}` : undefined;
  const place = path === undefined ? { host: config.host, port: config.port } : { path };
  const reads = createReads((chunk) => socket.emit('data', chunk) || socket.destroy());
  const socket: Socket = connectTcp(config.sslMode === 'disable' ? { ...place, onread: reads } : place);
  socket.on('error', () => {}); // Whoever waits hears of it by its own listener or by 'close'; without one the process would end.
  try {
    await raceAbort(settled(socket, 'connect'), signal);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    return {
      socket: config.sslMode === 'disable' ? socket : await startTls(deps, socket, signal),
      release: reads.release,
    };
  } catch (cause) {
    socket.destroy();
    if (cause instanceof GatewayError) throw cause;
    throw new GatewayError('ERR_GATEWAY_TARGET_AWAY', `no connection to ${where(config)}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

async function startTls(deps: UpstreamDeps, socket: Socket, signal: AbortSignal): Promise<TLSSocket> {
  const { config, secrets } = deps;
  socket.write(encodeSslRequest());
  const answer = await raceAbort(firstBytes(socket), signal);
  // Anything behind the one byte came unencrypted and would be taken for what came inside TLS (CVE-2021-23222).
  if (answer.length !== 1 || answer[0] !== 0x53) {
    const why = answer.length > 1 ? 'sent more than an answer to the request for TLS' : 'has no TLS';
    throw new GatewayError('ERR_GATEWAY_TARGET_TLS', `${where(config)} ${why}; sslMode is ${config.sslMode}`);
  }
  const material = async (reference: string | undefined) =>
    reference === undefined ? undefined : (await secrets.resolve(reference, signal)).reveal();
  const roots = await material(config.sslRoots);
  const certificate = await material(config.certificate);
  const key = await material(config.key);
  const verify = config.sslMode !== 'require';
  if (socket.destroyed) throw new Error('the connection was closed'); // While a secret was fetched.
  const tls = connectTls({
    socket,
    ALPNProtocols: ['postgresql'],
    rejectUnauthorized: verify,
    checkServerIdentity: (host, peer) =>
      config.sslMode === 'verify-full' ? checkServerIdentity(host, peer) : undefined,
    host: config.host,
    ...(isIP(config.host) === 0 ? { servername: config.host } : {}),
    ...(certificate === undefined || key === undefined
      ? { secureContext: roots === undefined ? publicContext() : createSecureContext({ ...TLS, ca: roots }) }
      : { ...TLS, ca: roots ?? publicRoots(), cert: certificate, key }),
  });
  tls.on('error', () => {}); // As for the socket below it.
  try {
    await raceAbort(settled(tls, 'secureConnect'), signal);
  } catch (cause) {
    tls.destroy();
    throw new GatewayError('ERR_GATEWAY_TARGET_TLS', `no TLS with ${where(config)}: ${messageOf(cause)}`, { cause });
  }
  return tls;
}

async function logIn(deps: UpstreamDeps, socket: Socket, options: LoginOptions): Promise<Omit<Upstream, 'release'>> {
  const { config } = deps;
  const authentication = createAuthentication({
    user: config.user,
    password: config.password === undefined ? undefined : await deps.secrets.resolve(config.password, options.signal),
    random: deps.random,
    encrypted: config.sslMode !== 'disable' || isLocal(config.host),
    serverEndPoint: 'getPeerX509Certificate' in socket ? endPointHash(socket as TLSSocket) : undefined, // Only TLS sockets have it.
  });
  const framer = new Framer({ messageBytesMax: LOGIN_MESSAGE_BYTES_MAX });
  const parameters = new Map<string, string>();
  let minor = options.minor;
  let key: { processId: number; key: Buffer } | undefined;
  socket.write(encodeStartup(options.minor, [['user', config.user], ...options.parameters]));
  for await (const span of messages(socket, framer, config)) {
    switch (span.type) {
      case Backend.authentication: {
        const answer = authentication.answer(readAuthentication(span));
        if (answer !== undefined) socket.write(answer);
        break;
      }
      case Backend.parameterStatus: {
        const { name, value } = readParameterStatus(span);
        if (parameters.size >= PARAMETERS_MAX) throw garbage(config, 'reports too many settings');
        parameters.set(name, value);
        break;
      }
      case Backend.backendKeyData:
        key = readBackendKeyData(span);
        break;
      case Backend.negotiateVersion:
        minor = Math.min(minor, readNegotiateVersion(span).minor);
        break;
      case Backend.notice:
        break;
      case Backend.error:
        throw refused(config, readErrorFields(span));
      case Backend.readyForQuery:
        if (!authentication.done || key === undefined || readReadyForQuery(span) !== 'I')
          throw garbage(config, 'is ready too early');
        readBehindReady(framer, config, parameters);
        checkParameters(config, options, parameters);
        return { socket, parameters, minor, processId: key.processId, cancelKey: key.key };
      default:
        throw garbage(config, `sends message ${span.type} while logging in`);
    }
  }
  throw new GatewayError('ERR_GATEWAY_TARGET_AWAY', `${where(config)} ended the connection while logging in`);
}

/** What a server may say unasked, right behind being ready: that it ends this very connection (it is being stopped), or reads its settings anew. */
function readBehindReady(framer: Framer, config: PostgresConfig, parameters: Map<string, string>): void {
  while (framer.next()) {
    if (framer.type === Backend.error) throw refused(config, readErrorFields(framer));
    if (framer.type === Backend.notice) continue;
    if (framer.type !== Backend.parameterStatus) throw garbage(config, 'sends more than it was asked');
    const { name, value } = readParameterStatus(framer);
    if (parameters.size >= PARAMETERS_MAX) throw garbage(config, 'reports too many settings');
    parameters.set(name, value);
  }
  if (framer.bufferedBytes > 0) throw garbage(config, 'sends more than it was asked');
}

/** Whole messages as they come, until the caller stops asking; the socket is left paused. */
async function* messages(socket: Socket, framer: Framer, config: PostgresConfig): AsyncGenerator<Framer> {
  let wake = () => {};
  // It may have gone while a secret was fetched: nobody tells that again.
  let over = socket.destroyed || socket.readableEnded;
  let failure: Error | undefined;
  const onData = (chunk: Buffer) => {
    socket.pause();
    framer.push(chunk);
    wake();
  };
  const onEnd = () => {
    over = true;
    wake();
  };
  const onError = (error: Error) => {
    failure = error;
    wake();
  };
  socket.on('data', onData).on('end', onEnd).on('close', onEnd).on('error', onError);
  try {
    for (;;) {
      while (framer.next()) yield framer;
      if (failure !== undefined || over) break;
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      socket.resume();
      await woken;
    }
  } finally {
    socket.pause();
    socket.off('data', onData).off('end', onEnd).off('close', onEnd).off('error', onError);
  }
  if (failure !== undefined) {
    throw new GatewayError('ERR_GATEWAY_TARGET_AWAY', `lost ${where(config)}: ${failure.message}`, { cause: failure });
  }
}

/** What texts mean must not hang on settings that the target's administrator changed for this role. */
function checkParameters(config: PostgresConfig, asked: LoginOptions, parameters: ReadonlyMap<string, string>): void {
  const own = new Map(asked.parameters);
  for (const [name, usual] of REQUIRED_PARAMETERS) {
    const wanted = own.get(name) ?? usual;
    const value = parameters.get(name);
    if (value !== wanted && !(name === 'client_encoding' && isSameEncoding(value, wanted))) {
      throw new GatewayError(
        'ERR_GATEWAY_TARGET_PROTOCOL',
        `${where(config)} has ${name} = ${JSON.stringify(value ?? '')}; the gateway needs ${wanted}`,
        { cause: new SettingMismatch({ name, value, wanted }) },
      );
    }
  }
}

/** One that has two names. */
function isSameEncoding(value: string | undefined, wanted: string): boolean {
  return value !== undefined && encodingNamed(value) === encodingNamed(wanted);
}

function refused(config: PostgresConfig, fields: ReadonlyMap<string, string>): GatewayError {
  const sqlstate = fields.get('C') ?? '';
  const message = fields.get('M') ?? '';
  const login = sqlstate.startsWith('28');
  return new GatewayError(
    login ? 'ERR_GATEWAY_TARGET_LOGIN' : 'ERR_GATEWAY_TARGET_AWAY',
    `${where(config)} refused the gateway: ${message} (${sqlstate})`,
    { cause: Object.assign(new Error(message), { code: sqlstate }) },
  );
}

/** What the target said can't be read, or is no way to log in. */
function broken(config: PostgresConfig, cause: PostgresWireError): GatewayError {
  if (cause.code !== 'ERR_PG_AUTHENTICATION')
    return garbage(config, `sends what can't be read: ${cause.message}`, cause);
  return new GatewayError('ERR_GATEWAY_TARGET_LOGIN', `no login at ${where(config)}: ${cause.message}`, { cause });
}

function garbage(config: PostgresConfig, what: string, cause?: unknown): GatewayError {
  return new GatewayError('ERR_GATEWAY_TARGET_PROTOCOL', `${where(config)} ${what}`, { cause });
}

function where(config: PostgresConfig): string {
  return `${config.host}:${config.port}`;
}

/** tls-server-end-point: the certificate under its signature's hash, MD5 and SHA-1 raised to SHA-256. @see RFC 5929 §4.1 */
function endPointHash(socket: TLSSocket): Buffer | undefined {
  const certificate = socket.getPeerX509Certificate();
  const algorithm = certificate?.signatureAlgorithm?.toLowerCase() ?? '';
  const hash = /sha(224|256|384|512)/.exec(algorithm)?.[1] ?? (/md5|sha1/.test(algorithm) ? '256' : undefined);
  if (certificate === undefined || hash === undefined) return undefined;
  return createHash(`sha${hash}`).update(certificate.raw).digest();
}

function settled(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => reject(error);
    const onClose = () => reject(new Error('the connection was closed'));
    socket.on('error', onError).once('close', onClose);
    socket.once(event, () => {
      socket.off('error', onError).off('close', onClose);
      resolve();
    });
  });
}

function firstBytes(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => reject(error);
    const onEnd = () => reject(new Error('the connection was closed'));
    if (socket.destroyed) return onEnd();
    socket.on('error', onError).once('end', onEnd).once('close', onEnd);
    socket.once('data', (chunk: Buffer) => {
      socket.pause();
      socket.off('error', onError).off('end', onEnd).off('close', onEnd);
      resolve(chunk);
    });
  });
}

/** A target that does not answer within this is away. */
export const CONNECT_MS_MAX = 10_000;
const KEEP_ALIVE_MS = 60_000;
/** Nothing in a login is long. */
const LOGIN_MESSAGE_BYTES_MAX = 64 * 1024;
/** PostgreSQL 18 reports 15. */
const PARAMETERS_MAX = 100;
/** What each login asks for, unless a client is served in another encoding; a server has to report what was asked for. */
export const REQUIRED_PARAMETERS = [
  ['client_encoding', 'UTF8'],
  ['standard_conforming_strings', 'on'],
] as const;
