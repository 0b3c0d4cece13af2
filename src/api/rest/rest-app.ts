import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify';
import { type Endpoint, type Principal, placesOf, principalName } from '../../endpoint/index.ts';
import { RevocationError } from '../../revocation/index.ts';
import { type Peer, sourceOf } from '../../rpc/index.ts';
import { createSharedTimers, followAbort, type Random } from '../../std/index.ts';
import { readStrictJson } from '../../wire/json/index.ts';
import type { Admission } from './admission.ts';
import type { Callers } from './callers.ts';
import { type ConnectionTimes, createConnectionWatch } from './connection-times.ts';
import { mountConsole } from './console/serve-console.ts';
import { RestError } from './errors.ts';
import { mountPages, type PageRoute } from './pages.ts';
import { problemOf, restProblem } from './problems.ts';
import {
  type Answer,
  decide,
  type KnownRequest,
  type ServeDeps,
  serveEndpoint,
  serveEvents,
} from './serve-endpoint.ts';

/** What a REST server is made of. */
export interface RestAppDeps<Needs> extends ServeDeps<Needs> {
  readonly random: Random;
  readonly endpoints: readonly Endpoint<Needs>[];
  readonly callers: Callers;
  readonly admission: Admission;
  readonly times: ConnectionTimes;
  /** What is answered to who is nobody yet. */
  readonly pages: readonly PageRoute[];
  /** Where the console was built; undefined: it is not served. */
  readonly consoleFolder: string | undefined;
  /** The OpenAPI document, as JSON. */
  readonly document: () => string;
}

/** HTTP/1.1 on sockets that somebody else has accepted. */
export interface RestApp {
  /** Serves what comes by it. `known`: called once its caller is somebody. */
  take(peer: Peer, known: () => void): void;
  /** No request is taken any more, and event streams end; resolves when those under way are answered, or once `signal` aborts. */
  drain(signal: AbortSignal): Promise<void>;
}

/** Loads the router, and creates the app: that costs a server what it would not pay where nobody calls. */
export async function createRestApp<Needs>(deps: RestAppDeps<Needs>): Promise<RestApp> {
  const { fastify } = await import('fastify');
  const peers = new WeakMap<Socket, { readonly peer: Peer; readonly known: () => void }>();
  const live = new WeakSet<IncomingMessage>();
  const watch = createConnectionWatch(createSharedTimers(deps.clock, TIMER_STEP_MS), deps.times);
  const drainage = createDrainage();
  const context = { ...deps, peers, live, draining: drainage.signal };
  const { onRequest } = entrance(context, 'request');
  let server: Server | undefined;
  const options: FastifyServerOptions = {
    logger: false,
    exposeHeadRoutes: false,
    requestIdHeader: false,
    genReqId: () => deps.random.bytes(8).toString('hex'),
    // Each endpoint checks what it is given and what it answers: no second checker is loaded.
    schemaController: {
      // Its type asks for what a validator of its own brings; no route has a schema, so neither is ever called.
      compilersFactory: {
        buildValidator: () => (() => () => true) as never,
        buildSerializer: () => () => JSON.stringify,
      },
    },
    routerOptions: { maxParamLength: PARAM_CHARS_MAX },
    serverFactory(handler) {
      server = createServer({
        maxHeaderSize: HEADER_BYTES_MAX,
        keepAliveTimeout: 0,
        requestTimeout: 0,
        headersTimeout: 0,
      });
      server.on('error', (error) => deps.log.error('api.rest.server_failed', { error })); // It listens nowhere itself.
      server.on('request', (request, response) => {
        watch.request(request, response, () => live.has(request));
        drainage.began(response);
        handler(request, response);
      });
      return server;
    },
    clientErrorHandler: refuseUnreadable,
    // A path that can't be read: who is nobody is told that first, as by every other path.
    frameworkErrors(error, request, reply) {
      onRequest(request, reply).then(
        () => fail(deps, error, request, reply),
        (unknown: unknown) => fail(deps, unknown, request, reply),
      );
    },
  };
  const app: FastifyInstance = fastify(options);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (_request: FastifyRequest, body: Buffer) =>
    readStrictJson(body, { depth: JSON_DEPTH_MAX, foldsNames: false }),
  );
  app.setErrorHandler((error, request, reply) => fail(deps, error, request, reply));
  app.addHook('onRequest', async (request, reply) => {
    if (!request.is404) return;
    // Who is nobody does not learn what there is, nobody can ask without end, and no body is read that leads nowhere.
    await onRequest(request, reply);
    throw lost(deps.endpoints, request.url.split('?')[0] ?? '', request.method);
  });
  for (const endpoint of deps.endpoints) route(app, endpoint, context);
  documentRoute(app, context);
  const peerOf = (request: FastifyRequest) => peers.get(request.raw.socket)?.peer;
  mountConsole(app, { ...deps, peerOf });
  await mountPages(app, { ...deps, peerOf, headerOf: ({ raw }, name) => headerOf(raw, name) });
  await app.ready();
  return {
    take(peer, known) {
      peers.set(peer.socket, { peer, known });
      watch.begin(peer.socket);
      server?.emit('connection', peer.socket); // The documented way to serve a socket that it did not accept.
    },
    drain: drainage.drain,
  };
}

interface Context<Needs> extends RestAppDeps<Needs> {
  readonly peers: WeakMap<Socket, { readonly peer: Peer; readonly known: () => void }>;
  readonly live: WeakSet<IncomingMessage>;
  readonly draining: AbortSignal;
}

function route<Needs>(app: FastifyInstance, endpoint: Endpoint<Needs>, context: Context<Needs>): void {
  const { callerOf, onRequest } = entrance(context, endpoint.live ? 'stream' : 'request');
  const isForBody = placesOf(endpoint).body.length > 0;
  app.route({
    method: endpoint.method,
    url: endpoint.path.replaceAll(/\{([^}]*)\}/g, ':$1'),
    bodyLimit: endpoint.bodyBytesMax,
    onRequest,
    preParsing: async (request: FastifyRequest) => {
      // Before the body is read: who may not is not worth the reading of megabytes.
      if (isForBody) decide(endpoint, { input: partsOf(request).path, principal: callerOf(request) }, context);
      const { headers } = request;
      const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
      if (hasBody && !isForBody)
        throw new RestError('ERR_REST_MEDIA', 'this endpoint takes no body', { headers: CLOSE });
      if (hasBody && headers['content-encoding'] !== undefined)
        throw new RestError('ERR_REST_MEDIA', 'a body is taken as it is, not compressed', { headers: CLOSE });
    },
    handler: async (request: FastifyRequest, reply: FastifyReply) => {
      const gone = goneSignal(reply, context.draining, endpoint.live);
      const known: KnownRequest = {
        principal: callerOf(request),
        parts: partsOf(request),
        header: (name) => headerOf(request.raw, name),
        signal: gone.signal,
        identify: () => identify(context, request.raw, { isUse: false }),
      };
      if (!endpoint.live) {
        try {
          return await answer(reply, await serveEndpoint(endpoint, known, context));
        } finally {
          gone.release();
        }
      }
      const begun = () => {
        context.live.add(request.raw);
        reply.hijack();
      };
      const stream = { ...known, response: reply.raw, headers: HEADERS, begun };
      await serveEvents(endpoint, stream, context).finally(gone.release);
      return reply;
    },
  });
}

/** The document is for whoever has an identity: it says what there is, and nothing of what is in it. */
function documentRoute<Needs>(app: FastifyInstance, context: Context<Needs>): void {
  const { onRequest } = entrance(context, 'request');
  app.route({
    method: 'GET',
    url: DOCUMENT_PATH,
    onRequest,
    handler: async (_request: FastifyRequest, reply: FastifyReply) =>
      answer(reply, { status: 200, headers: {}, body: context.document() }),
  });
}

/** Who is at the door, and whether there is room. */
function entrance<Needs>(context: Context<Needs>, kind: 'request' | 'stream') {
  const callers = new WeakMap<IncomingMessage, Principal>();
  return {
    async onRequest(request: FastifyRequest, reply: FastifyReply): Promise<void> {
      // Browsers open a stream again by themselves, with nobody there.
      const isUse = !(kind === 'stream' && headerOf(request.raw, 'last-event-id') !== undefined);
      const principal = await identify(context, request.raw, { isUse });
      const leave = context.admission.enter(principalName(principal), kind);
      if (reply.raw.destroyed) return leave();
      reply.raw.once('close', leave);
      callers.set(request.raw, principal);
    },
    callerOf(request: FastifyRequest): Principal {
      const principal = callers.get(request.raw);
      if (principal === undefined) throw new RestError('ERR_REST_CALLER', 'the connection was lost');
      return principal;
    },
  };
}

/** @throws RestError ERR_REST_CALLER, ERR_REST_RATE for whoever fails at it too often; RevocationError */
async function identify<Needs>(
  { callers, admission, peers }: Context<Needs>,
  raw: IncomingMessage,
  { isUse }: { readonly isUse: boolean },
): Promise<Principal> {
  const at = peers.get(raw.socket);
  if (at === undefined) throw new RestError('ERR_REST_CALLER', 'the connection was lost');
  try {
    const header = (name: string) => headerOf(raw, name);
    const principal = await callers.principalOf(at.peer, { method: raw.method ?? '', header, isUse });
    at.known();
    return principal;
  } catch (error) {
    // Who is revoked is as little let in as who is nobody.
    if (error instanceof RestError || error instanceof RevocationError) admission.count(sourceOf(at.peer));
    throw error;
  }
}

function partsOf({ params, query, body }: FastifyRequest): KnownRequest['parts'] {
  // The router makes texts of what it finds in a path, and texts or lists of them of a query.
  return {
    path: params as Record<string, string>,
    query: query as Record<string, string | readonly string[]>,
    body,
  };
}

/** What came twice is joined, as it would be by any proxy: then it is of no form. */
function headerOf(raw: IncomingMessage, name: string): string | undefined {
  return raw.headersDistinct[name]?.join(', ');
}

/** Aborts when the caller is gone or has waited too long; of what goes on, when the server stops. */
function goneSignal(reply: FastifyReply, draining: AbortSignal, isLive: boolean) {
  const following = followAbort(...(isLive ? [draining] : []));
  const close = () => following.abort();
  reply.raw.once('close', close);
  return {
    signal: following.signal,
    release() {
      reply.raw.off('close', close);
      following.release();
    },
  };
}

function answer(reply: FastifyReply, { status, headers, body }: Answer): FastifyReply {
  reply.code(status).headers({ ...HEADERS, ...headers });
  return body === undefined ? reply.send() : reply.type('application/json').send(body);
}

function fail<Needs>(
  { log }: Pick<RestAppDeps<Needs>, 'log'>,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const endpoint = `${request.method} ${request.routeOptions?.url ?? 'nowhere'}`;
  const { status, headers, body } = problemOf(error, { log, endpoint, request: request.id });
  // What is left of a body that nobody reads would be read as the next request.
  const closes = request.raw.complete ? {} : CLOSE;
  reply.code(status).headers({ ...HEADERS, ...headers, ...closes });
  return reply.type('application/problem+json').send(JSON.stringify(body));
}

/** A path that is there for other methods, or for none. */
function lost<Needs>(endpoints: readonly Endpoint<Needs>[], path: string, method: string): RestError {
  const methods = [...endpoints, { path: DOCUMENT_PATH, method: 'GET' }]
    .filter((endpoint) => new RegExp(`^${endpoint.path.replaceAll(/\{[^}]*\}/g, '[^/]+')}$`).test(path))
    .map((endpoint) => endpoint.method);
  if (methods.length === 0) return new RestError('ERR_REST_PATH', 'there is no endpoint at this path');
  const allow = [...new Set(methods)].join(', ');
  const shown = method.slice(0, METHOD_CHARS_MAX);
  return new RestError('ERR_REST_METHOD', `this path is for ${allow}, not for ${shown}`, { headers: { allow } });
}

/** What is no HTTP, or has headers without end: no request has come about that could be answered by its own. */
function refuseUnreadable(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return void socket.destroy();
  const isLarge = error.code === 'HPE_HEADER_OVERFLOW';
  const status = isLarge ? '431 Request Header Fields Too Large' : '400 Bad Request';
  const detail = isLarge ? `headers have more than ${HEADER_BYTES_MAX} bytes` : 'this is no HTTP/1.1';
  const { body } = restProblem(new RestError('ERR_REST_HEADER', detail), '');
  const text = JSON.stringify({ ...body, status: Number(status.slice(0, 3)) });
  const head = `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(text)}`;
  socket.end(`${head}\r\n\r\n${text}`);
}

function createDrainage() {
  const stopping = new AbortController();
  const open = new Set<object>();
  let told = () => {};
  return {
    signal: stopping.signal,
    began(response: ServerResponse): void {
      if (stopping.signal.aborted) response.setHeader('connection', 'close');
      open.add(response);
      response.once('close', () => {
        open.delete(response);
        if (open.size === 0) told();
      });
    },
    drain(signal: AbortSignal): Promise<void> {
      stopping.abort();
      return new Promise((resolve) => {
        told = resolve;
        if (open.size === 0 || signal.aborted) resolve();
        signal.addEventListener('abort', () => resolve());
      });
    },
  };
}

export const DOCUMENT_PATH = '/v1/openapi.json';
const CLOSE = { connection: 'close' } as const;
/** An answer is one caller's, is asked for again each time, and is never a page. */
const HEADERS = {
  'cache-control': 'private, no-cache',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'",
} as const;
/** Ids of entries have 255, each of which may be written as three. */
const PARAM_CHARS_MAX = 800;
const HEADER_BYTES_MAX = 16 * 1024;
/** A policy is a text; targets nest a handful of levels. */
const JSON_DEPTH_MAX = 32;
const METHOD_CHARS_MAX = 20;
const TIMER_STEP_MS = 250;
